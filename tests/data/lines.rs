//! The reader of the tables beside this file, for the tests of every crate that is held against one.

/// The lines of a table below its head, each cut into its columns; what begins with `#` is a comment.
pub(crate) fn lines(name: &str) -> Vec<Vec<String>> {
    let path = format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let data = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    data.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}
