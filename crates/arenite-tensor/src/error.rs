//! The one error of arrays: memory refused, shapes that do not fit, sizes that overflow.
//!
//! Rests on [`AllocError`]. It holds shapes in place, so that making it never allocates.

use crate::Shape;
use arenite_core::AllocError;
use core::fmt;

/// What was being done when two shapes did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Elementwise: add, subtract, multiply, map of two.
    Elementwise,
    /// Matrix product.
    MatMul,
    /// Copy of the elements of one array into another.
    Assign,
    /// The same elements under another shape.
    Reshape,
    /// A strided matrix over a slice.
    Matrix,
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Elementwise => "elementwise operation",
            Self::MatMul => "matrix product",
            Self::Assign => "assignment",
            Self::Reshape => "reshape",
            Self::Matrix => "matrix view",
        })
    }
}

/// Why an array could not be made or an operation not be done.
///
/// ```
/// use arenite_tensor::{Array, ArrayError};
/// let error = Array::<f32>::zeros([2, 3])?.add(&Array::<f32>::zeros([3, 2])?).unwrap_err();
/// assert_eq!(error.to_string(), "elementwise operation of shapes [2, 3] and [3, 2]");
/// # Ok::<(), ArrayError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// The resource refused the block.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// The shapes do not fit each other.
    #[error("{operation} of shapes {left} and {right}")]
    Shape {
        /// What was being done.
        operation: Operation,
        /// The shape of the left operand, or of the target.
        left: Shape,
        /// The shape of the right operand, or of the source.
        right: Shape,
    },
    /// The number of elements given is not the number that the shape has.
    #[error("shape {shape} given {found} elements")]
    Length {
        /// The shape asked.
        shape: Shape,
        /// The number of elements given; where an iterator ended early, how many it gave.
        found: usize,
    },
    /// The size in bytes is above `isize::MAX`.
    #[error("shape {shape} of elements of {element_size} bytes is larger than memory can be")]
    Overflow {
        /// The shape asked.
        shape: Shape,
        /// The size of one element in bytes.
        element_size: usize,
    },
    /// More dimensions than a shape has room for.
    #[error("{found} dimensions, and {max} are the most", max = Shape::MAX_RANK)]
    Rank {
        /// The number of dimensions asked.
        found: usize,
    },
    /// A position outside its bound.
    #[error("index {index} is not below {bound}")]
    Index {
        /// The position.
        index: usize,
        /// The first position that is outside.
        bound: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_fits_the_limit_on_errors() {
        assert!(size_of::<ArrayError>() <= 160, "{}", size_of::<ArrayError>());
    }
}
