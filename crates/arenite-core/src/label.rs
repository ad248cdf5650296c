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
#[repr(align(8))]
pub struct Label {
    /// The text, zeroes, and in the last byte its length.
    bytes: [u8; Self::CAPACITY + 1],
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
        let [first, second, third] = words(source.split_at(len).0);
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

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len()).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("")
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The eight bytes of `text` from `at` on, the first one lowest.
#[inline(always)]
const fn word(text: &[u8], at: usize) -> u64 {
    match text.split_at(at).1.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// The last eight bytes of `text` without the first `before` of them; none where that is all.
#[inline(always)]
const fn rest(text: &[u8], before: usize) -> u64 {
    if before < 8 { word(text, text.len() - 8) >> (8 * before) } else { 0 }
}

/// At most 23 bytes as three words, the first one lowest, zeroes behind them. In registers: bytes that are stored one by one, or by a
/// call to the C library's copy, are waited for where the label is copied next.
#[inline(always)]
const fn words(text: &[u8]) -> [u64; 3] {
    let len = text.len();
    match len {
        16.. => [word(text, 0), word(text, 8), rest(text, 24 - len)],
        8.. => [word(text, 0), rest(text, 16 - len), 0],
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
