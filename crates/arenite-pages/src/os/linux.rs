//! Linux: most system calls of this crate.
//!
//! `rustix` makes them, or `libc` where `rustix` lacks one. A reservation is a private anonymous
//! mapping without access. A commit changes its protection, so an access to uncommitted memory
//! faults.
//!
//! A *range* is an address and a length in bytes, both multiples of the OS page; the length is
//! positive.
#![expect(unsafe_code, reason = "maps, protects and unmaps address ranges")]

use super::{Access, Advice, MoveError, Run, Scan};
use core::ffi::CStr;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;
use rustix::event::Timespec;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, MremapFlags, MsyncFlags, ProtFlags};
use rustix::thread::futex;

/// Returns the size of an OS page in bytes: a constant of the architecture, which costs no load.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) const fn page_size() -> usize {
    4096
}

/// Returns the size of an OS page in bytes. Cached, because every commit needs it.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn page_size() -> usize {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Relaxed) {
        0 => {
            SIZE.store(rustix::param::page_size(), Relaxed);
            rustix::param::page_size()
        }
        size => size,
    }
}

#[inline]
fn protection(access: Access) -> ProtFlags {
    match access {
        Access::None => ProtFlags::empty(),
        Access::Read => ProtFlags::READ,
        Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        Access::ReadExecute => ProtFlags::READ | ProtFlags::EXEC,
    }
}

#[inline]
fn map_anonymous(len: usize, access: Access, flags: MapFlags) -> Result<NonNull<u8>, Errno> {
    // SAFETY: the kernel chooses the address, so no existing mapping is replaced.
    let base = unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), len, protection(access), flags) }?;
    NonNull::new(base.cast()).ok_or(Errno::NOMEM)
}

/// Reserves a range of `len` bytes of address space without backing.
#[inline]
pub(crate) fn reserve(len: usize) -> Result<NonNull<u8>, Errno> {
    map_anonymous(len, Access::None, MapFlags::PRIVATE | MapFlags::NORESERVE)
}

/// Maps a range of `len` bytes, zeroed, readable and writable.
pub(crate) fn map(len: usize) -> Result<NonNull<u8>, Errno> {
    map_anonymous(len, Access::ReadWrite, MapFlags::PRIVATE)
}

/// Maps a range on explicit huge pages of `2^log2` bytes, of which `len` is a multiple, and
/// reserves them now.
pub(crate) fn map_explicit_huge(len: usize, log2: u32) -> Result<NonNull<u8>, Errno> {
    let size = MapFlags::from_bits_retain(log2 << libc::MAP_HUGE_SHIFT);
    map_anonymous(len, Access::ReadWrite, MapFlags::PRIVATE | MapFlags::HUGETLB | size)
}

/// Reserves the given range: where nothing is mapped, or with `replace` also over existing
/// mappings.
///
/// # Safety
/// With `replace`, the range is the caller's own, and no code uses what was there.
pub(crate) unsafe fn reserve_at(start: NonNull<u8>, len: usize, replace: bool) -> Result<(), Errno> {
    let fixed = if replace { MapFlags::FIXED } else { MapFlags::FIXED_NOREPLACE };
    let (start, flags) = (start.as_ptr().cast(), MapFlags::PRIVATE | MapFlags::NORESERVE | fixed);
    // SAFETY: the flag makes the call fail instead of replacing a mapping, or the caller promised
    // that it may be replaced.
    let got = unsafe { rustix::mm::mmap_anonymous(start, len, ProtFlags::empty(), flags) }?;
    if got == start { Ok(()) } else { Err(Errno::EXIST) }
}

/// Changes the protection of a range; its contents stay.
///
/// # Safety
/// 1. The range is the caller's own mapping. 2. No code uses it in a way that `access` forbids.
#[inline]
pub(crate) unsafe fn protect(start: NonNull<u8>, len: usize, access: Access) -> Result<(), Errno> {
    let flags = MprotectFlags::from_bits_retain(protection(access).bits());
    // SAFETY: the caller's guarantees are the same.
    unsafe { rustix::mm::mprotect(start.as_ptr().cast(), len, flags) }
}

/// Makes a range readable and writable; what was backed keeps its contents.
///
/// # Safety
/// The range lies inside one reservation of the caller.
#[inline]
pub(crate) unsafe fn commit(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the range is the caller's own; more access invalidates no reference.
    unsafe { protect(start, len, Access::ReadWrite) }
}

/// Drops the contents and the backing of a range; it faults until committed again.
///
/// # Safety
/// 1. As [`commit`]. 2. No code reads or writes the range afterwards without committing it.
pub(crate) unsafe fn decommit(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise: no code uses the range's contents.
    unsafe { advise(start, len, Advice::Discard) }?;
    // SAFETY: as above.
    unsafe { protect(start, len, Access::None) }
}

/// Unmaps a range.
///
/// # Safety
/// The range is a mapping of the caller's (or complete parts of one) that no code uses afterwards.
#[inline]
pub(crate) unsafe fn release(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller's guarantees are the same.
    unsafe { rustix::mm::munmap(start.as_ptr().cast(), len) }
}

/// Shows `name` for a range in `/proc/PID/maps`, if the kernel supports it; it must contain no
/// `[ ] \ $ ` or backtick.
///
/// # Safety
/// The range is the caller's own anonymous mapping.
pub(crate) unsafe fn set_vma_name(start: NonNull<u8>, len: usize, name: &CStr) -> Result<(), Errno> {
    const PR_SET_VMA: libc::c_int = 0x5356_4d41;
    const ANON_NAME: libc::c_ulong = 0;
    // SAFETY: the kernel reads the name and attaches it to the mapping; contents and access stay.
    check(unsafe { libc::prctl(PR_SET_VMA, ANON_NAME, start.as_ptr(), len, name.as_ptr()) }.into()).map(drop)
}

// --- advice, locking, moving

/// Advises the kernel about a range. Preserves `errno`.
///
/// # Safety
/// 1. The range is the caller's own mapping. 2. For `Discard` and `Free`: no code relies on the
///    contents afterwards.
pub(crate) unsafe fn advise(start: NonNull<u8>, len: usize, advice: Advice) -> Result<(), Errno> {
    let number = match advice {
        Advice::Huge => libc::MADV_HUGEPAGE,
        Advice::NoHuge => libc::MADV_NOHUGEPAGE,
        Advice::PopulateWrite => libc::MADV_POPULATE_WRITE,
        Advice::Discard => libc::MADV_DONTNEED,
        Advice::Free => libc::MADV_FREE,
        Advice::Cold => libc::MADV_COLD,
        Advice::PageOut => libc::MADV_PAGEOUT,
        Advice::Collapse => libc::MADV_COLLAPSE,
    };
    // SAFETY: the calling thread's own cell.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { errno.read() };
    // SAFETY: the caller's promises; other advice changes no contents.
    let result = check(unsafe { libc::madvise(start.as_ptr().cast(), len, number) }.into()).map(drop);
    // An allocator that purges memory must not change the `errno` of its caller.
    // SAFETY: as above.
    unsafe { errno.write(before) };
    result
}

/// Writes to the standard error file, without a lock.
pub(crate) fn write_stderr(bytes: &[u8]) {
    // SAFETY: the call reads that many bytes.
    let _written = unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
}

/// Populates a range and locks it in memory.
///
/// # Safety
/// The range is the caller's own mapping.
pub(crate) unsafe fn lock(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the call changes no contents.
    unsafe { rustix::mm::mlock(start.as_ptr().cast(), len) }
}

/// Unlocks a range, so that the kernel may page it out.
///
/// # Safety
/// As [`lock`].
pub(crate) unsafe fn unlock(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the call changes no contents.
    unsafe { rustix::mm::munlock(start.as_ptr().cast(), len) }
}

/// Moves the OS pages of one range to another without copying. The source stays mapped, with its
/// access, and is empty.
///
/// The move has two steps: first to an address of the kernel's choice, then over the target. A
/// call with `MREMAP_FIXED` unmaps its target before it can fail.
///
/// # Safety
/// 1. Both ranges are private anonymous mappings of the caller's, each inside one mapping, and do
///    not overlap.
/// 2. No code uses the contents of either.
pub(crate) unsafe fn mremap_to(from: NonNull<u8>, len: usize, to: NonNull<u8>) -> Result<(), MoveError> {
    let (from, to) = (from.as_ptr().cast(), to.as_ptr());
    const AWAY: libc::c_int = libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP;
    // SAFETY: the caller's promises; nothing is replaced.
    let between = unsafe { libc::mremap(from, len, len, AWAY, core::ptr::null_mut::<u8>()) };
    if between == libc::MAP_FAILED {
        return Err(MoveError::Failed(last_error()));
    }
    // SAFETY: the caller's promises; the call replaces only its own target.
    let Err(errno) =
        (unsafe { rustix::mm::mremap_fixed(between, len, len, MremapFlags::MAYMOVE, to.cast()) })
    else {
        return Ok(());
    };
    // SAFETY: back over the source, which is empty and the caller's own.
    if unsafe { rustix::mm::mremap_fixed(between, len, len, MremapFlags::MAYMOVE, from) }.is_err() {
        // The process may have no mapping left for a move; the source still is one.
        // SAFETY: both are mapped for reading and writing, do not overlap, and only this call uses
        // them.
        unsafe { core::ptr::copy_nonoverlapping(between.cast::<u8>(), from.cast::<u8>(), len) };
        // SAFETY: this call's own mapping, which no other code uses.
        let _released = unsafe { rustix::mm::munmap(between, len) };
    }
    let target = NonNull::new(to).ok_or(MoveError::Failed(errno))?;
    // SAFETY: nothing that is mapped is replaced.
    match unsafe { reserve_at(target, len, false) } {
        Ok(()) => Err(MoveError::Failed(errno)),
        Err(_) => Err(MoveError::TargetUnknown(errno)),
    }
}

/// Moves like [`mremap_to`] in one call, for contents that no code needs. Returns `false` if the
/// kernel refused: both are then mapped for reading and writing, and empty or not.
///
/// # Errors
/// The state of the target is unknown.
///
/// # Safety
/// As [`mremap_to`].
pub(crate) unsafe fn mremap_replace(from: NonNull<u8>, len: usize, to: NonNull<u8>) -> Result<bool, Errno> {
    let (source, target) = (from.as_ptr().cast(), to.as_ptr());
    const OVER: libc::c_int = libc::MREMAP_MAYMOVE | libc::MREMAP_DONTUNMAP | libc::MREMAP_FIXED;
    // SAFETY: the caller's promises; the source stays as it is if the call fails.
    if unsafe { libc::mremap(source, len, len, OVER, target) } != libc::MAP_FAILED {
        return Ok(true);
    }
    // If the target was unmapped, it is mapped anew. Otherwise several mappings may have moved in
    // part.
    // SAFETY: nothing that is mapped is replaced.
    unsafe { reserve_at(to, len, false) }?;
    // SAFETY: a range that was just reserved.
    unsafe { protect(to, len, Access::ReadWrite) }.map(|()| false)
}

// --- copies that return an error instead of faulting

/// Copies memory of this process at `from` to `into`, at most 1 GiB, through the kernel. Returns
/// the number of bytes before the first that cannot be read.
pub(crate) fn read_process(from: usize, into: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let remote = libc::iovec { iov_base: core::ptr::without_provenance_mut(from), iov_len: into.len() };
    // SAFETY: the kernel writes at most `into.len()` bytes to `into`, and checks the other address
    // itself.
    let done = unsafe { libc::process_vm_readv(own, &raw const local, 1, &raw const remote, 1, 0) };
    copied_bytes(check(done as i64))
}

/// Copies `bytes`, at most 1 GiB, to memory of this process at `to` through the kernel. Returns
/// the number of bytes before the first that cannot be written.
///
/// # Safety
/// No other code uses `[to, to + bytes.len())` at the same time.
pub(crate) unsafe fn write_process(to: usize, bytes: &[u8]) -> Result<usize, Errno> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let remote = libc::iovec { iov_base: core::ptr::without_provenance_mut(to), iov_len: bytes.len() };
    // SAFETY: the kernel reads `bytes`, and checks the other address itself; the caller promised
    // that no other code uses it.
    let done = unsafe { libc::process_vm_writev(own, &raw const local, 1, &raw const remote, 1, 0) };
    copied_bytes(check(done as i64))
}

fn copied_bytes(result: Result<i64, Errno>) -> Result<usize, Errno> {
    match result {
        Ok(bytes) => usize::try_from(bytes).map_err(|_| Errno::IO),
        Err(Errno::FAULT) => Ok(0),
        Err(errno) => Err(errno),
    }
}

// --- files

/// Flag to open a file that is polled, or a pipe without a writer, without waiting.
pub(crate) const O_NONBLOCK: i32 = libc::O_NONBLOCK;

/// Makes an anonymous file in memory, closed on exec, that can be sealed.
pub(crate) fn memfd(name: &CStr) -> Result<OwnedFd, Errno> {
    use rustix::fs::MemfdFlags;
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
}

/// Seals the size of an anonymous file.
pub(crate) fn seal_size(file: BorrowedFd<'_>) -> Result<(), Errno> {
    use rustix::fs::SealFlags;
    rustix::fs::fcntl_add_seals(file, SealFlags::GROW | SealFlags::SHRINK)
}

/// Allocates disk space for `len` bytes at `offset` of a file. A later write to them, or to a
/// mapping of them, then cannot find the device full. Longer files keep their length.
pub(crate) fn preallocate_file(file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    loop {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), offset, len) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Maps `len` bytes of a file from `offset` (a multiple of the OS page). Shared: writes reach the
/// file and its other mappings. Private: writes stay here.
pub(crate) fn map_file(
    file: BorrowedFd<'_>,
    offset: u64,
    len: usize,
    access: Access,
    shared: bool,
) -> Result<NonNull<u8>, Errno> {
    let flags = if shared { MapFlags::SHARED } else { MapFlags::PRIVATE };
    // SAFETY: the kernel chooses the address, so no existing mapping is replaced.
    let base =
        unsafe { rustix::mm::mmap(core::ptr::null_mut(), len, protection(access), flags, file, offset) }?;
    NonNull::new(base.cast()).ok_or(Errno::NOMEM)
}

/// Maps a file from `offset` over a range, shared. All are multiples of the OS page.
///
/// # Safety
/// The range is the caller's own, and no code uses what was there.
pub(crate) unsafe fn map_file_at(
    start: NonNull<u8>,
    file: BorrowedFd<'_>,
    offset: u64,
    len: usize,
    access: Access,
) -> Result<(), Errno> {
    let (start, flags) = (start.as_ptr().cast(), MapFlags::SHARED | MapFlags::FIXED);
    // SAFETY: it replaces the caller's own range.
    unsafe { rustix::mm::mmap(start, len, protection(access), flags, file, offset) }.map(drop)
}

/// Writes the changes of a shared mapping to its file, and waits for the device.
///
/// # Safety
/// The range is the caller's own mapping of a file.
pub(crate) unsafe fn sync_mapping(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the call changes no contents.
    unsafe { rustix::mm::msync(start.as_ptr().cast(), len, MsyncFlags::SYNC) }
}

/// Locks one byte of a file for this open file description, until that is closed or its process
/// ends. Returns `false` if another description has locked it.
pub(crate) fn try_ofd_lock(file: BorrowedFd<'_>, byte: u8) -> Result<bool, Errno> {
    match ofd_lock(file, libc::F_OFD_SETLK, libc::F_WRLCK, byte) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Returns whether another open file description has locked this byte.
pub(crate) fn ofd_lock_held(file: BorrowedFd<'_>, byte: u8) -> Result<bool, Errno> {
    ofd_lock(file, libc::F_OFD_GETLK, libc::F_WRLCK, byte).map(|lock| i32::from(lock.l_type) != libc::F_UNLCK)
}

/// Unlocks a byte that this open file description has locked.
pub(crate) fn ofd_unlock(file: BorrowedFd<'_>, byte: u8) {
    let _unlocked: Result<_, Errno> = ofd_lock(file, libc::F_OFD_SETLK, libc::F_UNLCK, byte);
}

#[expect(clippy::cast_possible_truncation, reason = "the constants are 0 to 2")]
fn ofd_lock(
    file: BorrowedFd<'_>,
    command: libc::c_int,
    kind: libc::c_int,
    byte: u8,
) -> Result<libc::flock, Errno> {
    let (l_type, l_whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    let mut lock = libc::flock { l_type, l_whence, l_start: byte.into(), l_len: 1, l_pid: 0 };
    // SAFETY: the descriptor is open while it is borrowed; the kernel only reads and writes the
    // struct.
    check(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) }.into())?;
    Ok(lock)
}

// --- double mappings

/// Maps a range of `2 * len` bytes whose halves show the same fresh, zeroed memory. `len` is a
/// multiple of the OS page.
pub(crate) fn map_double(len: usize) -> Result<NonNull<u8>, Errno> {
    let all = len.checked_mul(2).ok_or(Errno::NOMEM)?;
    let base = map_anonymous(all, Access::ReadWrite, MapFlags::SHARED)?;
    let half = base.as_ptr().wrapping_add(len);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // An old size of 0 requests a second view of a shared mapping, here over its own second half.
    // SAFETY: the target is the second half of the mapping just made, which no code uses.
    let twin = unsafe { libc::mremap(base.as_ptr().cast(), 0, len, flags, half) };
    if twin == libc::MAP_FAILED {
        let errno = last_error();
        // SAFETY: the rest of the mapping just made; no code uses it.
        let _released: Result<(), _> = unsafe { release(base, all) };
        return Err(errno);
    }
    Ok(base)
}

/// Maps a range of `2 * len` bytes whose halves show the same `len` bytes of a file, from
/// `offset`. Both are multiples of the OS page.
pub(crate) fn map_double_file(file: BorrowedFd<'_>, offset: u64, len: usize) -> Result<NonNull<u8>, Errno> {
    let all = len.checked_mul(2).ok_or(Errno::NOMEM)?;
    let base = reserve(all)?;
    for half in [base, NonNull::new(base.as_ptr().wrapping_add(len)).unwrap_or(base)] {
        // SAFETY: it replaces a half of the reservation just made, which no code uses.
        if let Err(errno) = unsafe { map_file_at(half, file, offset, len, Access::ReadWrite) } {
            // SAFETY: the reservation just made; no code uses it.
            let _released: Result<(), _> = unsafe { release(base, all) };
            return Err(errno);
        }
    }
    Ok(base)
}

// --- written and resident OS pages

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    out: u64,
    out_len: u64,
    max_pages: u64,
    inverted: u64,
    all_of: u64,
    any_of: u64,
    returned: u64,
}

/// Finds runs of OS pages in `[start, end)` in the kernel's page tables: `pagemap` is
/// `/proc/self/pagemap`. Returns the number of runs, and the address at which the walk stopped
/// because `into` was full.
pub(crate) fn scan(
    pagemap: BorrowedFd<'_>,
    (start, end): (usize, usize),
    scan: Scan,
    into: &mut [Run],
) -> Result<(usize, usize), Errno> {
    const PAGEMAP_SCAN: u64 = 0xc060_6610;
    let mut argument = ScanArgument {
        size: size_of::<ScanArgument>() as u64,
        flags: if scan.rearm { 3 } else { 0 },
        start: start as u64,
        end: end as u64,
        out: into.as_mut_ptr().addr() as u64,
        out_len: into.len() as u64,
        any_of: scan.any_of,
        returned: scan.returned,
        ..ScanArgument::default()
    };
    let _exposed = into.as_mut_ptr().expose_provenance();
    // SAFETY: the kernel writes at most `into.len()` runs, which have the layout of its own, and
    // the argument.
    let found =
        check(unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut argument) }.into())?;
    let walked = usize::try_from(argument.walk_end).map_err(|_| Errno::IO)?;
    Ok((usize::try_from(found).map_err(|_| Errno::IO)?, walked))
}

/// Watches the writes to a range until the descriptor is closed: the kernel marks a written OS
/// page without delaying the writer.
///
/// # Safety
/// The range is the caller's own private anonymous mapping.
pub(crate) unsafe fn uffd_write_protect(start: NonNull<u8>, len: usize) -> Result<OwnedFd, Errno> {
    const USER_MODE_ONLY: libc::c_int = 1;
    const API: u64 = 0xc018_aa3f;
    const REGISTER: u64 = 0xc020_aa00;
    const PROTECT: u64 = 0xc018_aa06;
    // write faults, also of absent OS pages, resolved by the kernel
    const FEATURES: u64 = 1 | 1 << 13 | 1 << 15;
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | USER_MODE_ONLY;
    // SAFETY: the call makes a descriptor and touches no memory.
    let raw = check(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })?;
    let raw = RawFd::try_from(raw).map_err(|_| Errno::IO)?;
    // SAFETY: the descriptor was just made and has no other owner.
    let watch = unsafe { OwnedFd::from_raw_fd(raw) };
    let (start, len) = (start.as_ptr().addr() as u64, len as u64);
    let mut api = [0xaa, FEATURES, 0];
    // SAFETY: the kernel reads and writes 24 bytes.
    check(unsafe { libc::ioctl(raw, API as _, api.as_mut_ptr()) }.into())?;
    let mut register = [start, len, 2, 0];
    // SAFETY: the kernel reads and writes 32 bytes; the range is the caller's, its contents and
    // access stay.
    check(unsafe { libc::ioctl(raw, REGISTER as _, register.as_mut_ptr()) }.into())?;
    let mut protect = [start, len, 1];
    // SAFETY: the kernel reads 24 bytes; a write to the range continues after the kernel has marked
    // its OS page.
    check(unsafe { libc::ioctl(raw, PROTECT as _, protect.as_mut_ptr()) }.into())?;
    Ok(watch)
}

// --- waiting

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

fn futex_flags(shared: bool) -> futex::Flags {
    if shared { futex::Flags::empty() } else { futex::Flags::PRIVATE }
}

/// Sleeps while `word` is `expected`, at most for `timeout`; may wake early. Shared: other
/// processes can wake it too.
pub(crate) fn wait_while(word: &AtomicU32, expected: u32, timeout: Option<Duration>, shared: bool) {
    let timeout = timeout.map(timespec);
    // The result (woken, changed, timed out, a signal) does not matter: the caller checks again.
    let _woken: Result<(), Errno> = futex::wait(word, futex_flags(shared), expected, timeout.as_ref());
}

/// Wakes one thread that sleeps on `word`.
pub(crate) fn wake_one(word: &AtomicU32, shared: bool) {
    let _count: Result<usize, Errno> = futex::wake(word, futex_flags(shared), 1);
}

/// Registers this process for [`membarrier`]; with `shared`, also for those of other processes.
/// Returns whether the kernel supports it.
pub(crate) fn register_membarrier(shared: bool) -> bool {
    let command = if shared { 1 << 2 } else { 1 << 4 };
    // SAFETY: the call touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Runs a full barrier on every processor that runs a thread of this process (shared: of any
/// registered process). Returns `false` if the kernel has none.
#[cfg_attr(loom, expect(dead_code, reason = "a model has a fence instead"))]
pub(crate) fn membarrier(shared: bool) -> bool {
    let command = if shared { 1 << 1 } else { 1 << 3 };
    // SAFETY: the call touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Opens a file or a directory for reading, without an allocator.
pub(crate) fn open_to_read(path: &CStr) -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags};
    let open = || rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    rustix::io::retry_on_intr(open)
}

/// Returns whether a directory exists, without an allocator.
pub(crate) fn is_dir(path: &CStr) -> bool {
    use rustix::fs::FileType;
    rustix::fs::stat(path).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory)
}

/// Returns an unpredictable number, or `None` if the kernel has no randomness yet.
pub(crate) fn random() -> Option<u64> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the kernel writes at most that many bytes there.
    let wrote = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    (wrote == 8).then(|| u64::from_ne_bytes(bytes))
}

/// Returns the result of a C library call: not negative, or the error number.
pub(super) fn check(value: i64) -> Result<i64, Errno> {
    if value < 0 { Err(last_error()) } else { Ok(value) }
}

fn last_error() -> Errno {
    let number = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(number.unwrap_or(libc::EIO))
}
