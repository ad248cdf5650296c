//! The scalar types that memory can be read as, and their names at run time.
//!
//! `bytemuck` guarantees that any bytes are a valid value. The names are those of scripts and
//! files.

use bytemuck::Pod;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// Name of a scalar type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScalarType {
    /// `f32`.
    Float32,
    /// `f64`.
    Float64,
    /// `i8`.
    Int8,
    /// `i16`.
    Int16,
    /// `i32`.
    Int32,
    /// `i64`.
    Int64,
    /// `u8`.
    Uint8,
    /// `u16`.
    Uint16,
    /// `u32`.
    Uint32,
    /// `u64`.
    Uint64,
}

/// A scalar type that can be copied from and to memory as raw bytes.
///
/// ```
/// use arenite_pages::{Scalar, ScalarType};
/// assert_eq!(<f32 as Scalar>::TYPE, ScalarType::Float32);
/// ```
pub trait Scalar: Pod + PartialEq + fmt::Debug + sealed::Sealed {
    /// The type's name at run time.
    const TYPE: ScalarType;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! scalars {
    ($($type:ty, $variant:ident, $name:literal;)*) => {
        $(
            impl sealed::Sealed for $type {}
            impl Scalar for $type {
                const TYPE: ScalarType = ScalarType::$variant;
            }
        )*

        impl ScalarType {
            /// Every type, in the order of their numbers in files.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name in scripts and files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the size of one value in bytes.
            #[must_use]
            pub const fn size(self) -> usize {
                match self { $(Self::$variant => size_of::<$type>()),* }
            }
        }

        /// A vector of scalars whose type is known only at run time.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum ScalarVec {
            $(#[doc = concat!("`", $name, "`.")] $variant(Vec<$type>)),*
        }

        impl ScalarVec {
            /// Returns the bytes, in the machine's order.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                match self { $(Self::$variant(numbers) => bytemuck::cast_slice(numbers)),* }
            }

            /// Allocates `count` zeroes of a type. Returns `None` if there is no memory for them.
            #[must_use]
            pub fn zeroed(of: ScalarType, count: usize) -> Option<Self> {
                Some(match of { $(ScalarType::$variant => Self::$variant(zeroed(count)?)),* })
            }

            pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
                match self { $(Self::$variant(numbers) => bytemuck::cast_slice_mut(numbers)),* }
            }
        }
    };
}

scalars! {
    f32, Float32, "float32";
    f64, Float64, "float64";
    i8, Int8, "int8";
    i16, Int16, "int16";
    i32, Int32, "int32";
    i64, Int64, "int64";
    u8, Uint8, "uint8";
    u16, Uint16, "uint16";
    u32, Uint32, "uint32";
    u64, Uint64, "uint64";
}

/// Allocates `count` zeroes. Returns `None` if there is no memory for them.
pub(crate) fn zeroed<T: Clone + bytemuck::Zeroable>(count: usize) -> Option<Vec<T>> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(count).ok()?;
    numbers.resize(count, T::zeroed());
    Some(numbers)
}

impl fmt::Display for ScalarType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// An unknown name of a scalar type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown scalar type `{name}`; supported: float32, float64, int8 to int64, uint8 to uint64")]
pub struct ScalarTypeError {
    /// The requested name.
    pub name: String,
}

/// ```
/// use arenite_pages::ScalarType;
/// assert_eq!("uint32".parse(), Ok(ScalarType::Uint32));
/// assert!("uint3".parse::<ScalarType>().is_err());
/// ```
impl FromStr for ScalarType {
    type Err = ScalarTypeError;

    fn from_str(name: &str) -> Result<Self, ScalarTypeError> {
        let found = Self::ALL.iter().copied().find(|known| known.name() == name);
        found.ok_or_else(|| ScalarTypeError { name: name.to_owned() })
    }
}
