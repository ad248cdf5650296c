//! The message and abort on an invalid free.
//!
//! Only `write` and `abort` are called, because the heap may be corrupt.
#![expect(unsafe_code, reason = "writes to the standard error file without a lock")]

use core::ffi::c_void;

/// Maximum length of a message in bytes.
const MAX_MESSAGE_BYTES: usize = 160;

/// A message built on the stack, cut at its capacity.
struct MessageBuffer {
    bytes: [u8; MAX_MESSAGE_BYTES],
    len: usize,
}

impl MessageBuffer {
    const fn new() -> Self {
        Self { bytes: [0; MAX_MESSAGE_BYTES], len: 0 }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

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
pub(crate) fn write_stderr(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the pointer and the length are those of a live slice, which the call only reads.
        let wrote = unsafe { libc::write(2, rest.as_ptr().cast::<c_void>(), rest.len()) };
        match usize::try_from(wrote) {
            Ok(wrote) if wrote > 0 => rest = rest.get(wrote..).unwrap_or_default(),
            _ => return,
        }
    }
}

/// Ends the program because `call` got an address that no heap contains.
#[cold]
#[inline(never)]
pub(crate) fn invalid_free(call: &str, address: usize) -> ! {
    let mut message = MessageBuffer::new();
    message.push(b"arenite: ");
    message.push(call.as_bytes());
    message.push(b"(0x");
    message.push_hex(address);
    message.push(b"): not a block of this heap; the program frees what it did not allocate\n");
    write_stderr(message.as_bytes());
    // SAFETY: `abort` has no precondition and does not return.
    unsafe { libc::abort() }
}
