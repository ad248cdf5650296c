//! The message and abort on an invalid free.
//!
//! Only `write` and `abort` are called, because the heap may be corrupt.
#![expect(unsafe_code, reason = "writes to the standard error file without a lock")]

use arenite_pages::MessageBuffer;
use core::ffi::c_void;
use core::fmt::Write;

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
    let _written = writeln!(
        message,
        "arenite: {call}({address:#x}): not a block of this heap; the program frees what it did not allocate"
    );
    write_stderr(message.as_bytes());
    // SAFETY: `abort` has no precondition and does not return.
    unsafe { libc::abort() }
}
