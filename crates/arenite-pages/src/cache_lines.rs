//! Cache lines that will be written, asked for before they are.
//!
//! Rests on nothing. The first store to a line that lies in another core's cache, or in a far one, waits until the line is here
//! and nowhere else. Asked for in time, it comes while other work is done. It is a hint: it reads and writes nothing, and an
//! address that is not mapped does no harm.
#![expect(unsafe_code, reason = "the instruction has no name in the standard library")]

#[cfg(all(target_arch = "x86_64", not(miri)))]
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The bytes of a cache line; where they are more, a line is asked for twice.
pub(crate) const LINE: usize = 64;

/// Has the cache lines of so many bytes from `start` come to this core, to be written there: memory that another core used last, or
/// that is too large for the nearest cache. Any address will do; nothing is read or written. O(lines); some 16 can be on their
/// way at once, so ask for what is needed next and not for megabytes.
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

/// Has the cache line of one address come to this core: to be read, or written where no other core has it. Any address will do. One
/// instruction, and no question to the processor first, so it costs the shortest path nothing else.
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
    // SAFETY: a hint, which reads and writes no memory and never faults; it is part of the architecture.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _none = address;
}

/// The same as [`prefetch_write`] for a caller who knows that [`has_prefetchw`] says yes.
#[inline(always)]
pub(crate) fn for_each_line(start: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(LINE) {
        prefetchw(start.wrapping_add(line));
    }
}

/// Whether this processor has the instruction.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(crate) fn has_prefetchw() -> bool {
    match SUPPORTED.load(Relaxed) {
        UNKNOWN => detect(),
        answer => answer == YES,
    }
}

/// Asked once, or a few times at once, since the question itself is slow in a virtual machine. Nobody waits for who asks: an allocator
/// comes here, also in a child of `fork` whose parent was asking.
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
    // SAFETY: a hint, which reads and writes no memory and never faults; the caller saw that the processor has it.
    unsafe { core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) };
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
pub(crate) const fn has_prefetchw() -> bool {
    true
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline(always)]
fn prefetchw(line: *const u8) {
    // SAFETY: a hint, which reads and writes no memory and never faults; each processor of this kind has it.
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
    fn any_address_may_be_asked_for_and_nothing_is_written() {
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
