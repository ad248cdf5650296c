//! The initialised block behind an array.
//!
//! A [`Storage`] exists only once all its elements are written. The unsafe code of this crate
//! lives here and in `gemm_kernel.rs`.
#![expect(unsafe_code, reason = "returns initialised blocks as slices and calls a multiplication kernel")]

use crate::gemm_kernel::GemmArgs;
use crate::{ArrayError, Element, Matrix, Real, Shape};
use arenite_core::{Block, Resource};
use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// Alignment of the first element in bytes: a cache line and the widest vector register.
pub(crate) const ALIGNMENT: usize = 64;

/// A block of `R` with `len` initialised elements of `T`.
pub(crate) struct Storage<T, R: Resource> {
    /// At least `len * size_of::<T>()` bytes at [`ALIGNMENT`], with `len` elements initialised.
    block: Block<R>,
    len: usize,
    element: PhantomData<T>,
}

/// A block with uninitialised elements.
struct Uninit<T, R: Resource>(Storage<T, R>);

fn element_layout<T: Element>(shape: &Shape) -> Result<(usize, Layout), ArrayError> {
    let (len, bytes) = shape.checked_bytes::<T>()?;
    Ok((len, arenite_core::layout(bytes, ALIGNMENT)?))
}

impl<T: Element, R: Resource> Uninit<T, R> {
    fn new(shape: &Shape, resource: R) -> Result<Self, ArrayError> {
        let (len, layout) = element_layout::<T>(shape)?;
        let block = Block::new_in(layout, resource)?;
        Ok(Self(Storage { block, len, element: PhantomData }))
    }

    fn slots(&mut self) -> &mut [MaybeUninit<T>] {
        let start = self.0.block.as_ptr().cast().as_ptr();
        // SAFETY: 1. valid for `len` elements and aligned: the block was allocated with
        // `len * size_of::<T>()` bytes at 64, which the alignment of every `Element` divides. 2.
        // the only borrow: `&mut self` owns the block. 3. `MaybeUninit` may be uninitialised.
        unsafe { core::slice::from_raw_parts_mut(start, self.0.len) }
    }
}

impl<T: Element, R: Resource> Storage<T, R> {
    /// Allocates elements that are all zero.
    pub(crate) fn zeroed(shape: &Shape, resource: R) -> Result<Self, ArrayError> {
        let (len, layout) = element_layout::<T>(shape)?;
        // All bytes zero is a value of every `Element`: it is `bytemuck::Zeroable`.
        Ok(Self { block: Block::zeroed_in(layout, resource)?, len, element: PhantomData })
    }

    /// Collects an iterator, which must yield one element per position of the shape; further ones
    /// are not requested.
    pub(crate) fn collect(
        shape: &Shape,
        resource: R,
        elements: impl Iterator<Item = T>,
    ) -> Result<Self, ArrayError> {
        let mut uninit = Uninit::new(shape, resource)?;
        let slots = uninit.slots();
        let requested = slots.len();
        let mut written = 0;
        for (slot, element) in slots.iter_mut().zip(elements) {
            slot.write(element);
            written += 1;
        }
        if written != requested {
            return Err(ArrayError::Length { shape: *shape, found: written });
        }
        Ok(uninit.0)
    }

    /// Computes the product of two matrices; the result has the shape
    /// `[left.rows(), right.cols()]`.
    ///
    /// # Panics
    /// If the shapes do not agree: the caller compares them.
    pub(crate) fn product(
        shape: &Shape,
        resource: R,
        left: Matrix<'_, T>,
        right: Matrix<'_, T>,
    ) -> Result<Self, ArrayError>
    where
        T: Real,
    {
        assert_eq!(shape.dims(), [left.rows(), right.cols()], "the caller made the shape of the operands");
        assert_eq!(left.cols(), right.rows(), "the caller compared the shapes");
        let mut uninit = Uninit::new(shape, resource)?;
        let out: *mut T = uninit.slots().as_mut_ptr().cast();
        let (m, k, n) = (left.rows(), left.cols(), right.cols());
        let args = GemmArgs { m, k, n, left, right, beta: T::ZERO, out, row_stride: n.max(1), col_stride: 1 };
        // SAFETY: 1. `out` is valid for writes of `m * n` elements, row after row: the shape is
        // `[m, n]`. 2. nothing else borrows it: the block is new. 3. beta is zero, so it is written
        // and not read. 4. `left` and `right` are checked views of `m × k` and `k × n`.
        unsafe { T::run(args) };
        Ok(uninit.0)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        let start = self.block.as_ptr().cast().as_ptr();
        // SAFETY: 1. valid and aligned for `len` elements: the block was allocated with
        // `len * size_of::<T>()` bytes at 64. 2. all are written, by the construction of a
        // `Storage`, and every bit pattern is a `T` (`bytemuck::Pod`). 3. not written while
        // borrowed: writes need `&mut self`.
        unsafe { core::slice::from_raw_parts(start, self.len) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        let start = self.block.as_ptr().cast().as_ptr();
        // SAFETY: 1. valid and aligned for `len` elements: the block was allocated with
        // `len * size_of::<T>()` bytes at 64. 2. all are written, by the construction of a
        // `Storage`, and every bit pattern is a `T` (`bytemuck::Pod`). 3. `&mut self` makes this
        // the only borrow.
        unsafe { core::slice::from_raw_parts_mut(start, self.len) }
    }

    pub(crate) const fn resource(&self) -> &R {
        self.block.resource()
    }
}
