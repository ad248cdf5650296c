//! The element types of arrays: plain numbers for which every bit pattern is a value.
//!
//! Zeroed memory is a valid array because of `bytemuck::Pod`. The trait is sealed, so new
//! arithmetic is not a breaking change.

use crate::DType;
use core::fmt::{Debug, Display};
use core::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};
use half::{bf16, f16};

pub(crate) mod sealed {
    /// A private supertrait that seals [`Element`](super::Element).
    pub trait Sealed {}
}

/// A number that an array can hold.
///
/// Integer arithmetic wraps. Implemented for `f32 f64 f16 bf16 i8 i16 i32 i64 u8 u16 u32 u64`.
///
/// ```
/// use arenite_tensor::{DType, Element};
/// assert_eq!(<half::bf16 as Element>::DTYPE, DType::Bf16);
/// assert_eq!(250_u8.plus(10), 4);
/// ```
pub trait Element:
    bytemuck::Pod + PartialEq + PartialOrd + Debug + Display + Default + Send + Sync + sealed::Sealed
{
    /// The type of sums: `i64` or `u64` for integers, `f32` for 16-bit floats, else the type
    /// itself.
    type Sum: Element;

    /// The type as a value.
    const DTYPE: DType;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// Returns the sum; integers wrap.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// Returns the difference; integers wrap.
    #[must_use]
    fn minus(self, other: Self) -> Self;
    /// Returns the product; integers wrap.
    #[must_use]
    fn times(self, other: Self) -> Self;
    /// Converts the value to the type of sums.
    #[must_use]
    fn widen(self) -> Self::Sum;
    /// Returns the nearest `f64`.
    #[must_use]
    fn to_f64(self) -> f64;
}

macro_rules! integer {
    ($($t:ty, $dtype:ident, $sum:ty;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            type Sum = $sum;
            const DTYPE: DType = DType::$dtype;
            const ZERO: Self = 0;
            const ONE: Self = 1;
            #[inline]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline]
            fn minus(self, other: Self) -> Self { self.wrapping_sub(other) }
            #[inline]
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline]
            fn widen(self) -> $sum { <$sum>::from(self) }
            #[inline]
            fn to_f64(self) -> f64 { self as f64 }
        }
    )*};
}

integer! {
    i8, I8, i64; i16, I16, i64; i32, I32, i64; i64, I64, i64;
    u8, U8, u64; u16, U16, u64; u32, U32, u64; u64, U64, u64;
}

macro_rules! float {
    ($($t:ty, $dtype:ident, $sum:ty, $zero:expr, $one:expr;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            type Sum = $sum;
            const DTYPE: DType = DType::$dtype;
            const ZERO: Self = $zero;
            const ONE: Self = $one;
            #[inline]
            fn plus(self, other: Self) -> Self { self + other }
            #[inline]
            fn minus(self, other: Self) -> Self { self - other }
            #[inline]
            fn times(self, other: Self) -> Self { self * other }
            #[inline]
            fn widen(self) -> $sum { <$sum>::from(self) }
            #[inline]
            fn to_f64(self) -> f64 { f64::from(self) }
        }
    )*};
}

float! {
    f32, F32, f32, 0.0, 1.0;
    f64, F64, f64, 0.0, 1.0;
    f16, F16, f32, f16::ZERO, f16::ONE;
    bf16, Bf16, f32, bf16::ZERO, bf16::ONE;
}

/// The elements of matrix multiplication and training: `f32` and `f64`.
///
/// ```
/// use arenite_tensor::Real;
/// fn norm<F: Real>(values: &[F]) -> F {
///     values.iter().map(|&v| v * v).fold(F::ZERO, |a, b| a + b).sqrt()
/// }
/// assert_eq!(norm(&[3.0_f32, 4.0]), 5.0);
/// ```
pub trait Real:
    Element<Sum = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + crate::gemm_kernel::Gemm
{
    /// Returns the value nearest to `value`.
    #[must_use]
    fn from_f64(value: f64) -> Self;
    /// Returns the square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// Returns `e` to this power.
    #[must_use]
    fn exp(self) -> Self;
    /// Returns the natural logarithm.
    #[must_use]
    fn ln(self) -> Self;
    /// Returns the larger of the two, or the other one if one is not a number.
    #[must_use]
    fn max(self, other: Self) -> Self;
    /// Returns whether the value is neither infinite nor "not a number".
    #[must_use]
    fn is_finite(self) -> bool;
}

macro_rules! real {
    ($t:ident, $value:ident => $from:expr) => {
        impl Real for $t {
            #[inline]
            fn from_f64($value: f64) -> Self {
                $from
            }
            #[inline]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline]
            fn exp(self) -> Self {
                $t::exp(self)
            }
            #[inline]
            fn ln(self) -> Self {
                $t::ln(self)
            }
            #[inline]
            fn max(self, other: Self) -> Self {
                if other > self || self.is_nan() { other } else { self }
            }
            #[inline]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
        }
    };
}

real!(f64, value => value);
real!(f32, value => narrow(value));

#[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32")]
#[inline]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dtype_matches<T: Element>() {
        assert_eq!(size_of::<T>(), T::DTYPE.size());
        assert_eq!(T::ONE.plus(T::ONE).minus(T::ONE).times(T::ONE), T::ONE);
        assert_eq!(T::ONE.widen().to_f64(), 1.0);
        assert_eq!(<T as bytemuck::Zeroable>::zeroed(), T::ZERO);
    }

    #[test]
    fn element_types_match_their_dtype() {
        dtype_matches::<f32>();
        dtype_matches::<f64>();
        dtype_matches::<f16>();
        dtype_matches::<bf16>();
        dtype_matches::<i8>();
        dtype_matches::<i16>();
        dtype_matches::<i32>();
        dtype_matches::<i64>();
        dtype_matches::<u8>();
        dtype_matches::<u16>();
        dtype_matches::<u32>();
        dtype_matches::<u64>();
    }

    #[test]
    fn max_ignores_not_a_number() {
        assert_eq!(Real::max(f32::NAN, 1.0), 1.0);
        assert_eq!(Real::max(2.0_f64, f64::NAN), 2.0);
    }
}
