//! Memory that content is read into.

/// Bytes of a page of memory.
const PAGE: usize = 4096;

/// Room for content that begins at a page: the kernel copies about a sixth faster to there.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// Zeros.
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE];
        // An address that cannot be had is only slower.
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, start }
    }

    /// The first bytes, at most as many as there is room for.
    pub(crate) fn first(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + len]
    }
}
