//! A crate's table against the published one, in both directions.

use std::collections::BTreeSet;

use crate::data::lines;

/// The columns of each line, joined.
pub(crate) fn rows(name: &str, columns: &[usize]) -> BTreeSet<String> {
    let join = |line: Vec<String>| columns.iter().map(|c| line[*c].as_str()).collect::<Vec<_>>().join(" | ");
    lines(name).into_iter().map(join).collect()
}

/// Names every row that one side has and the other has not.
pub(crate) fn compare(table: &str, published: &BTreeSet<String>, ours: &BTreeSet<String>) {
    let missing = published.difference(ours).map(|row| format!("missing: {row}\n"));
    let extra = ours.difference(published).map(|row| format!("not published: {row}\n"));
    let all: String = missing.chain(extra).collect();
    assert!(all.is_empty(), "{table}\n{all}");
}
