//! Copies inside this process that return an error instead of faulting.
//!
//! The kernel copies at most 2 GiB less an OS page per call, so longer copies are split.
#![expect(unsafe_code, reason = "writes memory that the caller owns")]

use crate::os;
use rustix::io::Errno;

/// Maximum number of bytes per call; smaller in tests, so that they cover the split.
const MAX_COPY: usize = if cfg!(test) { 1 << 16 } else { 1 << 30 };

/// Copies memory of this process at `from` to `into`. Returns the number of bytes before the first
/// that cannot be read.
pub(crate) fn read_process(from: usize, into: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    for part in into.chunks_mut(MAX_COPY) {
        let count = os::read_process(from.wrapping_add(done), part)?;
        done += count;
        if count < part.len() {
            break;
        }
    }
    Ok(done)
}

/// Copies `bytes` to memory of this process at `to`. Returns the number of bytes before the first
/// that cannot be written.
///
/// # Safety
/// No other code uses `[to, to + bytes.len())` at the same time.
pub(crate) unsafe fn write_process(to: usize, bytes: &[u8]) -> Result<usize, Errno> {
    let mut done = 0;
    for part in bytes.chunks(MAX_COPY) {
        // SAFETY: the caller's promise holds for each part of the range.
        let count = unsafe { os::write_process(to.wrapping_add(done), part) }?;
        done += count;
        if count < part.len() {
            break;
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::MAX_COPY;
    use crate::{Region, RegionErrorKind};

    #[test]
    fn n07_copy_in_parts_stops_at_the_first_inaccessible_byte() {
        let len = 3 * MAX_COPY + 4096;
        let mut region = Region::reserve(2 * len, "long").unwrap();
        region.commit(0, len).unwrap();
        let bytes: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
        region.poke(0, &bytes).unwrap();
        assert!(region.peek(0, len).unwrap() == bytes);
        assert_eq!(region.peek(0, 2 * len).unwrap_err().kind, RegionErrorKind::Inaccessible { at: len });
        let across = region.poke(MAX_COPY - 2, &vec![7; len]).unwrap_err();
        assert_eq!(across.kind, RegionErrorKind::Inaccessible { at: len });
    }
}
