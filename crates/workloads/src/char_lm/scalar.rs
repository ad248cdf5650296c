//! The loops that are not matrix products, in forms that a compiler vectorises.
//!
//! The sums run in sixteen lanes in a fixed order, and the exponential is a polynomial. A run is
//! therefore bit-identical on every resource, and a softmax does not call the mathematics library.

use arenite_tensor::Real;

/// A number type for models: `f32` to train, `f64` to check gradients.
pub trait Scalar: Real {
    /// Replaces every number `x` by `e^x`.
    ///
    /// The `f32` version is within 2 units in the last place from -87 to 88, and clamped outside.
    fn exp_all(numbers: &mut [Self]);
}

impl Scalar for f64 {
    fn exp_all(numbers: &mut [Self]) {
        for number in numbers {
            *number = number.exp();
        }
    }
}

impl Scalar for f32 {
    fn exp_all(numbers: &mut [Self]) {
        for number in numbers {
            *number = exp(*number);
        }
    }
}

/// Computes `e^x` without branches or calls: a power of two times a polynomial of degree five.
///
/// The constants are those of Cephes' `expf` (S. Moshier, 1992).
#[inline]
fn exp(x: f32) -> f32 {
    /// Adding this rounds to an integer, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > -87.0 { x } else { -87.0 };
    let x = if x < 88.0 { x } else { 88.0 };
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let integer = shifted - ROUND;
    let rest = x - integer * LN2_HIGH - integer * LN2_LOW;
    let mut sum = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = sum * rest + coefficient;
    }
    let fraction = sum * rest * rest + rest + 1.0;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    fraction * f32::from_bits(power)
}

const LANES: usize = 16;

/// Returns the sum of the products of two slices of equal length.
#[inline]
pub(crate) fn dot<F: Real>(left: &[F], right: &[F]) -> F {
    let mut lanes = [F::ZERO; LANES];
    let (lefts, rights) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let mut total = F::ZERO;
    for (&a, &b) in lefts.remainder().iter().zip(rights.remainder()) {
        total += a * b;
    }
    for (a, b) in lefts.zip(rights) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    fold(lanes, total)
}

/// Returns the sum of a slice.
#[inline]
pub(crate) fn sum<F: Real>(numbers: &[F]) -> F {
    let mut lanes = [F::ZERO; LANES];
    let chunks = numbers.chunks_exact(LANES);
    let mut total = F::ZERO;
    for &number in chunks.remainder() {
        total += number;
    }
    for chunk in chunks {
        for (lane, &number) in lanes.iter_mut().zip(chunk) {
            *lane += number;
        }
    }
    fold(lanes, total)
}

#[inline]
fn fold<F: Real>(lanes: [F; LANES], mut total: F) -> F {
    for lane in lanes {
        total += lane;
    }
    total
}

/// Returns the largest number of a slice, or zero for an empty one.
#[inline]
pub(crate) fn largest<F: Real>(numbers: &[F]) -> F {
    let Some(&first) = numbers.first() else { return F::ZERO };
    let mut lanes = [first; LANES];
    let chunks = numbers.chunks_exact(LANES);
    let mut result = first;
    for &number in chunks.remainder() {
        result = if number > result { number } else { result };
    }
    for chunk in chunks {
        for (lane, &number) in lanes.iter_mut().zip(chunk) {
            *lane = if number > *lane { number } else { *lane };
        }
    }
    for lane in lanes {
        result = if lane > result { lane } else { result };
    }
    result
}

/// Adds `source` to `target`, element by element.
#[inline]
pub(crate) fn accumulate<F: Real>(target: &mut [F], source: &[F]) {
    for (target, &source) in target.iter_mut().zip(source) {
        *target += source;
    }
}

/// Replaces numbers by their softmax; returns the largest number and the sum of the exponentials
/// relative to it.
#[inline]
pub(crate) fn softmax<F: Scalar>(numbers: &mut [F]) -> (F, F) {
    let top = largest(numbers);
    for number in numbers.iter_mut() {
        *number -= top;
    }
    F::exp_all(numbers);
    let total = sum(numbers);
    let inverse = F::ONE / total;
    for number in numbers.iter_mut() {
        *number *= inverse;
    }
    (top, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        let mut x = -87.0_f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            worst = worst.max(((f64::from(exp(x)) - exact) / exact).abs());
            x += 0.001_37;
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e30) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37);
        assert!(exp(1e30).is_finite());
    }

    #[test]
    fn sums_of_every_length_count_every_element() {
        for length in 0..70_u8 {
            let numbers: Vec<f64> = (0..length).map(f64::from).collect();
            let expected: f64 = numbers.iter().sum();
            assert_eq!(sum(&numbers), expected);
            assert_eq!(dot(&numbers, &vec![2.0; usize::from(length)]), 2.0 * expected);
            assert_eq!(largest(&numbers), f64::from(length.saturating_sub(1)));
        }
        assert_eq!(largest(&[-3.0, -2.0]), -2.0);
    }

    #[test]
    fn a_softmax_sums_to_one() {
        let mut numbers = [1000.0_f32, 1001.0, 999.0];
        softmax(&mut numbers);
        assert!((sum(&numbers) - 1.0).abs() < 1e-6);
        assert!(numbers[1] > numbers[0] && numbers[0] > numbers[2]);
    }
}
