//! Writes to stderr without locks or allocation, for a dying program.
//!
//! The lock of the standard library's stream may be held by the dying thread, or by one that no
//! longer exists.

/// Writes a line to the standard error file without a lock and without allocation. The file may
/// accept only a part of it.
///
/// ```
/// arenite_pages::write_stderr_raw(b"arenite: about to end\n");
/// ```
pub fn write_stderr_raw(line: &[u8]) {
    crate::os::write_stderr(line);
}
