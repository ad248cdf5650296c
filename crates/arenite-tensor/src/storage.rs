//! Raw memory, and nothing else: blocks whose elements are known to be written, and the calls of the product kernels.
//!
//! Rests on [`Block`] and `matrixmultiply`. All unsafe code of this room is here, so that one file has to be believed: a
//! [`Storage`] exists only once every element of it has been written.
#![expect(unsafe_code, reason = "lends initialised blocks as slices and calls the kernels of matrixmultiply")]

use crate::matrix::{Matrix, MatrixMut};
use crate::{ArrayError, Element, Real, Shape};
use arenite_core::{AllocError, Block, Resource};
use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// The alignment of the first element of every array in bytes: a cache line, and the widest vector there is.
pub(crate) const ALIGNMENT: usize = 64;

/// `len` elements of `T` in one block of `R`, all of them written.
pub(crate) struct Storage<T, R: Resource> {
    /// At least `len * size_of::<T>()` bytes at [`ALIGNMENT`], the first `len` elements initialised.
    block: Block<R>,
    len: usize,
    element: PhantomData<T>,
}

/// A block whose elements are not yet written.
struct Unwritten<T, R: Resource>(Storage<T, R>);

fn layout<T: Element>(shape: &Shape) -> Result<(usize, Layout), ArrayError> {
    let (len, bytes) = shape.checked_bytes::<T>()?;
    Ok((len, AllocError::layout(bytes, ALIGNMENT)?))
}

impl<T: Element, R: Resource> Unwritten<T, R> {
    fn new(shape: &Shape, resource: R) -> Result<Self, ArrayError> {
        let (len, layout) = layout::<T>(shape)?;
        let block = Block::new_in(layout, resource)?;
        Ok(Self(Storage { block, len, element: PhantomData }))
    }

    fn slots(&mut self) -> &mut [MaybeUninit<T>] {
        let start = self.0.block.as_ptr().cast().as_ptr();
        // SAFETY: 1. valid for `len` elements and aligned: the block was asked with `len * size_of::<T>()` bytes at 64,
        // which every `Element` divides. 2. the only borrow: `&mut self` owns the block. 3. `MaybeUninit` may be undefined.
        unsafe { core::slice::from_raw_parts_mut(start, self.0.len) }
    }
}

impl<T: Element, R: Resource> Storage<T, R> {
    /// Every element zero.
    pub(crate) fn zeroed(shape: &Shape, resource: R) -> Result<Self, ArrayError> {
        let (len, layout) = layout::<T>(shape)?;
        // All bytes zero is a value of every `Element`, as it is `bytemuck::Zeroable`.
        Ok(Self { block: Block::zeroed_in(layout, resource)?, len, element: PhantomData })
    }

    /// The elements of an iterator, which must give as many as the shape has; more are not asked for.
    pub(crate) fn collect(
        shape: &Shape,
        resource: R,
        elements: impl Iterator<Item = T>,
    ) -> Result<Self, ArrayError> {
        let mut unwritten = Unwritten::new(shape, resource)?;
        let slots = unwritten.slots();
        let asked = slots.len();
        let mut written = 0;
        for (slot, element) in slots.iter_mut().zip(elements) {
            slot.write(element);
            written += 1;
        }
        if written != asked {
            return Err(ArrayError::Length { shape: *shape, found: written });
        }
        Ok(unwritten.0)
    }

    /// The product of two matrices whose shapes fit; the result has the shape `[left.rows(), right.cols()]`.
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
        let mut unwritten = Unwritten::new(shape, resource)?;
        let out: *mut T = unwritten.slots().as_mut_ptr().cast();
        let (m, k, n) = (left.rows(), left.cols(), right.cols());
        let call = Call { m, k, n, left, right, beta: T::ZERO, out, row_stride: n.max(1), col_stride: 1 };
        // SAFETY: 1. `out` is valid for writes of `m * n` elements, row after row: the shape is `[m, n]`. 2. nothing else
        // borrows it: the block is new. 3. beta is zero, so it is written and not read. 4. `left` and `right` are views
        // that were checked, of `m × k` and `k × n`.
        unsafe { T::call(call) };
        Ok(unwritten.0)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        let start = self.block.as_ptr().cast().as_ptr();
        // SAFETY: 1. valid and aligned for `len` elements (as in `slots`). 2. all are written, by how a `Storage` is made,
        // and every bit pattern is a `T` (`bytemuck::Pod`). 3. not written while borrowed: only `&mut self` writes.
        unsafe { core::slice::from_raw_parts(start, self.len) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        let start = self.block.as_ptr().cast().as_ptr();
        // SAFETY: as in `as_slice`, and `&mut self` makes this the only borrow.
        unsafe { core::slice::from_raw_parts_mut(start, self.len) }
    }

    pub(crate) const fn resource(&self) -> &R {
        self.block.resource()
    }
}

/// `out ← beta · out + left · right`, where `left` is `m × k` and `right` is `k × n`.
pub struct Call<'a, T> {
    m: usize,
    k: usize,
    n: usize,
    left: Matrix<'a, T>,
    right: Matrix<'a, T>,
    beta: T,
    out: *mut T,
    row_stride: usize,
    col_stride: usize,
}

impl<T> core::fmt::Debug for Call<'_, T> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Call")
            .field("m", &self.m)
            .field("k", &self.k)
            .field("n", &self.n)
            .finish_non_exhaustive()
    }
}

/// The kernel of an element type.
pub trait Gemm: Sized {
    /// Runs the kernel.
    ///
    /// # Safety
    /// 1. `out` is valid for reads (unless `beta` is zero) and writes at every `i * row_stride + j * col_stride`, `i < m`
    ///    and `j < n`, and these are distinct.
    /// 2. Nothing else borrows those elements.
    /// 3. `left` is `m × k` and `right` is `k × n`.
    unsafe fn call(call: Call<'_, Self>);
}

/// Strides were checked to lie inside a slice, which is never longer than `isize::MAX`.
fn signed(stride: usize) -> isize {
    debug_assert!(isize::try_from(stride).is_ok(), "a stride inside a slice fits");
    stride.cast_signed()
}

macro_rules! kernel {
    ($t:ty, $kernel:path) => {
        impl Gemm for $t {
            unsafe fn call(call: Call<'_, $t>) {
                let Call { m, k, n, left, right, beta, out, row_stride, col_stride } = call;
                let (a, b) = (left.as_ptr(), right.as_ptr());
                let (rsa, csa) = (signed(left.row_stride()), signed(left.col_stride()));
                let (rsb, csb) = (signed(right.row_stride()), signed(right.col_stride()));
                let (rsc, csc) = (signed(row_stride), signed(col_stride));
                // SAFETY: 1. `a` and `b` are valid for reads at every element: a `Matrix` checks its last element against
                // its slice. 2. `out`: the caller's promises 1 and 2. 3. the sizes agree: promise 3.
                unsafe { $kernel(m, k, n, 1.0, a, rsa, csa, b, rsb, csb, beta, out, rsc, csc) }
            }
        }
    };
}

kernel!(f32, matrixmultiply::sgemm);
kernel!(f64, matrixmultiply::dgemm);

/// `out ← beta · out + left · right`; the caller compared the shapes.
pub(crate) fn product_into<T: Real>(
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
    beta: T,
    out: &mut MatrixMut<'_, T>,
) {
    let (m, k, n) = (left.rows(), left.cols(), right.cols());
    assert!(
        right.rows() == k && out.rows() == m && out.cols() == n,
        "a product of {m} x {k} and {} x {n} into {} x {}",
        right.rows(),
        out.rows(),
        out.cols()
    );
    let (row_stride, col_stride) = (out.row_stride(), out.col_stride());
    let call = Call { m, k, n, left, right, beta, out: out.as_mut_ptr(), row_stride, col_stride };
    // SAFETY: 1. a `MatrixMut` checks that its last element lies in its slice and that its elements are distinct. 2. it
    // borrows them mutably. 3. asserted above.
    unsafe { T::call(call) }
}
