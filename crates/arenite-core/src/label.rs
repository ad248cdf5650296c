//! A label: the short name that a resource, a region or a block carries into errors, events and reports.
//!
//! Rests on nothing. It is a fixed array rather than a `String` because errors on allocation paths must not allocate.

use core::fmt;

/// Up to 23 bytes of UTF-8, stored in place; longer names are cut at a character boundary.
///
/// ```
/// use arenite_core::Label;
/// assert_eq!(Label::new("weights").as_str(), "weights");
/// assert!(Label::default().is_empty());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl Label {
    /// The longest label, in bytes.
    pub const CAPACITY: usize = 23;

    /// A label of the first [`Label::CAPACITY`] bytes of `name`, cut at a character boundary.
    #[inline]
    #[must_use]
    pub const fn new(name: &str) -> Self {
        let source = name.as_bytes();
        let mut len = if source.len() < Self::CAPACITY { source.len() } else { Self::CAPACITY };
        while !name.is_char_boundary(len) {
            len -= 1;
        }
        let mut bytes = [0; Self::CAPACITY];
        bytes.split_at_mut(len).0.copy_from_slice(source.split_at(len).0);
        #[expect(clippy::cast_possible_truncation, reason = "at most 23")]
        let len = len as u8;
        Self { bytes, len }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("")
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl From<&str> for Label {
    #[inline]
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(if self.is_empty() { "unlabelled" } else { self.as_str() })
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_label_is_cut_at_a_character_boundary() {
        assert_eq!(Label::new("abcdefghijklmnopqrstuvwxyz").as_str(), "abcdefghijklmnopqrstuvw");
        assert_eq!(Label::new("ααααααααααααα").as_str(), "ααααααααααα");
    }
}
