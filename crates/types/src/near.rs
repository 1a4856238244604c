//! "Did you mean": the nearest right word for a wrong one.

/// The candidate nearest to `word`, if one is near enough to be what the writer meant.
///
/// Distance is counted in single-letter edits without regard to case; a third of the word may be wrong.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let limit = wanted.chars().count().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|c| (edits(&wanted, &c.to_lowercase()), c))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_the_word_that_was_meant() {
        assert_eq!(nearest("Replicatng", ["Replicating", "Suspended"]), Some("Replicating"));
        assert_eq!(nearest("hv1", ["HV1", "HV2"]), Some("HV1"));
        assert_eq!(nearest("banana", ["Replicating", "Suspended"]), None);
    }
}
