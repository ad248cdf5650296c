//! The C functions.
//!
//! Rests on `HEAP`. Each is a few checks around one call of the heap, written so that the common ones are short: a test
//! for a size that has a class, and for an address that some heap has.
#![expect(unsafe_code, reason = "is called by C, with what C promises")]

use crate::HEAP;
use crate::fatal::not_a_block;
use crate::report;
use arenite_alloc::Heap;
use arenite_core::Trim;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::ptr::{NonNull, null_mut};

/// Below this, 8 bytes are all that an object of the size can need.
const SMALL: usize = 8;

/// The layout that C asks for with a size alone.
#[inline(always)]
fn layout(size: usize) -> Option<Layout> {
    let align = if size > SMALL { 16 } else { SMALL };
    Layout::from_size_align(size, align).ok()
}

fn set_errno(errno: c_int) {
    // SAFETY: the C library's own cell of the calling thread.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above, valid for writes.
    unsafe { place.write(errno) };
}

#[cold]
fn refused(errno: c_int) -> *mut c_void {
    set_errno(errno);
    null_mut()
}

/// A block of a layout, or null with `ENOMEM`.
#[inline(always)]
fn take(layout: Option<Layout>, zeroed: bool) -> *mut c_void {
    let Some(layout) = layout else { return refused(libc::ENOMEM) };
    let block = if zeroed {
        // SAFETY: this heap lends blocks of no bytes, too.
        unsafe { HEAP.alloc_zeroed(layout) }
    } else {
        // SAFETY: as above.
        unsafe { HEAP.alloc(layout) }
    };
    if block.is_null() { refused(libc::ENOMEM) } else { block.cast() }
}

/// The block that C gives back; an address that no heap has ends the program. `None`: null.
#[inline(always)]
fn block(call: &str, address: *mut c_void) -> Option<NonNull<u8>> {
    let block = NonNull::new(address.cast::<u8>())?;
    if !Heap::may_own(block.as_ptr()) {
        not_a_block(call, address.addr());
    }
    Some(block)
}

/// `malloc` of C.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut c_void {
    take(layout(size), false)
}

/// `free` of C.
///
/// # Safety
/// A block of this library that nobody uses afterwards, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(address: *mut c_void) {
    if let Some(block) = block("free", address) {
        // SAFETY: the caller's promise; an address of no heap does not come here.
        unsafe { HEAP.free(block) };
    }
}

/// `calloc` of C.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    take(count.checked_mul(size).and_then(layout), true)
}

/// `realloc` of C: with size zero, `free`.
///
/// # Safety
/// As [`free`], but that the block stays as it was where null comes back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(address: *mut c_void, size: usize) -> *mut c_void {
    let Some(block) = block("realloc", address) else { return malloc(size) };
    if size == 0 {
        // SAFETY: the caller's promise.
        unsafe { HEAP.free(block) };
        return null_mut();
    }
    let Some(layout) = layout(size) else { return refused(libc::ENOMEM) };
    // SAFETY: the caller's promise.
    match unsafe { HEAP.reallocate(block, layout) } {
        Ok(block) => block.cast().as_ptr(),
        Err(_) => refused(libc::ENOMEM),
    }
}

/// `reallocarray` of glibc and OpenBSD.
///
/// # Safety
/// As [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(address: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(bytes) => unsafe { realloc(address, bytes) },
        None => refused(libc::ENOMEM),
    }
}

/// A block of an alignment that is a power of two.
fn aligned(align: usize, size: usize) -> *mut c_void {
    take(Layout::from_size_align(size, align.max(SMALL)).ok(), false)
}

/// `posix_memalign` of POSIX: the error comes back, and errno stays.
///
/// # Safety
/// `out` is valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    // SAFETY: the C library's own cell of the calling thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { errno.read() };
    let block = aligned(align, size);
    if block.is_null() {
        // SAFETY: as above.
        unsafe { errno.write(before) };
        return libc::ENOMEM;
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(block) };
    0
}

/// `aligned_alloc` of C11.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { aligned(align, size) } else { refused(libc::EINVAL) }
}

/// `memalign` of glibc, which takes the next power of two.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match align.max(1).checked_next_power_of_two() {
        Some(align) => aligned(align, size),
        None => refused(libc::EINVAL),
    }
}

fn page() -> usize {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page).unwrap_or(4096)
}

/// `valloc` of BSD: aligned to the OS page.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    aligned(page(), size)
}

/// `pvalloc` of glibc: whole OS pages.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(size: usize) -> *mut c_void {
    match size.max(1).checked_next_multiple_of(page()) {
        Some(size) => aligned(page(), size),
        None => refused(libc::ENOMEM),
    }
}

/// `free_sized` of C23.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(address: *mut c_void, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(address) };
}

/// `free_aligned_sized` of C23.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(address: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller's promise.
    unsafe { free(address) };
}

/// `cfree` of old C libraries.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(address: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { free(address) };
}

/// `malloc` by the name that glibc has for its own libraries.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
    malloc(size)
}

/// `calloc` by that name.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    calloc(count, size)
}

/// `realloc` by that name.
///
/// # Safety
/// As [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_realloc(address: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { realloc(address, size) }
}

/// `memalign` by that name.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_memalign(align: usize, size: usize) -> *mut c_void {
    memalign(align, size)
}

/// `free` by that name.
///
/// # Safety
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_free(address: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { free(address) };
}

/// `malloc_usable_size` of glibc: all of it may be used.
///
/// # Safety
/// A live block of this library, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(address: *mut c_void) -> usize {
    match block("malloc_usable_size", address) {
        // SAFETY: the caller's promise.
        Some(block) => unsafe { HEAP.usable_size(block) },
        None => 0,
    }
}

/// `malloc_trim` of glibc: 1 where something went back to the system.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(keep: usize) -> c_int {
    c_int::from(HEAP.trim(keep) > 0)
}

/// `mallopt` of glibc; no parameter is known here.
#[unsafe(no_mangle)]
pub extern "C" fn mallopt(_parameter: c_int, _value: c_int) -> c_int {
    0
}

/// `mallinfo2` of glibc.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo2() -> libc::mallinfo2 {
    let stats = HEAP.stats();
    let free = stats.state.held.saturating_sub(stats.state.in_use);
    libc::mallinfo2 {
        arena: stats.state.held.saturating_sub(stats.large_bytes),
        ordblks: 0,
        smblks: 0,
        hblks: stats.large_blocks,
        hblkhd: stats.large_bytes,
        usmblks: 0,
        fsmblks: 0,
        uordblks: stats.state.in_use,
        fordblks: free,
        keepcost: stats.kept,
    }
}

/// `mallinfo` of SVID, whose figures end at 2 GiB.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo() -> libc::mallinfo {
    let info = mallinfo2();
    let narrow = |figure: usize| c_int::try_from(figure).unwrap_or(c_int::MAX);
    libc::mallinfo {
        arena: narrow(info.arena),
        ordblks: 0,
        smblks: 0,
        hblks: narrow(info.hblks),
        hblkhd: narrow(info.hblkhd),
        usmblks: 0,
        fsmblks: 0,
        uordblks: narrow(info.uordblks),
        fordblks: narrow(info.fordblks),
        keepcost: narrow(info.keepcost),
    }
}

/// `malloc_stats` of glibc: says on the standard error file what the heap holds.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_stats() {
    report::say();
}
