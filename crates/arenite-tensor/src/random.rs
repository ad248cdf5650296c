//! A small random number generator with equal numbers for a seed on every machine.
//!
//! The algorithm is xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number
//! generators", 2021), seeded by splitmix64. The code is local, so a recorded run repeats
//! independently of the version of a crate.

/// A random number generator with a seed. Not for secrets.
///
/// ```
/// use arenite_tensor::Random;
/// assert_eq!(Random::new(7).next_u64(), Random::new(7).next_u64());
/// assert!(Random::new(7).below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// Creates the generator of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let mut state = [0; 4];
        let mut at = 0;
        let mut counter = seed;
        while at < 4 {
            counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = counter;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state[at] = mixed ^ (mixed >> 31);
            at += 1;
        }
        Self(state)
    }

    /// Returns the next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Returns a number drawn evenly from `[0, 1)`, with 53 random bits.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number drawn evenly from `0..bound`, or 0 for bound 0. Lemire's multiplication:
    /// the bias is below `bound` in 2⁶⁴.
    pub fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next_u64()) * bound as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u07_random_matches_the_reference_implementation() {
        // Output of the reference implementation from the state 1, 2, 3, 4.
        let mut random = Random([1, 2, 3, 4]);
        let expected = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!(expected.map(|_| random.next_u64()), expected);
    }

    #[test]
    fn u07_random_stays_within_its_bounds() {
        let mut random = Random::new(1);
        let mut mean = 0.0;
        for _ in 0..10_000 {
            let number = random.next_f64();
            assert!((0.0..1.0).contains(&number));
            assert!(random.below(3) < 3);
            mean += number / 10_000.0;
        }
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(random.below(0), 0);
    }
}
