//! Values: n-dimensional arrays on any memory resource, row-major, aligned to 64 bytes.
//!
//! Rests on `arenite-core` (a [`Block`](arenite_core::Block) holds the elements) and on [`Global`] for arrays that name no
//! resource. In the order in which bytes pass: an [`Element`] has a [`DType`]; a [`Shape`] says how many there are; an
//! [`Array`] owns them in one block of a resource; an [`ArrayView`] or [`Matrix`] borrows them; [`gemm`] multiplies them.
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
mod index;
mod interop;
mod memory_layout;
mod matrix;
mod operations;
mod random;
mod storage;
mod shape;
mod view;

pub use arenite_alloc::Global;
pub use array::Array;
pub use builder::ArrayBuilder;
pub use dtype::{DType, ParseDTypeError};
pub use element::{Element, Real};
pub use error::{ArrayError, Operation};
pub use memory_layout::MemoryLayout;
pub use matrix::{Matrix, MatrixMut, gemm};
pub use random::Random;
pub use shape::{IntoShape, Shape, Strides};
pub use view::{ArrayView, ArrayViewMut};
