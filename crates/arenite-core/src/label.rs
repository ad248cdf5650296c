//! The short name that a resource, a region or a block carries into errors, events and reports.
//!
//! A label is a fixed array and not a `String`: errors on allocation paths must not allocate.

use core::fmt;

/// Up to 23 bytes of UTF-8, stored inline; longer names are cut at a character boundary.
///
/// ```
/// use arenite_core::Label;
/// assert_eq!(Label::new("weights").as_str(), "weights");
/// assert!(Label::default().is_empty());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(align(8))]
pub struct Label {
    /// The text, zeroes, and the length in the last byte.
    bytes: [u8; Self::CAPACITY + 1],
}

impl Label {
    /// Maximum length of a label in bytes.
    pub const CAPACITY: usize = 23;

    /// Creates a label from the first [`Label::CAPACITY`] bytes of `name`, cut at a character
    /// boundary.
    #[inline]
    #[must_use]
    pub const fn new(name: &str) -> Self {
        let source = name.as_bytes();
        let mut len = if source.len() < Self::CAPACITY { source.len() } else { Self::CAPACITY };
        while !name.is_char_boundary(len) {
            len -= 1;
        }
        let [first, second, third] = pack(source.split_at(len).0);
        let words = [first, second, third | (len as u64) << 56];
        let mut bytes = [0; Self::CAPACITY + 1];
        let mut at = 0;
        while at < bytes.len() {
            bytes.split_at_mut(at).1.split_at_mut(8).0.copy_from_slice(&words[at / 8].to_le_bytes());
            at += 8;
        }
        Self { bytes }
    }

    const fn len(&self) -> usize {
        self.bytes[Self::CAPACITY] as usize
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len()).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("")
    }

    /// Returns whether the text is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns eight bytes of `text` from `at` on as a little-endian word.
#[inline(always)]
const fn pack_word(text: &[u8], at: usize) -> u64 {
    match text.split_at(at).1.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// Returns the last eight bytes of `text` without their first `before` bytes, or 0 if none is
/// left.
#[inline(always)]
const fn pack_rest(text: &[u8], before: usize) -> u64 {
    if before < 8 { pack_word(text, text.len() - 8) >> (8 * before) } else { 0 }
}

/// Packs at most 23 bytes into three little-endian words, padded with zeroes. The packing stays in
/// registers: a label stored byte by byte, or by `memcpy`, stalls its next copy.
#[inline(always)]
const fn pack(text: &[u8]) -> [u64; 3] {
    let len = text.len();
    match len {
        16.. => [pack_word(text, 0), pack_word(text, 8), pack_rest(text, 24 - len)],
        8.. => [pack_word(text, 0), pack_rest(text, 16 - len), 0],
        4.. => {
            let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) else { return [0; 3] };
            let (first, last) = (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64);
            [first | last << (8 * (len - 4)), 0, 0]
        }
        1.. => {
            let (middle, end) = (len / 2, len - 1);
            [text[0] as u64 | (text[middle] as u64) << (8 * middle) | (text[end] as u64) << (8 * end), 0, 0]
        }
        0 => [0; 3],
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
    fn a_label_of_any_length_holds_its_text() {
        let text = "abcdefghijklmnopqrstuvwxyz";
        for len in 0..=text.len() {
            let label = Label::new(&text[..len]);
            assert_eq!(label.as_str(), &text[..len.min(Label::CAPACITY)]);
            assert_eq!(label.is_empty(), len == 0);
        }
        const MADE: Label = Label::new("at compile time");
        assert_eq!(MADE.as_str(), "at compile time");
    }

    #[test]
    fn a_long_label_is_cut_at_a_character_boundary() {
        assert_eq!(Label::new("abcdefghijklmnopqrstuvwxyz").as_str(), "abcdefghijklmnopqrstuvw");
        assert_eq!(Label::new("ααααααααααααα").as_str(), "ααααααααααα");
    }
}
