//! Last words.
//!
//! Rests on `os`. The standard library's error stream has a lock, which the thread that comes to its end may hold, or another one that
//! is no more.

/// Writes a line to the standard error file of the process, without a lock and without an allocation; part of it where the file takes no
/// more. For programs that are about to end.
///
/// ```
/// arenite_pages::write_stderr_raw(b"arenite: about to end\n");
/// ```
pub fn write_stderr_raw(line: &[u8]) {
    crate::os::write_stderr(line);
}
