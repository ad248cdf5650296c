//! A text as numbers: its vocabulary, and stretches of it to learn from.
//!
//! Rests on nothing. A text is read once, before training; a step only copies out of it.

use super::{Batch, Config, Part};
use arenite_core::Resource;
use arenite_tensor::ArrayError;
use core::ops::Range;
use std::collections::BTreeMap;

/// A text that a model can be trained on, every character of it numbered.
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

/// Why a text cannot be trained on, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// There is no text.
    #[error("the text is empty; give a file of at least a few thousand characters")]
    Empty,
    /// A zero byte, or bytes that are not UTF-8.
    #[error("not a text: byte {position} is not UTF-8 text; give a plain text file, not a binary one")]
    Binary {
        /// The first such byte.
        position: usize,
    },
    /// The same character throughout.
    #[error("the text is {found:?} throughout; there is nothing to learn, give a text of several characters")]
    OneCharacter {
        /// The character.
        found: char,
    },
    /// Shorter than one stretch and the character that follows it.
    #[error(
        "the text has {found} characters and a step needs {needed}; give a longer text or a shorter context"
    )]
    TooShort {
        /// Characters found.
        found: usize,
        /// Characters needed: the context and two.
        needed: usize,
    },
}

impl Text {
    /// The most characters that a vocabulary has, the unknown one among them.
    pub const MAX_VOCABULARY: usize = 128;
    /// What stands for characters outside the vocabulary, at number 0.
    pub const UNKNOWN: char = '\u{fffd}';

    /// Reads a text to be seen `context` characters at a time.
    ///
    /// The vocabulary is the lower-case letters that occur and then the most frequent other characters, in the order of
    /// their code points; the others become [`Text::UNKNOWN`].
    ///
    /// # Errors
    /// A [`TextError`] that says what is wrong and what to do.
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

    /// The number of characters that are told apart, the unknown one among them.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.characters.len()
    }

    /// The length in characters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no text; never so for one that [`Text::new`] accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The context that the text was read for.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// The first `count` characters, as far as there are so many.
    #[must_use]
    pub fn opening(&self, count: usize) -> String {
        self.decode(&self.tokens[..count.min(self.tokens.len())])
    }

    /// The numbers of the characters of `text`; 0 for those outside the vocabulary.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u8> {
        text.chars().map(|c| self.numbers.get(&c).copied().unwrap_or(0)).collect()
    }

    /// The characters of these numbers; [`Text::UNKNOWN`] for those outside the vocabulary.
    #[must_use]
    pub fn decode(&self, tokens: &[u8]) -> String {
        tokens
            .iter()
            .map(|&token| self.characters.get(usize::from(token)).copied().unwrap_or(Self::UNKNOWN))
            .collect()
    }

    /// Draws the stretches of one step; the same for the same seed.
    ///
    /// # Errors
    /// [`ArrayError`] where the memory is refused, or where the configuration's context is longer than the text.
    pub fn batch<S: Resource + Clone>(
        &self,
        config: &Config,
        part: Part,
        seed: u64,
        step: S,
    ) -> Result<Batch<S>, ArrayError> {
        let range = self.range(part, config.context);
        Batch::draw(&self.tokens, range, [config.batch, config.context], seed, step)
    }

    fn range(&self, part: Part, context: usize) -> Range<usize> {
        let (all, tenth) = (self.tokens.len(), self.tokens.len() / 10);
        match part {
            _ if tenth < context.saturating_add(2) => 0..all,
            Part::Training => 0..all - tenth,
            Part::Validation => all - tenth..all,
        }
    }
}

/// The vocabulary: the unknown character, then the chosen ones in the order of their code points.
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
        for part in [Part::Training, Part::Validation] {
            let batch = text.batch(&config, part, 7, Global).unwrap();
            let rows = batch.inputs.as_slice().chunks(8).zip(batch.targets.as_slice().chunks(8));
            for (input, target) in rows {
                assert_eq!(input[1..], target[..7]);
            }
            let again = text.batch(&config, part, 7, Global).unwrap();
            assert_eq!(batch.inputs, again.inputs);
        }
        assert_eq!(text.range(Part::Training, 8).end, text.range(Part::Validation, 8).start);
        assert_eq!(text.range(Part::Validation, 100), 0..300);
        assert!(text.batch(&Config { context: 300, ..config }, Part::Training, 7, Global).is_err());
    }
}
