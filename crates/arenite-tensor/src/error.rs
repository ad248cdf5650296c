//! The error of arrays: failed allocations, mismatched shapes, sizes that overflow.
//!
//! The error stores shapes inline, so making it never allocates.

use crate::Shape;
use arenite_core::AllocError;
use core::fmt;

/// The operation in which two shapes did not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// An elementwise operation: add, subtract, multiply, map of two.
    Elementwise,
    /// A matrix product.
    MatMul,
    /// A copy of the elements of one array into another.
    Assign,
    /// A change of shape.
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

/// The reason why an array could not be created or an operation failed.
///
/// ```
/// use arenite_tensor::{Array, ArrayError};
/// let error = Array::<f32>::zeros([2, 3])?.add(&Array::<f32>::zeros([3, 2])?).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "shapes do not match: elementwise operation of [2, 3] and [3, 2]"
/// );
/// # Ok::<(), ArrayError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// A failed allocation.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// Shapes that do not match.
    #[error("shapes do not match: {operation} of {left} and {right}")]
    Shape {
        /// The operation.
        operation: Operation,
        /// The shape of the left operand, or of the target.
        left: Shape,
        /// The shape of the right operand, or of the source.
        right: Shape,
    },
    /// A number of elements that differs from that of the shape.
    #[error("shape {shape} does not match {found} elements")]
    Length {
        /// The requested shape.
        shape: Shape,
        /// The number of elements found; for an iterator that ended early, the number it yielded.
        found: usize,
    },
    /// A size in bytes above `isize::MAX`.
    #[error("shape {shape} of elements of {element_size} bytes is larger than the address space")]
    Overflow {
        /// The requested shape.
        shape: Shape,
        /// The size of one element in bytes.
        element_size: usize,
    },
    /// More dimensions than a shape supports.
    #[error("{found} dimensions requested; the maximum is {max}", max = Shape::MAX_RANK)]
    Rank {
        /// The requested number of dimensions.
        found: usize,
    },
    /// An index outside its bound.
    #[error("index {index} is not below {bound}")]
    Index {
        /// The index.
        index: usize,
        /// The first index that is outside.
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
