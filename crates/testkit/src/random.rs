//! A pseudo-random sequence that is the same in every run.

/// A linear congruential generator with Knuth's MMIX multiplier; its field is the seed.
///
/// ```
/// let mut random = testkit::Random(7);
/// assert!(random.below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Returns the next 31-bit number.
    ///
    /// # Panics
    /// Never on a target whose `usize` has 32 bits or more.
    pub fn next_number(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        usize::try_from(self.0 >> 33).expect("31 bits")
    }

    /// Returns a number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.next_number() % bound.max(1)
    }
}
