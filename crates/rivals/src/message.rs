//! The messages of the ring benchmarks, which carry their number, and the reading of a received
//! message.
//!
//! One word of every cache line is read, so every line must move between the threads, in place or
//! in a copy. The sum of the words shows that the right messages arrived.

/// Bytes of a cache line.
const LINE: usize = 64;

/// An element of a message.
pub(crate) trait Element: Copy + Default + Send {
    /// Writes `number` into `message`.
    fn number(message: &mut [Self], number: u64);

    /// Returns the sum of the first words of all cache lines.
    fn sum(message: &[Self]) -> u64;
}

impl Element for u8 {
    #[inline(always)]
    fn number(message: &mut [Self], number: u64) {
        if let Some(word) = message.first_chunk_mut() {
            *word = number.to_ne_bytes();
        }
    }

    #[inline(always)]
    fn sum(message: &[Self]) -> u64 {
        let words = message.chunks(LINE).filter_map(|line| line.first_chunk());
        words.fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
    }
}

impl Element for u64 {
    #[inline(always)]
    fn number(message: &mut [Self], number: u64) {
        if let Some(word) = message.first_mut() {
            *word = number;
        }
    }

    #[inline(always)]
    fn sum(message: &[Self]) -> u64 {
        message.iter().step_by(LINE / size_of::<Self>()).fold(0, |sum, word| sum.wrapping_add(*word))
    }
}

/// A message of `LEN` elements, aligned to a cache line so that no competitor's stack has an
/// advantage.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Message<T, const LEN: usize>([T; LEN]);

impl<T: Element, const LEN: usize> Message<T, LEN> {
    pub(crate) fn new() -> Self {
        Self([T::default(); LEN])
    }

    /// Returns the elements; `LEN` is known to the copying code, as in a program that sends
    /// records.
    #[inline(always)]
    pub(crate) fn elements(&mut self) -> &mut [T; LEN] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_word_of_every_whole_line_is_summed() {
        let mut bytes = Message::<u8, 200>::new();
        u8::number(bytes.elements(), 7);
        bytes.elements()[128] = 1;
        bytes.elements()[129] = 1;
        bytes.elements()[192] = 2;
        assert_eq!(
            u8::sum(bytes.elements()),
            u64::from_ne_bytes([7, 0, 0, 0, 0, 0, 0, 0]) + u64::from_ne_bytes([1, 1, 0, 0, 0, 0, 0, 0]) + 2
        );
        let mut words = Message::<u64, 64>::new();
        words.elements().fill(1);
        u64::number(words.elements(), 10);
        assert_eq!(u64::sum(words.elements()), 17);
    }
}
