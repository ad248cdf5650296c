//! Linux: address space, backing and advice.
//!
//! Rests on `rustix`. Reserving is a private anonymous mapping that nobody may touch; committing is a change of its
//! protection, so that memory which is not committed faults instead of silently growing the process.
#![expect(unsafe_code, reason = "maps, protects and unmaps address ranges")]

use core::ptr::NonNull;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};

/// The size of an OS page, in bytes.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// `len` bytes of address space without backing. `len` is a positive multiple of the OS page.
pub(crate) fn reserve(len: usize) -> Result<NonNull<u8>, Errno> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: the kernel chooses the place, so no existing mapping is replaced.
    let base = unsafe { mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::empty(), flags) }?;
    NonNull::new(base.cast()).ok_or(Errno::NOMEM)
}

/// `len` bytes of address space with backing. `len` is a positive multiple of the OS page.
pub(crate) fn map(len: usize) -> Result<NonNull<u8>, Errno> {
    // SAFETY: the kernel chooses the place, so no existing mapping is replaced.
    let base = unsafe {
        mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    }?;
    NonNull::new(base.cast()).ok_or(Errno::NOMEM)
}

/// Backs `len` bytes at `start` for reading and writing; what was backed keeps its contents.
///
/// # Safety
/// `start` and `len` are multiples of the OS page inside one reservation of the caller.
pub(crate) unsafe fn commit(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the range is the caller's own reservation; more access invalidates no reference.
    unsafe { mprotect(start.as_ptr().cast(), len, MprotectFlags::READ | MprotectFlags::WRITE) }
}

/// Drops the contents and the backing of `len` bytes at `start`; they fault until committed again.
///
/// # Safety
/// 1. As [`commit`]. 2. Nobody reads or writes the range afterwards without committing it.
pub(crate) unsafe fn decommit(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise: nobody uses the range's contents.
    unsafe { madvise(start.as_ptr().cast(), len, Advice::LinuxDontNeed) }?;
    // SAFETY: as above.
    unsafe { mprotect(start.as_ptr().cast(), len, MprotectFlags::empty()) }
}

/// Gives `len` bytes of address space at `start` back.
///
/// # Safety
/// The range is a mapping of the caller's (or a whole part of one) that nobody uses afterwards.
pub(crate) unsafe fn release(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { munmap(start.as_ptr().cast(), len) }
}

/// Asks for (or, with `false`, refuses) transparent huge pages in `len` bytes at `start`.
///
/// # Safety
/// As [`commit`].
pub(crate) unsafe fn advise_huge(start: NonNull<u8>, len: usize, wanted: bool) -> Result<(), Errno> {
    let advice = if wanted { Advice::LinuxHugepage } else { Advice::LinuxNoHugepage };
    // SAFETY: the advice changes no contents; the range is the caller's own.
    unsafe { madvise(start.as_ptr().cast(), len, advice) }
}

/// Page faults of the calling thread: without disk, and with.
pub(crate) fn thread_faults() -> Option<(u64, u64)> {
    let mut usage = core::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel writes a `rusage` there, and nothing else.
    let answer = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if answer != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it is written.
    let usage = unsafe { usage.assume_init() };
    Some((u64::try_from(usage.ru_minflt).ok()?, u64::try_from(usage.ru_majflt).ok()?))
}
