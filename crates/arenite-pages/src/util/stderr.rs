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

/// A message on the stack, cut at 512 bytes, for a program whose heap may be corrupt.
///
/// ```
/// use core::fmt::Write;
/// let mut message = arenite_pages::MessageBuffer::new();
/// let _written = write!(message, "address {:#x}", 4096);
/// assert_eq!(message.as_bytes(), b"address 0x1000");
/// ```
#[derive(Debug)]
pub struct MessageBuffer {
    bytes: [u8; 512],
    len: usize,
}

impl MessageBuffer {
    /// Makes an empty message.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; 512], len: 0 }
    }

    /// Returns the text written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Default for MessageBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Write for MessageBuffer {
    /// Appends as much of `text` as fits.
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let copied = text.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + copied].copy_from_slice(&text.as_bytes()[..copied]);
        self.len += copied;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn message_is_cut_when_the_buffer_is_full() {
        let mut message = MessageBuffer::new();
        for _ in 0..100 {
            write!(message, "seven {}", 7).unwrap();
        }
        assert_eq!(message.as_bytes().len(), 512);
        assert!(message.as_bytes().starts_with(b"seven 7seven 7"));
    }
}
