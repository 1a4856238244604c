//! Integers in buffers, and the few arithmetic helpers that every format needs.

/// One mebibyte, the alignment of every VHDX object.
pub(crate) const MIB: u64 = 1 << 20;
/// One kibibyte.
pub(crate) const KIB: u64 = 1 << 10;

/// Converts a length or index that is known to fit; lossless because the crate builds for 64-bit targets
/// only.
#[inline]
pub(crate) fn to_usize(value: u64) -> usize {
    usize::try_from(value).expect("64-bit target, see lib.rs")
}

/// The length of a buffer as a byte count; lossless because `usize` has at most 64 bits.
#[inline]
pub(crate) fn to_u64(value: usize) -> u64 {
    u64::try_from(value).expect("64-bit target, see lib.rs")
}

/// `value` rounded up to a multiple of `unit` (saturating at the top of the range).
pub(crate) fn round_up(value: u64, unit: u64) -> u64 {
    value.checked_next_multiple_of(unit).unwrap_or(u64::MAX / unit * unit)
}

/// Copies `N` bytes at `at` into an array.
pub(crate) fn array<const N: usize>(buf: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&buf[at..at + N]);
    out
}

pub(crate) fn get_u16(buf: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(buf, at))
}

pub(crate) fn get_u32(buf: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(buf, at))
}

pub(crate) fn get_u64(buf: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(buf, at))
}

/// A GUID in Windows' mixed-endian order.
pub(crate) fn get_guid(buf: &[u8], at: usize) -> uuid::Uuid {
    uuid::Uuid::from_bytes_le(array(buf, at))
}

/// Copies `bytes` to `at`.
pub(crate) fn put(buf: &mut [u8], at: usize, bytes: &[u8]) {
    buf[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Whether every byte is zero, a word at a time.
pub(crate) fn is_zero(buf: &[u8]) -> bool {
    let mut words = buf.chunks_exact(16);
    words.all(|word| u128::from_ne_bytes(array(word, 0)) == 0)
        && words.remainder().iter().all(|byte| *byte == 0)
}

/// CRC-32C of a structure whose 4-byte checksum field at `field` counts as zero (MS-VHDX 2.2.2, 2.2.3,
/// 2.3.1).
pub(crate) fn crc_without(buf: &[u8], field: usize) -> u32 {
    let head = crc32c::crc32c(&buf[..field]);
    let blank = crc32c::crc32c_append(head, &[0; 4]);
    crc32c::crc32c_append(blank, &buf[field + 4..])
}

/// Writes the CRC-32C of `buf` into its own field at `field`.
pub(crate) fn seal(buf: &mut [u8], field: usize) {
    let crc = crc_without(buf, field);
    put(buf, field, &crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_castagnoli() {
        // RFC 3720 B.4: 32 bytes of zero.
        assert_eq!(crc_without(&[0; 32], 4), 0x8a91_36aa);
    }

    #[test]
    fn is_zero_sees_every_byte() {
        for len in [1_usize, 15, 16, 17, 31, 33, 4096] {
            let mut buf = vec![0; len];
            assert!(is_zero(&buf));
            for at in 0..len {
                buf[at] = 1;
                assert!(!is_zero(&buf), "{len} {at}");
                buf[at] = 0;
            }
        }
    }

    #[test]
    fn round_up_saturates() {
        assert_eq!(round_up(1, MIB), MIB);
        assert_eq!(round_up(MIB, MIB), MIB);
        assert_eq!(round_up(u64::MAX, MIB) % MIB, 0);
    }
}
