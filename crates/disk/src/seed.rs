//! Identifiers without randomness: every GUID that the crate writes is derived from a seed of the caller.

use uuid::Uuid;

/// 32 bytes from which the GUIDs of a file are derived. Give every file and every writable open its own seed
/// where you can; the derivation also takes in what the file holds, so a repeated seed is never a repeated
/// GUID within one file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<[u8; 32]> for Seed {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seed({})", blake3::Hash::from(self.0).to_hex())
    }
}

/// A deterministic stream of GUIDs: keyed BLAKE3 over a context and a counter.
#[derive(Debug, Clone)]
pub(crate) struct GuidSource {
    base: blake3::Hasher,
    counter: u64,
}

impl GuidSource {
    /// A stream for `seed`, separated from other streams of the same seed by `context`.
    pub(crate) fn new(seed: Seed, context: &[&[u8]]) -> Self {
        let mut base = blake3::Hasher::new_keyed(&seed.0);
        for part in context {
            base.update(&part.len().to_le_bytes());
            base.update(part);
        }
        Self { base, counter: 0 }
    }

    /// The next GUID, marked as version 4 so that tools which look at the version accept it. Never nil.
    pub(crate) fn next(&mut self) -> Uuid {
        let mut hasher = self.base.clone();
        hasher.update(&self.counter.to_le_bytes());
        self.counter += 1;
        let hash = hasher.finalize();
        uuid::Builder::from_random_bytes(crate::bytes::array(hash.as_bytes(), 0)).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_a_function_of_seed_and_context() {
        let take = |seed: u8, context: &[&[u8]]| {
            let mut source = GuidSource::new(Seed::new([seed; 32]), context);
            [source.next(), source.next()]
        };
        assert_eq!(take(1, &[b"a"]), take(1, &[b"a"]));
        assert_ne!(take(1, &[b"a"]), take(2, &[b"a"]));
        assert_ne!(take(1, &[b"a", b"b"]), take(1, &[b"ab"]));
        let [first, second] = take(1, &[]);
        assert_ne!(first, second);
    }
}
