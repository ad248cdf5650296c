//! N-dimensional arrays on any memory resource, row-major, aligned to 64 bytes.
//!
//! - [`Element`] and [`DType`]: the element types.
//! - [`Shape`]: the sizes of the dimensions.
//! - [`Array`]: the owner of the elements, in one block of a resource; [`Global`] is the default.
//! - [`ArrayView`] and [`Matrix`]: borrowed elements.
//! - [`gemm()`]: matrix multiplication.
//!
//! ```
//! use arenite_tensor::{Array, ArrayError};
//! let a = Array::with_allocator(arenite_alloc::Global).zeros([2, 3])?;
//! let b = a.add(&Array::ones([2, 3])?)?;
//! let copy: Array<f64> = Array::from(&b);
//! assert_eq!(copy[[1, 2]], 1.0);
//! assert_eq!(copy.memory_usage(), 48);
//! # Ok::<(), ArrayError>(())
//! ```

mod array;
mod builder;
mod dtype;
mod element;
mod error;
mod gemm;
mod gemm_kernel;
mod index;
mod interop;
mod into_shape;
mod matrix;
mod memory_layout;
mod operations;
mod random;
mod shape;
mod storage;
mod view;

pub use arenite_alloc::Global;
pub use array::Array;
pub use builder::ArrayBuilder;
pub use dtype::{DType, ParseDTypeError};
pub use element::{Element, Real};
pub use error::{ArrayError, Operation};
pub use gemm::gemm;
pub use into_shape::IntoShape;
pub use matrix::{Matrix, MatrixMut};
pub use memory_layout::MemoryLayout;
pub use random::Random;
pub use shape::{Shape, Strides};
pub use view::{ArrayView, ArrayViewMut};
