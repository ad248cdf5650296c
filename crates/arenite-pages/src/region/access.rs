//! Reads and writes of bytes and scalars that return an error where a plain access would fault.
//!
//! The kernel copies between address spaces, here with both in this process, and returns how far
//! it came. A check before a plain access could be outdated by a concurrent change; the copy
//! cannot. A call takes at least half a microsecond: for the checked API, scripts and debuggers.
#![expect(unsafe_code, reason = "writes to memory that is not borrowed")]

use super::Region;
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::scalar::{Scalar, zeroed};
use crate::util::nofault_copy;
use rustix::io::Errno;

impl Region {
    /// Reads `count` bytes at `offset`.
    ///
    /// ```
    /// use arenite_pages::Region;
    /// let mut region = Region::reserve(1 << 20, "buffer")?;
    /// region.commit(0, 65_536)?;
    /// region.poke(0, &[72, 101, 108])?;
    /// assert_eq!(region.peek(0, 3)?, [72, 101, 108]);
    /// assert!(region.peek(65_535, 2).is_err()); // the second byte is not committed
    /// # Ok::<(), arenite_pages::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// [`RegionError`] if the range lies outside the region, or a byte of it cannot be read.
    pub fn peek(&self, offset: usize, count: usize) -> Result<Vec<u8>, RegionError> {
        self.check_range(RegionOp::Peek, offset, count)?;
        let mut bytes = zeroed(count).ok_or_else(|| self.alloc_failed(offset, count))?;
        self.peek_into(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies bytes from `offset` to `into`.
    ///
    /// # Errors
    /// As [`Region::peek`]; `into` may be filled up to the first byte that cannot be read.
    pub fn peek_into(&self, offset: usize, into: &mut [u8]) -> Result<(), RegionError> {
        self.check_range(RegionOp::Peek, offset, into.len())?;
        let done = nofault_copy::read_process(self.base.addr().get() + offset, into);
        self.copy_checked(RegionOp::Peek, offset, into.len(), done)
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`RegionError`] if the range lies outside the region, or a byte of it cannot be written; the
    /// bytes before that one may be written.
    pub fn poke(&mut self, offset: usize, bytes: &[u8]) -> Result<(), RegionError> {
        self.check_range(RegionOp::Poke, offset, bytes.len())?;
        // SAFETY: the range lies inside this region, which is borrowed exclusively: any reference
        // to its bytes borrows the region.
        let done = unsafe { nofault_copy::write_process(self.base.addr().get() + offset, bytes) };
        self.copy_checked(RegionOp::Poke, offset, bytes.len(), done)
    }

    /// Reads `count` scalars at `offset`, which need not be aligned, in the machine's byte order.
    ///
    /// ```
    /// use arenite_pages::Region;
    /// let mut region = Region::reserve(4096, "numbers")?;
    /// region.commit(0, 4096)?;
    /// region.typed_poke(8, &[3.14_f32, 2.71])?;
    /// assert_eq!(region.typed_peek::<f32>(8, 2)?, [3.14, 2.71]);
    /// # Ok::<(), arenite_pages::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Region::peek`].
    pub fn typed_peek<T: Scalar>(&self, offset: usize, count: usize) -> Result<Vec<T>, RegionError> {
        self.check_range(RegionOp::Peek, offset, count.saturating_mul(size_of::<T>()))?;
        let mut numbers = zeroed(count).ok_or_else(|| self.alloc_failed(offset, count))?;
        self.peek_into(offset, bytemuck::cast_slice_mut(&mut numbers))?;
        Ok(numbers)
    }

    /// Copies `numbers` to `offset`, which need not be aligned, in the machine's byte order.
    ///
    /// # Errors
    /// As [`Region::poke`].
    pub fn typed_poke<T: Scalar>(&mut self, offset: usize, numbers: &[T]) -> Result<(), RegionError> {
        self.poke(offset, bytemuck::cast_slice(numbers))
    }

    fn alloc_failed(&self, offset: usize, count: usize) -> RegionError {
        self.os_error(RegionOp::Peek, offset, count, Errno::NOMEM)
    }

    /// Rejects bytes outside the region. An empty range is inside at any offset up to the end.
    fn check_range(&self, op: RegionOp, offset: usize, count: usize) -> Result<(), RegionError> {
        match offset.checked_add(count) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(self.error(op, offset, count, RegionErrorKind::OutOfRange)),
        }
    }

    fn copy_checked(
        &self,
        op: RegionOp,
        offset: usize,
        count: usize,
        done: Result<usize, Errno>,
    ) -> Result<(), RegionError> {
        let kind = match done {
            Ok(done) if done == count => return Ok(()),
            Ok(done) => RegionErrorKind::Inaccessible { at: offset + done },
            Err(Errno::NOSYS | Errno::PERM) => RegionErrorKind::Unsupported {
                what: "process_vm_readv and process_vm_writev in this process",
            },
            Err(errno) => RegionErrorKind::Os { errno: errno.raw_os_error() },
        };
        Err(self.error(op, offset, count, kind))
    }
}
