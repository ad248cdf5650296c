//! Moves of memory between ranges without a copy: only the page tables change.
//!
//! A move costs a few nanoseconds per OS page where a copy costs hundreds, and no memory.
#![expect(unsafe_code, reason = "moves what lies behind address ranges")]

use super::Region;
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::os::{self, Access, MoveError};
use rustix::io::Errno;

impl Region {
    /// Moves `size` committed bytes at `from` of this region to `at` of `target`, which may be this
    /// region. Afterwards the target is committed, readable and writable, and has the contents; the
    /// source is reserved and has none. The target's former contents are dropped.
    ///
    /// ```
    /// use arenite_pages::Region;
    /// let mut small = Region::reserve(1 << 20, "small")?;
    /// let large = Region::reserve(1 << 30, "large")?;
    /// small.commit(0, 1 << 20)?;
    /// small.poke(5, b"kept")?;
    /// // SAFETY: no other code uses either range.
    /// unsafe { small.remap(0, 1 << 20, &large, 0) }?; // no byte is copied
    /// large.commit(1 << 20, 1 << 20)?; // and grows in place
    /// assert_eq!(large.peek(5, 4)?, b"kept");
    /// assert!(small.peek(5, 4).is_err());
    /// # Ok::<(), arenite_pages::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// [`RegionError`] if a range is unaligned, outside or empty, or if both overlap.
    /// [`RegionError`] also if the source is not readable and writable from end to end, or the
    /// system fails. Nothing changed then, unless the target is poisoned ([`Region::is_poisoned`]).
    ///
    /// # Safety
    /// 1. No code uses the contents of either range. 2. No code commits, decommits, protects or
    ///    moves a part of either at the same time.
    pub unsafe fn remap(
        &self,
        from: usize,
        size: usize,
        target: &Self,
        at: usize,
    ) -> Result<(), RegionError> {
        const CALL: RegionOp = RegionOp::Remap;
        let source = self.range(CALL, from, size)?;
        let goal = target.range(CALL, at, size)?;
        if source.addr().get().abs_diff(goal.addr().get()) < size {
            return Err(self.error(CALL, from, size, RegionErrorKind::Overlap));
        }
        self.check_accessible(CALL, from, size)?;
        let os_error = |errno| self.os_error(CALL, from, size, errno);
        let change = target.prot_none.begin_change().map_err(|_| os_error(Errno::NOMEM))?;
        // SAFETY: 1. both are ranges of reservations of this process that do not overlap. 2. no
        // code uses them, as the caller promised.
        match unsafe { os::mremap_to(source, size, goal) } {
            Ok(()) => {}
            Err(MoveError::Failed(errno)) => return Err(os_error(errno)),
            Err(MoveError::TargetUnknown(errno)) => {
                target.poison();
                return Err(os_error(errno));
            }
        }
        change.remove(&(at..at + size));
        // The source is a mapping of its own, so the call cannot fail. With access left it would
        // only be empty.
        // SAFETY: the source is empty now, and no code uses it.
        let closed = unsafe { os::protect(source, size, Access::None) };
        debug_assert!(closed.is_ok(), "{closed:?}");
        Ok(())
    }

    /// Moves `size` committed bytes at `from` over committed ones at `at` of another region, if no
    /// code needs the contents of either. One system call, without reading the list of mappings:
    /// the caller knows that both are committed.
    ///
    /// Returns `false` if the kernel refused, as one before 6.17 does if the source is several
    /// mappings. Both are then committed as before, with their contents or zeroes.
    ///
    /// # Errors
    /// [`RegionError`] if the target's state is unknown: that part of its region must not be used,
    /// see [`Region::is_poisoned`].
    ///
    /// # Safety
    /// 1. Both ranges are inside their regions, multiples of the OS page, committed for reading and
    ///    writing, and do not overlap. 2. No code relies on their contents, and none uses, commits,
    ///    decommits, protects or moves a part of either at the same time.
    pub unsafe fn remap_replacing(
        &self,
        from: usize,
        size: usize,
        target: &Self,
        at: usize,
    ) -> Result<bool, RegionError> {
        const CALL: RegionOp = RegionOp::Remap;
        let (source, goal) = (self.range(CALL, from, size)?, target.range(CALL, at, size)?);
        // SAFETY: the caller's guarantees are the same.
        match unsafe { os::mremap_replace(source, size, goal) } {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(errno) => {
                target.poison();
                return Err(self.os_error(CALL, from, size, errno));
            }
        }
        // SAFETY: the source is empty now, and no code uses it. With access left it would only be
        // empty.
        let _closed = unsafe { os::protect(source, size, Access::None) };
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_size;

    #[test]
    fn remap_moves_contents_and_leaves_the_source_reserved() {
        let (page, mut a) = (page_size(), Region::reserve(1 << 20, "a").unwrap());
        let b = Region::reserve(1 << 20, "b").unwrap();
        a.commit(0, 8 * page).unwrap();
        a.poke(3 * page + 7, b"moved").unwrap();
        let resident = a.query(0).unwrap().resident;
        // SAFETY: no code uses either range.
        unsafe { a.remap(2 * page, 4 * page, &b, 16 * page) }.unwrap();
        assert_eq!(b.peek(17 * page + 7, 5).unwrap(), b"moved");
        assert_eq!(b.query(16 * page).unwrap().range, 16 * page..20 * page);
        assert_eq!(
            (b.query(16 * page).unwrap().resident, resident),
            (page, page),
            "the same page, not a copy"
        );
        assert_eq!(a.peek(2 * page, 1).unwrap_err().kind, RegionErrorKind::Inaccessible { at: 2 * page });
        assert_eq!(a.peek(page, 1).unwrap(), [0]);
        // SAFETY: no code uses either range.
        unsafe { b.remap(16 * page, 4 * page, &b, 0) }.unwrap();
        assert_eq!(b.peek(page + 7, 5).unwrap(), b"moved");
    }

    #[test]
    fn remap_replacing_moves_or_leaves_the_contents() {
        let (page, mut a) = (page_size(), Region::reserve(1 << 20, "a").unwrap());
        let mut b = Region::reserve(1 << 20, "b").unwrap();
        a.commit(0, 8 * page).unwrap();
        b.commit(0, 16 * page).unwrap();
        a.poke(3 * page + 7, b"moved").unwrap();
        b.poke(page, b"dropped").unwrap();
        // SAFETY: committed ranges of two regions, which no code uses.
        assert!(unsafe { a.remap_replacing(2 * page, 4 * page, &b, 0) }.unwrap());
        assert_eq!(b.peek(page + 7, 5).unwrap(), b"moved");
        assert_eq!(a.peek(2 * page, 1).unwrap_err().kind, RegionErrorKind::Inaccessible { at: 2 * page });
        // the moved memory is a mapping of its own there
        let mut c = Region::reserve(1 << 20, "c").unwrap();
        c.commit(0, 16 * page).unwrap();
        b.poke(8 * page, b"stays").unwrap();
        // SAFETY: as above.
        let moved = unsafe { b.remap_replacing(0, 16 * page, &c, 0) }.unwrap();
        let (with, without) = if moved { (&mut c, &mut b) } else { (&mut b, &mut c) };
        assert_eq!(
            (with.peek(page + 7, 5).unwrap(), with.peek(8 * page, 5).unwrap()),
            (b"moved".to_vec(), b"stays".to_vec())
        );
        assert_eq!(without.peek(15 * page, 1).is_err(), moved);
        assert!(!b.is_poisoned() && !c.is_poisoned());
        // SAFETY: no code uses either range, of which one is outside.
        let outside = unsafe { b.remap_replacing(0, 2 << 20, &c, 0) }.unwrap_err().kind;
        assert_eq!(outside, RegionErrorKind::OutOfRange);
    }

    #[test]
    fn remap_fails_on_invalid_ranges() {
        let (page, a) = (page_size(), Region::reserve(1 << 20, "a").unwrap());
        a.commit(0, 4 * page).unwrap();
        // SAFETY: no code uses either range.
        let error = |from, size, at| unsafe { a.remap(from, size, &a, at) }.unwrap_err().kind;
        assert_eq!(error(0, 2 * page, page), RegionErrorKind::Overlap);
        assert_eq!(error(0, 8 * page, 16 * page), RegionErrorKind::Inaccessible { at: 4 * page });
        assert_eq!(error(0, page, 1 << 20), RegionErrorKind::OutOfRange);
        assert_eq!(error(1, page, 16 * page), RegionErrorKind::Unaligned);
        assert_eq!(error(0, 0, 16 * page), RegionErrorKind::BadSize);
        assert_eq!(a.query(16 * page).unwrap().state, crate::PageStatus::Reserved);
    }
}
