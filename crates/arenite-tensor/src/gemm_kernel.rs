//! The kernels of matrix multiplication, from the crate `matrixmultiply`.
#![expect(unsafe_code, reason = "calls the kernels of matrixmultiply")]

use crate::matrix::{Matrix, MatrixMut};

/// The arguments of `out ← beta · out + left · right`, where `left` is `m × k` and `right` is
/// `k × n`.
pub struct GemmArgs<'a, T> {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) left: Matrix<'a, T>,
    pub(crate) right: Matrix<'a, T>,
    pub(crate) beta: T,
    pub(crate) out: *mut T,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<T> core::fmt::Debug for GemmArgs<'_, T> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("GemmArgs")
            .field("m", &self.m)
            .field("k", &self.k)
            .field("n", &self.n)
            .finish_non_exhaustive()
    }
}

/// An element type with a kernel.
pub trait Gemm: Sized {
    /// Runs the kernel.
    ///
    /// # Safety
    /// 1. `out` is valid for reads (unless `beta` is zero) and writes at every
    ///    `i * row_stride + j * col_stride`, `i < m` and `j < n`, and these are distinct.
    /// 2. Nothing else borrows those elements.
    /// 3. `left` is `m × k` and `right` is `k × n`.
    unsafe fn run(args: GemmArgs<'_, Self>);
}

/// Converts a stride. A stride was checked to lie inside a slice, which is never longer than
/// `isize::MAX`.
fn signed(stride: usize) -> isize {
    debug_assert!(isize::try_from(stride).is_ok(), "a stride inside a slice fits");
    stride.cast_signed()
}

macro_rules! kernel {
    ($t:ty, $kernel:path) => {
        impl Gemm for $t {
            unsafe fn run(args: GemmArgs<'_, $t>) {
                let GemmArgs { m, k, n, left, right, beta, out, row_stride, col_stride } = args;
                let (a, b) = (left.as_ptr(), right.as_ptr());
                let (rsa, csa) = (signed(left.row_stride()), signed(left.col_stride()));
                let (rsb, csb) = (signed(right.row_stride()), signed(right.col_stride()));
                let (rsc, csc) = (signed(row_stride), signed(col_stride));
                // SAFETY: 1. `a` and `b` are valid for reads at every element: a `Matrix` checks
                // its last element against its slice. 2. `out`: the caller's promises 1 and 2. 3.
                // the sizes agree: promise 3.
                unsafe { $kernel(m, k, n, 1.0, a, rsa, csa, b, rsb, csb, beta, out, rsc, csc) }
            }
        }
    };
}

kernel!(f32, matrixmultiply::sgemm);
kernel!(f64, matrixmultiply::dgemm);

/// Computes `out ← beta · out + left · right`.
///
/// # Panics
/// If the shapes do not agree: the caller compares them.
pub(crate) fn product_into<T: Gemm>(
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
    if m == 0 || n == 0 {
        return; // the kernels would loop over the rows of an empty matrix, up to `usize::MAX`
    }
    let (row_stride, col_stride) = (out.row_stride(), out.col_stride());
    let args = GemmArgs { m, k, n, left, right, beta, out: out.as_mut_ptr(), row_stride, col_stride };
    // SAFETY: 1. a `MatrixMut` checks that its last element lies in its slice and that its elements
    // are distinct. 2. `out` borrows them mutably. 3. the shapes: asserted at the start of this
    // function.
    unsafe { T::run(args) }
}
