//! The functions of the `linux*.rs` files for Unix systems without an implementation: each returns
//! `ENOSYS`.
//!
//! The other modules build on such a system and return typed errors at run time. The `linux*.rs`
//! files document the functions.
#![expect(unsafe_code, reason = "has the signatures of the Linux functions")]

use super::{Access, Advice, Interest, MoveError, NodeSet, Placement, Run, Scan};
use core::ffi::CStr;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Defines functions by the types of their parameters and of their result.
macro_rules! unsupported {
    ($($name:ident($($type:ty),*) -> $ok:ty;)*) => {
        $(pub(crate) fn $name($(_: $type),*) -> Result<$ok, Errno> { Err(Errno::NOSYS) })*
    };
}

/// Defines `unsafe` functions by the types of their parameters and of their result.
macro_rules! unsupported_unsafe {
    ($($name:ident($($type:ty),*) -> $ok:ty;)*) => {
        $(pub(crate) unsafe fn $name($(_: $type),*) -> Result<$ok, Errno> { Err(Errno::NOSYS) })*
    };
}

unsupported! {
    reserve(usize) -> NonNull<u8>;
    map(usize) -> NonNull<u8>;
    map_explicit_huge(usize, u32) -> NonNull<u8>;
    read_process(usize, &mut [u8]) -> usize;
    memfd(&CStr) -> OwnedFd;
    seal_size(BorrowedFd<'_>) -> ();
    preallocate_file(BorrowedFd<'_>, u64, u64) -> ();
    map_file(BorrowedFd<'_>, u64, usize, Access, bool) -> NonNull<u8>;
    try_ofd_lock(BorrowedFd<'_>, u8) -> bool;
    ofd_lock_held(BorrowedFd<'_>, u8) -> bool;
    map_double(usize) -> NonNull<u8>;
    map_double_file(BorrowedFd<'_>, u64, usize) -> NonNull<u8>;
    page_nodes(&[usize], &mut [i32]) -> ();
    move_pages(&[usize], &[i32], &mut [i32]) -> ();
    getcpu() -> (u32, u32);
    pin_thread(&[usize]) -> ();
    scan(BorrowedFd<'_>, (usize, usize), Scan, &mut [Run]) -> (usize, usize);
    open_to_read(&CStr) -> OwnedFd;
    eventfd() -> OwnedFd;
    wait_for_child(u32) -> (i32, super::ResourceUsage);
}

unsupported_unsafe! {
    reserve_at(NonNull<u8>, usize, bool) -> ();
    protect(NonNull<u8>, usize, Access) -> ();
    commit(NonNull<u8>, usize) -> ();
    decommit(NonNull<u8>, usize) -> ();
    release(NonNull<u8>, usize) -> ();
    set_vma_name(NonNull<u8>, usize, &CStr) -> ();
    advise(NonNull<u8>, usize, Advice) -> ();
    lock(NonNull<u8>, usize) -> ();
    unlock(NonNull<u8>, usize) -> ();
    mremap_replace(NonNull<u8>, usize, NonNull<u8>) -> bool;
    write_process(usize, &[u8]) -> usize;
    map_file_at(NonNull<u8>, BorrowedFd<'_>, u64, usize, Access) -> ();
    sync_mapping(NonNull<u8>, usize) -> ();
    mbind(NonNull<u8>, usize, Placement, &NodeSet, bool) -> ();
    uffd_write_protect(NonNull<u8>, usize) -> OwnedFd;
}

pub(crate) unsafe fn mremap_to(_: NonNull<u8>, _: usize, _: NonNull<u8>) -> Result<(), MoveError> {
    Err(MoveError::Failed(Errno::NOSYS))
}

pub(crate) const O_NONBLOCK: i32 = 0;

pub(crate) fn page_size() -> usize {
    4096
}

pub(crate) fn ofd_unlock(_file: BorrowedFd<'_>, _byte: u8) {}

pub(crate) fn wait_while(_word: &AtomicU32, _expected: u32, _timeout: Option<Duration>, _shared: bool) {}

pub(crate) fn wake_one(_word: &AtomicU32, _shared: bool) {}

pub(crate) fn register_membarrier(_shared: bool) -> bool {
    false
}

pub(crate) fn membarrier(_shared: bool) -> bool {
    false
}

pub(crate) fn write_stderr(_bytes: &[u8]) {}

pub(crate) fn is_dir(_path: &CStr) -> bool {
    false
}

pub(crate) fn wait_any<'a>(
    _count: usize,
    _file: impl Fn(usize) -> (BorrowedFd<'a>, Interest),
    _timeout: Option<Duration>,
) -> Result<Option<usize>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn thread_page_faults() -> Option<(u64, u64)> {
    None
}

pub(crate) fn random() -> Option<u64> {
    None
}

/// A SIGBUS handler that is never needed: no file can be mapped.
pub(crate) mod bus_error {
    /// A registration without effect.
    #[derive(Debug)]
    pub(crate) struct Watched;

    impl Watched {
        pub(crate) fn new(_start: core::ptr::NonNull<u8>, _len: usize) -> Self {
            Self
        }

        pub(crate) fn is_damaged(&self) -> bool {
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
    fn every_function_returns_enosys() {
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
        assert_eq!(random(), None);
        assert_eq!(wait_for_child(1).map(|(status, _)| status), Err(NO));
        assert!(!bus_error::Watched::new(at, 1).is_damaged());
        assert!(!register_membarrier(true) && !membarrier(true));
        wait_while(&word, 0, Some(Duration::ZERO), false);
        wake_one(&word, false);
    }
}
