//! A hash of addresses and layouts with one multiplication for each word.
//!
//! Fibonacci hashing (Knuth, The Art of Computer Programming vol. 3, section 6.4) is enough: the
//! keys come from allocators, not from an adversary, and lookups stand on allocation paths.

use core::hash::{BuildHasher, Hasher};

/// A builder of [`FibonacciHasher`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FibonacciBuildHasher;

/// State of one hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FibonacciHasher(u64);

impl BuildHasher for FibonacciBuildHasher {
    type Hasher = FibonacciHasher;

    fn build_hasher(&self) -> FibonacciHasher {
        FibonacciHasher(0)
    }
}

impl Hasher for FibonacciHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        // The rotation moves the well-mixed high bits to the low bits that index the table.
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}
