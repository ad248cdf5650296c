//! A text as ids: its vocabulary, and the sequences to train on.
//!
//! A text is read once, before training; a step only copies from it.

use super::{Batch, Config, Split};
use arenite_core::Resource;
use arenite_tensor::ArrayError;
use core::ops::Range;
use std::collections::BTreeMap;

/// A text for training, with an id for every character.
///
/// ```
/// use workloads::char_lm::Text;
/// let text = Text::new(b"hello, world", 4)?;
/// assert_eq!(text.decode(&text.encode("hold")), "hold");
/// assert_eq!(text.decode(&text.encode("hymn")), "h\u{fffd}\u{fffd}\u{fffd}");
/// # Ok::<(), workloads::char_lm::TextError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Text {
    tokens: Vec<u8>,
    characters: Vec<char>,
    numbers: BTreeMap<char, u8>,
    context: usize,
}

/// The reason why a text cannot be trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text is empty.
    #[error("the text is empty; give a file of at least a few thousand characters")]
    Empty,
    /// The text has a zero byte, or bytes that are not UTF-8.
    #[error("not a text: byte {position} is not UTF-8 text; give a plain text file, not a binary one")]
    Binary {
        /// Position of the first such byte.
        position: usize,
    },
    /// The text is one repeated character.
    #[error("the text is {found:?} throughout; there is nothing to learn, give a text of several characters")]
    OneCharacter {
        /// The character.
        found: char,
    },
    /// The text is shorter than a sequence and the character after it.
    #[error(
        "the text has {found} characters and a step needs {needed}; give a longer text or a shorter context"
    )]
    TooShort {
        /// Number of characters found.
        found: usize,
        /// Number of characters needed: the context and two.
        needed: usize,
    },
}

impl Text {
    /// Maximum number of characters in a vocabulary, including the unknown one.
    pub const MAX_VOCABULARY: usize = 128;
    /// The replacement for characters outside the vocabulary, with id 0.
    pub const UNKNOWN: char = '\u{fffd}';

    /// Reads a text for sequences of `context` characters.
    ///
    /// The vocabulary has the lower-case letters of the text and then its most frequent other
    /// characters, in code-point order. All others become [`Text::UNKNOWN`].
    ///
    /// # Errors
    /// A [`TextError`] with the reason and a remedy.
    pub fn new(bytes: &[u8], context: usize) -> Result<Self, TextError> {
        if let Some(position) = bytes.iter().position(|&byte| byte == 0) {
            return Err(TextError::Binary { position });
        }
        let text = core::str::from_utf8(bytes)
            .map_err(|error| TextError::Binary { position: error.valid_up_to() })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut counts = BTreeMap::<char, usize>::new();
        for character in text.chars() {
            *counts.entry(character).or_default() += 1;
        }
        let found: usize = counts.values().sum();
        let first = *counts.keys().next().ok_or(TextError::Empty)?;
        if counts.len() == 1 {
            return Err(TextError::OneCharacter { found: first });
        }
        let needed = context.saturating_add(2);
        if found < needed {
            return Err(TextError::TooShort { found, needed });
        }
        let characters = choose(&counts);
        let numbers: BTreeMap<char, u8> =
            (0..=u8::MAX).zip(&characters).map(|(number, &c)| (c, number)).collect();
        let tokens = text.chars().map(|c| numbers.get(&c).copied().unwrap_or(0)).collect();
        Ok(Self { tokens, characters, numbers, context })
    }

    /// Returns the number of characters in the vocabulary, including the unknown one.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.characters.len()
    }

    /// Returns the length in characters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Returns whether the text is empty, which [`Text::new`] prevents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Returns the context that the text was read for.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Returns the first `count` characters, or the whole text if it is shorter.
    #[must_use]
    pub fn opening(&self, count: usize) -> String {
        self.decode(&self.tokens[..count.min(self.tokens.len())])
    }

    /// Returns the ids of the characters of `text`; 0 for those outside the vocabulary.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u8> {
        text.chars().map(|c| self.numbers.get(&c).copied().unwrap_or(0)).collect()
    }

    /// Returns the characters of these ids; [`Text::UNKNOWN`] for those outside the vocabulary.
    #[must_use]
    pub fn decode(&self, tokens: &[u8]) -> String {
        tokens
            .iter()
            .map(|&token| self.characters.get(usize::from(token)).copied().unwrap_or(Self::UNKNOWN))
            .collect()
    }

    /// Samples the sequences of one step; the result depends only on the seed.
    ///
    /// # Errors
    /// [`ArrayError`] if an allocation fails, or if the configuration's context is longer than the
    /// text.
    pub fn batch<S: Resource + Clone>(
        &self,
        config: &Config,
        part: Split,
        seed: u64,
        step: S,
    ) -> Result<Batch<S>, ArrayError> {
        let range = self.range(part, config.context);
        Batch::sample(&self.tokens, range, [config.batch, config.context], seed, step)
    }

    fn range(&self, part: Split, context: usize) -> Range<usize> {
        let (all, tenth) = (self.tokens.len(), self.tokens.len() / 10);
        match part {
            _ if tenth < context.saturating_add(2) => 0..all,
            Split::Training => 0..all - tenth,
            Split::Validation => all - tenth..all,
        }
    }
}

/// Returns the vocabulary: the unknown character, then the chosen ones in code-point order.
fn choose(counts: &BTreeMap<char, usize>) -> Vec<char> {
    let mut ranked: Vec<(char, usize)> = counts.iter().map(|(&c, &n)| (c, n)).collect();
    ranked.retain(|&(c, _)| c != Text::UNKNOWN);
    ranked.sort_by_key(|&(c, n)| (!c.is_ascii_lowercase(), core::cmp::Reverse(n), c));
    ranked.truncate(Text::MAX_VOCABULARY - 1);
    let mut characters: Vec<char> = ranked.into_iter().map(|(c, _)| c).collect();
    characters.sort_unstable();
    characters.insert(0, Text::UNKNOWN);
    characters
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_tensor::Global;

    #[test]
    fn unusable_texts_have_distinct_errors() {
        let error = |bytes: &[u8]| Text::new(bytes, 8).unwrap_err();
        assert_eq!(error(b""), TextError::Empty);
        assert_eq!(error(b"abc\0def"), TextError::Binary { position: 3 });
        assert_eq!(error(b"abcd\xff\xfe"), TextError::Binary { position: 4 });
        assert_eq!(error(b"aaaaaaaaaaaaaaaaaaaa"), TextError::OneCharacter { found: 'a' });
        assert_eq!(error(b"abababab"), TextError::TooShort { found: 8, needed: 10 });
        assert!(Text::new(b"ab", usize::MAX).is_err());
        assert!(Text::new(b"ababababab", 8).is_ok());
    }

    #[test]
    fn rare_characters_fold_into_one_and_lower_case_stays() {
        let mut source: String = ('\u{4e00}'..'\u{4f00}').flat_map(|c| [c, c, c]).collect();
        source.push_str("abc");
        let text = Text::new(source.as_bytes(), 8).unwrap();
        assert_eq!(text.vocabulary(), Text::MAX_VOCABULARY);
        assert_eq!(text.decode(&text.encode("abc")), "abc");
        assert_eq!(text.decode(&text.encode("\u{4eff}")), "\u{fffd}");
        assert_eq!(text.len(), 3 * 256 + 3);
    }

    #[test]
    fn targets_are_shifted_inputs_and_splits_do_not_overlap() {
        let source: String = (0..300_u32).map(|i| char::from_u32(0x100 + i % 100).unwrap()).collect();
        let text = Text::new(source.as_bytes(), 8).unwrap();
        let config = Config { context: 8, batch: 5, ..Config::default() };
        for part in [Split::Training, Split::Validation] {
            let batch = text.batch(&config, part, 7, Global).unwrap();
            let rows = batch.inputs.as_slice().chunks(8).zip(batch.targets.as_slice().chunks(8));
            for (input, target) in rows {
                assert_eq!(input[1..], target[..7]);
            }
            let again = text.batch(&config, part, 7, Global).unwrap();
            assert_eq!(batch.inputs, again.inputs);
        }
        assert_eq!(text.range(Split::Training, 8).end, text.range(Split::Validation, 8).start);
        assert_eq!(text.range(Split::Validation, 100), 0..300);
        assert!(text.batch(&Config { context: 300, ..config }, Split::Training, 7, Global).is_err());
    }
}
