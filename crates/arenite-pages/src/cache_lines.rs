//! Cache lines that will be written, asked for before they are.
//!
//! Rests on nothing. The first store to a line that lies in another core's cache, or in a far one, waits until the line is here
//! and nowhere else. Asked for in time, it comes while other work is done. It is a hint: it reads and writes nothing, and an
//! address that is not mapped does no harm.
#![expect(unsafe_code, reason = "the instruction has no name in the standard library")]

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
///         arenite_pages::fetch_to_write(next.as_ptr().cast(), size_of_val(next));
///     }
///     rows[row].fill(row as u64);
/// }
/// assert_eq!(rows[99][63], 99);
/// ```
#[inline]
pub fn fetch_to_write(start: *const u8, bytes: usize) {
    if has_hint() {
        lines(start, bytes);
    }
}

/// The same for a caller who knows that [`has_hint`] says yes.
#[inline(always)]
pub(crate) fn lines(start: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(LINE) {
        ask(start.wrapping_add(line));
    }
}

/// Whether this processor has the instruction.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(crate) fn has_hint() -> bool {
    use std::sync::LazyLock;
    // asked once, since the question itself is slow in a virtual machine
    static ANSWER: LazyLock<bool> = LazyLock::new(|| {
        use core::arch::x86_64::__cpuid;
        const EXTENDED: u32 = 0x8000_0000;
        __cpuid(EXTENDED).eax > EXTENDED && __cpuid(EXTENDED + 1).ecx & 1 << 8 != 0
    });
    *ANSWER
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn ask(line: *const u8) {
    // SAFETY: a hint, which reads and writes no memory and never faults; the caller saw that the processor has it.
    unsafe { core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) };
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
pub(crate) const fn has_hint() -> bool {
    true
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline(always)]
fn ask(line: *const u8) {
    // SAFETY: a hint, which reads and writes no memory and never faults; each processor of this kind has it.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
    };
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) const fn has_hint() -> bool {
    false
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
const fn ask(_line: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_may_be_asked_for_and_nothing_is_written() {
        fetch_to_write(core::ptr::null(), 1000);
        fetch_to_write(core::ptr::without_provenance(usize::MAX - 1), 1000);
        let bytes = [7_u8; 1000];
        fetch_to_write(bytes.as_ptr(), bytes.len());
        assert_eq!(bytes, [7; 1000]);
    }
}
