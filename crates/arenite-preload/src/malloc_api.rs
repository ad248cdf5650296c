//! The C allocation functions over the heap.
//!
//! Each function is a few checks around one call of the heap. The common paths are short: one test
//! of the size, and one test that some heap contains the address.
#![expect(unsafe_code, reason = "is called by C, with what C promises")]

use crate::HEAP;
use crate::fatal::invalid_free;
use crate::report;
use arenite_alloc::Heap;
use arenite_core::Trim;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::ptr::{NonNull, null_mut};

/// Largest size and alignment in bytes of a block that needs no 16-byte alignment.
const SMALL: usize = 8;

/// Returns the layout of a request that gives only a size.
#[inline(always)]
fn layout(size: usize) -> Option<Layout> {
    let align = if size > SMALL { 16 } else { SMALL };
    Layout::from_size_align(size, align).ok()
}

fn set_errno(errno: c_int) {
    // SAFETY: the call has no precondition.
    let cell = unsafe { libc::__errno_location() };
    // SAFETY: the C library returned its cell of the calling thread, which is valid for writes.
    unsafe { cell.write(errno) };
}

#[cold]
fn failed(errno: c_int) -> *mut c_void {
    set_errno(errno);
    null_mut()
}

/// Allocates a block, or returns null with `ENOMEM`.
#[inline(always)]
fn allocate(layout: Option<Layout>, zeroed: bool) -> *mut c_void {
    let Some(layout) = layout else { return failed(libc::ENOMEM) };
    let block = if zeroed {
        // SAFETY: this heap accepts every layout, also one of zero bytes.
        unsafe { HEAP.alloc_zeroed(layout) }
    } else {
        // SAFETY: this heap accepts every layout, also one of zero bytes.
        unsafe { HEAP.alloc(layout) }
    };
    if block.is_null() { failed(libc::ENOMEM) } else { block.cast() }
}

/// Returns the block at `address`, or `None` if it is null.
///
/// An address that no heap contains ends the program.
#[inline(always)]
fn checked_block(call: &str, address: *mut c_void) -> Option<NonNull<u8>> {
    let block = NonNull::new(address.cast::<u8>())?;
    if !Heap::maybe_contains(block.as_ptr()) {
        invalid_free(call, address.addr());
    }
    Some(block)
}

/// Implements `malloc` of C.
#[unsafe(no_mangle)]
pub extern "C" fn malloc(size: usize) -> *mut c_void {
    allocate(layout(size), false)
}

/// Implements `free` of C.
///
/// # Safety
/// `address` is a live block of this library that is not used afterwards, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(address: *mut c_void) {
    if let Some(block) = checked_block("free", address) {
        // SAFETY: the caller passes a live block that is not used afterwards; `checked_block`
        // rejected addresses that no heap contains.
        unsafe { HEAP.free(block) };
    }
}

/// Implements `calloc` of C.
#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    allocate(count.checked_mul(size).and_then(layout), true)
}

/// Implements `realloc` of C. A size of zero frees the block.
///
/// # Safety
/// `address` is a live block of this library or null. The block is not used afterwards, unless
/// the call fails and returns null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(address: *mut c_void, size: usize) -> *mut c_void {
    let Some(block) = checked_block("realloc", address) else { return malloc(size) };
    if size == 0 {
        // SAFETY: the caller passes a live block that is not used afterwards.
        unsafe { HEAP.free(block) };
        return null_mut();
    }
    let Some(layout) = layout(size) else { return failed(libc::ENOMEM) };
    // SAFETY: the caller passes a live block that is not used after success.
    match unsafe { HEAP.reallocate(block, layout) } {
        Ok(block) => block.cast().as_ptr(),
        Err(_) => failed(libc::ENOMEM),
    }
}

/// Implements `reallocarray` of glibc and OpenBSD.
///
/// # Safety
/// The requirements of [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(address: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller meets the requirements of `realloc`.
        Some(bytes) => unsafe { realloc(address, bytes) },
        None => failed(libc::ENOMEM),
    }
}

/// Allocates a block with an alignment that is a power of two.
fn aligned(align: usize, size: usize) -> *mut c_void {
    allocate(Layout::from_size_align(size, align.max(SMALL)).ok(), false)
}

/// Implements `posix_memalign` of POSIX: returns the error and leaves errno unchanged.
///
/// # Safety
/// `out` is valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    // SAFETY: the call has no precondition.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the C library returned its cell of the calling thread, which is initialised.
    let before = unsafe { errno.read() };
    let block = aligned(align, size);
    if block.is_null() {
        // SAFETY: the cell of the calling thread is valid for writes.
        unsafe { errno.write(before) };
        return libc::ENOMEM;
    }
    // SAFETY: the caller passes an `out` that is valid for a write.
    unsafe { out.write(block) };
    0
}

/// Implements `aligned_alloc` of C11.
#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { aligned(align, size) } else { failed(libc::EINVAL) }
}

/// Implements `memalign` of glibc, which rounds the alignment up to a power of two.
#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match align.max(1).checked_next_power_of_two() {
        Some(align) => aligned(align, size),
        None => failed(libc::EINVAL),
    }
}

fn page_size() -> usize {
    // SAFETY: the call only reads a configuration value.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page).unwrap_or(4096)
}

/// Implements `valloc` of BSD: a block aligned to an OS page.
#[unsafe(no_mangle)]
pub extern "C" fn valloc(size: usize) -> *mut c_void {
    aligned(page_size(), size)
}

/// Implements `pvalloc` of glibc: a block of whole OS pages.
#[unsafe(no_mangle)]
pub extern "C" fn pvalloc(size: usize) -> *mut c_void {
    match size.max(1).checked_next_multiple_of(page_size()) {
        Some(size) => aligned(page_size(), size),
        None => failed(libc::ENOMEM),
    }
}

/// Implements `free_sized` of C23.
///
/// # Safety
/// The requirements of [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(address: *mut c_void, _size: usize) {
    // SAFETY: the caller meets the requirements of `free`.
    unsafe { free(address) };
}

/// Implements `free_aligned_sized` of C23.
///
/// # Safety
/// The requirements of [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(address: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: the caller meets the requirements of `free`.
    unsafe { free(address) };
}

/// Implements `cfree` of old C libraries.
///
/// # Safety
/// The requirements of [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(address: *mut c_void) {
    // SAFETY: the caller meets the requirements of `free`.
    unsafe { free(address) };
}

/// Implements `malloc` under the name that glibc's own libraries use.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
    malloc(size)
}

/// Implements `calloc` under the name that glibc's own libraries use.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    calloc(count, size)
}

/// Implements `realloc` under the name that glibc's own libraries use.
///
/// # Safety
/// The requirements of [`realloc`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_realloc(address: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller meets the requirements of `realloc`.
    unsafe { realloc(address, size) }
}

/// Implements `memalign` under the name that glibc's own libraries use.
#[unsafe(no_mangle)]
pub extern "C" fn __libc_memalign(align: usize, size: usize) -> *mut c_void {
    memalign(align, size)
}

/// Implements `free` under the name that glibc's own libraries use.
///
/// # Safety
/// The requirements of [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_free(address: *mut c_void) {
    // SAFETY: the caller meets the requirements of `free`.
    unsafe { free(address) };
}

/// Implements `malloc_usable_size` of glibc. The program may use every byte of the result.
///
/// # Safety
/// `address` is a live block of this library, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(address: *mut c_void) -> usize {
    match checked_block("malloc_usable_size", address) {
        // SAFETY: the caller passes a live block of this library.
        Some(block) => unsafe { HEAP.usable_size(block) },
        None => 0,
    }
}

/// Implements `malloc_trim` of glibc. Returns 1 if memory was released to the operating system.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(keep: usize) -> c_int {
    c_int::from(HEAP.trim(keep) > 0)
}

/// Implements `mallopt` of glibc. No parameter is supported, so the result is 0.
#[unsafe(no_mangle)]
pub extern "C" fn mallopt(_parameter: c_int, _value: c_int) -> c_int {
    0
}

/// Implements `mallinfo2` of glibc.
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
        keepcost: stats.cached_large_bytes,
    }
}

/// Implements `mallinfo` of SVID, whose numbers are capped at 2 GiB.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo() -> libc::mallinfo {
    let info = mallinfo2();
    let narrow = |number: usize| c_int::try_from(number).unwrap_or(c_int::MAX);
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

/// Implements `malloc_stats` of glibc: writes the statistics to the standard error file.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_stats() {
    report::write_text();
}
