//! The order of elements in memory.

use core::fmt;

/// The order of the elements of an array or matrix in memory.
///
/// ```
/// use arenite_tensor::{Array, MemoryLayout};
/// let array = Array::<f64>::zeros([10, 10])?;
/// assert_eq!(array.memory_layout(), MemoryLayout::RowMajor);
/// assert_eq!(array.as_matrix()?.t().memory_layout(), MemoryLayout::ColumnMajor);
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryLayout {
    /// The last dimension is contiguous ("C").
    RowMajor,
    /// The first dimension is contiguous ("Fortran").
    ColumnMajor,
    /// Neither: gaps between rows or between columns.
    Strided,
}

impl fmt::Display for MemoryLayout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::RowMajor => "row-major",
            Self::ColumnMajor => "column-major",
            Self::Strided => "strided",
        })
    }
}
