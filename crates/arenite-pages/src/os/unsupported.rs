//! Unix systems that have no file of their own yet: every call answers `ENOSYS`.
//!
//! It exists so that the rooms above build there and their callers get a typed error at run time. The functions are those of
//! `linux.rs`, which says what each asks of its caller.
#![expect(unsafe_code, reason = "has the signatures of the Linux surface")]

use super::{Access, Advice, MoveError, NodeSet, Placement, Run, Scan};
use core::ffi::CStr;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

pub(crate) const O_NONBLOCK: i32 = 0;

pub(crate) fn page_size() -> usize {
    4096
}

pub(crate) fn reserve(_len: usize) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn map(_len: usize) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn map_explicit_huge(_len: usize, _log2: u32) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn reserve_at(_start: NonNull<u8>, _len: usize, _replace: bool) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn protect(_start: NonNull<u8>, _len: usize, _access: Access) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn commit(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn decommit(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn release(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn set_vma_name(_start: NonNull<u8>, _len: usize, _name: &CStr) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn advise(_start: NonNull<u8>, _len: usize, _advice: Advice) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn lock(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn unlock(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn mremap_to(_from: NonNull<u8>, _len: usize, _to: NonNull<u8>) -> Result<(), MoveError> {
    Err(MoveError::Failed(Errno::NOSYS))
}

pub(crate) unsafe fn mremap_replace(
    _from: NonNull<u8>,
    _len: usize,
    _to: NonNull<u8>,
) -> Result<bool, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn read_process(_from: usize, _into: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn write_process(_to: usize, _bytes: &[u8]) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn memfd(_name: &CStr) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn seal_size(_file: BorrowedFd<'_>) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn preallocate_file(_file: BorrowedFd<'_>, _offset: u64, _len: u64) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn map_file(
    _file: BorrowedFd<'_>,
    _offset: u64,
    _len: usize,
    _access: Access,
    _shared: bool,
) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn map_file_at(
    _start: NonNull<u8>,
    _file: BorrowedFd<'_>,
    _offset: u64,
    _len: usize,
    _access: Access,
) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn sync_mapping(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn try_ofd_lock(_file: BorrowedFd<'_>, _byte: u8) -> Result<bool, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn ofd_lock_held(_file: BorrowedFd<'_>, _byte: u8) -> Result<bool, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn ofd_unlock(_file: BorrowedFd<'_>, _byte: u8) {}

pub(crate) fn map_double(_len: usize) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn map_double_file(
    _file: BorrowedFd<'_>,
    _offset: u64,
    _len: usize,
) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn mbind(
    _start: NonNull<u8>,
    _len: usize,
    _placement: Placement,
    _nodes: &NodeSet,
    _move_now: bool,
) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn page_nodes(_pages: &[usize], _into: &mut [i32]) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn move_pages(_pages: &[usize], _nodes: &[i32], _into: &mut [i32]) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn getcpu() -> Result<(u32, u32), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn pin_thread(_cpus: &[usize]) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn scan(
    _pagemap: BorrowedFd<'_>,
    _range: (usize, usize),
    _scan: Scan,
    _into: &mut [Run],
) -> Result<(usize, usize), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) unsafe fn uffd_write_protect(_start: NonNull<u8>, _len: usize) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn wait_while(_word: &AtomicU32, _expected: u32, _timeout: Option<Duration>, _shared: bool) {}

pub(crate) fn wake_one(_word: &AtomicU32, _shared: bool) {}

pub(crate) fn register_membarrier(_shared: bool) -> bool {
    false
}

pub(crate) fn membarrier(_shared: bool) -> bool {
    false
}

pub(crate) fn write_stderr(_bytes: &[u8]) {}

pub(crate) fn open_to_read(_path: &CStr) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn is_dir(_path: &CStr) -> bool {
    false
}

/// What of a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Exceptional,
    Changed,
    Readable,
}

pub(crate) fn wait_any<'a>(
    _count: usize,
    _file: impl Fn(usize) -> (BorrowedFd<'a>, Interest),
    _timeout: Option<Duration>,
) -> Result<Option<usize>, Errno> {
    Err(Errno::NOSYS)
}

/// What a file is opened with that is not to be waited for.
pub(crate) const OPEN_NONBLOCK: i32 = 0;

pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn thread_page_faults() -> Option<(u64, u64)> {
    None
}

pub(crate) fn random() -> Option<u64> {
    None
}

pub(crate) fn wait_for_child(_child: u32) -> Result<(i32, super::ResourceUsage), Errno> {
    Err(Errno::NOSYS)
}

/// No handler: no file is ever mapped.
pub(crate) mod bus_error {
    /// Answers for nothing.
    #[derive(Debug)]
    pub(crate) struct Watched;

    impl Watched {
        pub(crate) fn new(_start: core::ptr::NonNull<u8>, _len: usize) -> Self {
            Self
        }

        pub(crate) fn is_truncated(&self) -> bool {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr::NonNull;
    use std::os::fd::AsFd;

    const NO: Errno = Errno::NOSYS;

    #[test]
    fn every_call_answers_that_it_is_not_there() {
        let (at, file) = (NonNull::<u8>::dangling(), tempfile::tempfile().unwrap());
        let (file, word, mut runs) = (file.as_fd(), AtomicU32::new(0), [Run::default()]);
        let scanned = Scan { any_of: 0, returned: 0, rearm: false };
        assert!(page_size().is_power_of_two() && O_NONBLOCK == 0);
        assert_eq!([reserve(1), map(1), map_explicit_huge(1, 21), map_double(1)], [Err(NO); 4]);
        assert_eq!(map_file(file, 0, 1, Access::Read, true), Err(NO));
        assert_eq!(map_double_file(file, 0, 1), Err(NO));
        // SAFETY: nothing is touched, here and below.
        assert_eq!(unsafe { reserve_at(at, 1, false) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { protect(at, 1, Access::None) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { commit(at, 1) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { decommit(at, 1) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { release(at, 1) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { set_vma_name(at, 1, c"x") }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { advise(at, 1, Advice::Huge) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { lock(at, 1) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { unlock(at, 1) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { mremap_to(at, 1, at) }, Err(MoveError::Failed(NO)));
        // SAFETY: as above.
        assert_eq!(unsafe { mremap_replace(at, 1, at) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { write_process(1, &[]) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { map_file_at(at, file, 0, 1, Access::Read) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { sync_mapping(at, 1) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { mbind(at, 1, Placement::Local, &NodeSet::EMPTY, false) }, Err(NO));
        // SAFETY: as above.
        assert_eq!(unsafe { uffd_write_protect(at, 1) }.map(drop), Err(NO));
        assert_eq!((read_process(1, &mut []), scan(file, (0, 1), scanned, &mut runs)), (Err(NO), Err(NO)));
        assert_eq!(
            (memfd(c"x").map(drop), seal_size(file), preallocate_file(file, 0, 1)),
            (Err(NO), Err(NO), Err(NO))
        );
        assert_eq!((try_ofd_lock(file, 0), ofd_lock_held(file, 0)), (Err(NO), Err(NO)));
        ofd_unlock(file, 0);
        assert_eq!((page_nodes(&[], &mut []), move_pages(&[], &[], &mut [])), (Err(NO), Err(NO)));
        assert_eq!((getcpu(), pin_thread(&[])), (Err(NO), Err(NO)));
        for what in [Interest::Exceptional, Interest::Changed, Interest::Readable] {
            assert_eq!(wait_any(1, |_| (file, what), None), Err(NO));
        }
        assert_eq!((open_to_read(c"/").err(), is_dir(c"/")), (Some(NO), false));
        assert_eq!((thread_page_faults(), eventfd().err()), (None, Some(NO)));
        write_stderr(b"");
        assert_eq!(OPEN_NONBLOCK, 0);
        assert_eq!(random(), None);
        assert_eq!(wait_for_child(1).map(|(status, _)| status), Err(NO));
        assert!(!bus_error::Watched::new(at, 1).is_truncated());
        assert!(!register_membarrier(true) && !membarrier(true));
        wait_while(&word, 0, Some(Duration::ZERO), false);
        wake_one(&word, false);
    }
}
