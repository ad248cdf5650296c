//! The end of a program that gave back what is no block.
//!
//! Rests on `write` and `abort` alone: the heap may be what is broken.
#![expect(unsafe_code, reason = "writes to the standard error file without a lock")]

use core::ffi::c_void;

/// A line without an allocation.
struct Line {
    bytes: [u8; 160],
    len: usize,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        for (to, &from) in self.bytes.iter_mut().skip(self.len).zip(text) {
            *to = from;
        }
        self.len = (self.len + text.len()).min(self.bytes.len());
    }

    fn push_hex(&mut self, number: usize) {
        let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let value = number >> (4 * digit) & 15;
            self.push(&b"0123456789abcdef"[value..=value]);
        }
    }
}

/// Writes `bytes` to the standard error file.
pub(crate) fn say(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the call reads that many bytes.
        let wrote = unsafe { libc::write(2, rest.as_ptr().cast::<c_void>(), rest.len()) };
        match usize::try_from(wrote) {
            Ok(wrote) if wrote > 0 => rest = rest.get(wrote..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// Ends the program: `call` was given an address that is not the start of a block.
#[cold]
#[inline(never)]
pub(crate) fn not_a_block(call: &str, address: usize) -> ! {
    let mut line = Line { bytes: [0; 160], len: 0 };
    line.push(b"arenite: ");
    line.push(call.as_bytes());
    line.push(b"(0x");
    line.push_hex(address);
    line.push(b"): not a block of this heap; the program frees what it did not allocate\n");
    say(line.bytes.get(..line.len).unwrap_or_default());
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}
