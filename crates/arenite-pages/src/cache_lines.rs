//! Prefetch of cache lines.
//!
//! The first store to a line in another core's cache waits until this core owns the line. A
//! prefetch overlaps that wait with other work. It is a hint: it reads and writes nothing, and an
//! unmapped address does no harm.
#![expect(unsafe_code, reason = "the instruction has no name in the standard library")]

#[cfg(all(target_arch = "x86_64", not(miri)))]
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Bytes of a cache line; longer lines are prefetched twice.
pub(crate) const LINE: usize = 64;

/// Prefetches the cache lines of `bytes` bytes at `start` for writing: memory that another core
/// used last, or that exceeds the nearest cache. Any address is allowed; nothing is read or
/// written. O(lines). About 16 lines can be under way at once, so prefetch what comes next, not
/// megabytes.
///
/// ```
/// let mut rows = vec![[0_u64; 64]; 100];
/// for row in 0..rows.len() {
///     if let Some(next) = rows.get(row + 1) {
///         arenite_pages::prefetch_write(next.as_ptr().cast(), size_of_val(next));
///     }
///     rows[row].fill(row as u64);
/// }
/// assert_eq!(rows[99][63], 99);
/// ```
#[inline]
pub fn prefetch_write(start: *const u8, bytes: usize) {
    if has_prefetchw() && bytes > 0 {
        let before = start.addr() % LINE;
        for_each_line(start.wrapping_sub(before), bytes.saturating_add(before));
    }
}

/// Prefetches the cache line of one address for reading. Any address is allowed. One instruction
/// without a check of the processor.
///
/// ```
/// let rows = vec![[1_u64; 64]; 100];
/// let sum: u64 = (0..100)
///     .map(|row| {
///         arenite_pages::prefetch_read_line(rows.as_ptr().wrapping_add(row + 4).cast());
///         rows[row].iter().sum::<u64>()
///     })
///     .sum();
/// assert_eq!(sum, 6400);
/// ```
#[inline(always)]
pub fn prefetch_read_line(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, which reads and writes no memory and never faults; it is part of the
    // architecture.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: a hint, which reads and writes no memory and never faults; it is part of the
    // architecture.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _none = address;
}

/// Prefetches like [`prefetch_write`], for a caller that checked [`has_prefetchw`].
#[inline(always)]
pub(crate) fn for_each_line(start: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(LINE) {
        prefetchw(start.wrapping_add(line));
    }
}

/// Returns whether this processor has the instruction.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(crate) fn has_prefetchw() -> bool {
    match SUPPORTED.load(Relaxed) {
        UNKNOWN => detect(),
        status => status == YES,
    }
}

/// Reads CPUID, which is slow in a virtual machine; the result is cached. Threads that race each
/// read it: none may wait, because an allocator calls this in a child of `fork`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[cold]
fn detect() -> bool {
    use core::arch::x86_64::__cpuid;
    const EXTENDED: u32 = 0x8000_0000;
    let has = __cpuid(EXTENDED).eax > EXTENDED && __cpuid(EXTENDED + 1).ecx & 1 << 8 != 0;
    SUPPORTED.store(if has { YES } else { NO }, Relaxed);
    has
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
static SUPPORTED: AtomicU8 = AtomicU8::new(UNKNOWN);
#[cfg(all(target_arch = "x86_64", not(miri)))]
const UNKNOWN: u8 = 0;
#[cfg(all(target_arch = "x86_64", not(miri)))]
const NO: u8 = 1;
#[cfg(all(target_arch = "x86_64", not(miri)))]
const YES: u8 = 2;

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn prefetchw(line: *const u8) {
    // SAFETY: a hint, which reads and writes no memory and never faults; the caller checked that
    // the processor has it.
    unsafe { core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) };
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
pub(crate) const fn has_prefetchw() -> bool {
    true
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline(always)]
fn prefetchw(line: *const u8) {
    // SAFETY: a hint, which reads and writes no memory and never faults; each processor of this
    // kind has it.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
    };
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) const fn has_prefetchw() -> bool {
    false
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
const fn prefetchw(_line: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetch_accepts_any_address_and_writes_nothing() {
        prefetch_write(core::ptr::null(), 1000);
        [core::ptr::null(), core::ptr::without_provenance(usize::MAX)]
            .into_iter()
            .for_each(prefetch_read_line);
        prefetch_write(core::ptr::without_provenance(usize::MAX - 1), 1000);
        let bytes = [7_u8; 1000];
        prefetch_write(bytes.as_ptr(), bytes.len());
        assert_eq!(bytes, [7; 1000]);
    }
}
