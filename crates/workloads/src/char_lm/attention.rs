//! Causal multi-head attention (Vaswani et al., 2017), without its input and output projections.
//!
//! A head is a strided view of one array, passed to [`gemm`] without a copy. A row holds the
//! queries of all heads, then the keys, then the values.

use super::scalar::{dot, softmax};
use super::{Config, Scalar};
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Matrix, MatrixMut, gemm};

/// The sizes of one call: sequences, characters per sequence, heads, and the model's width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) batch: usize,
    pub(crate) context: usize,
    heads: usize,
    width: usize,
}

impl Heads {
    /// Returns the sizes for a configuration and `batch` sequences of `context` characters.
    pub(crate) const fn new(config: &Config, batch: usize, context: usize) -> Self {
        Self { batch, context, heads: config.heads, width: config.width }
    }

    const fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Returns every pair of a sequence and a head.
    fn each(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.batch).flat_map(move |sequence| (0..self.heads).map(move |head| (sequence, head)))
    }

    /// Returns the index of the first number of a sequence and head in part `part` of an array with
    /// `parts` widths per row.
    const fn start(&self, sequence: usize, head: usize, parts: usize, part: usize) -> usize {
        sequence * self.context * self.width * parts + part * self.width + head * self.head_width()
    }

    fn view<'a, F>(
        &self,
        array: &'a [F],
        (sequence, head): (usize, usize),
        parts: usize,
        part: usize,
    ) -> Result<Matrix<'a, F>, ArrayError> {
        let data = array.get(self.start(sequence, head, parts, part)..).unwrap_or(&[]);
        Matrix::strided(data, self.context, self.head_width(), self.width * parts, 1)
    }

    fn view_mut<'a, F>(
        &self,
        array: &'a mut [F],
        (sequence, head): (usize, usize),
        parts: usize,
        part: usize,
    ) -> Result<MatrixMut<'a, F>, ArrayError> {
        let data = array.get_mut(self.start(sequence, head, parts, part)..).unwrap_or(&mut []);
        MatrixMut::strided(data, self.context, self.head_width(), self.width * parts, 1)
    }

    fn scale<F: Scalar>(&self) -> F {
        F::ONE / F::from_f64(self.head_width() as f64).sqrt()
    }
}

/// The result of attention.
#[derive(Debug)]
pub(crate) struct AttentionOut<F: Scalar, S: Resource> {
    /// The weighted sums of the values.
    pub(crate) rows: Array<F, S>,
    /// The attention weights, for the backward pass.
    pub(crate) weights: Array<F, S>,
}

/// Computes attention over `qkv`; allocates in `step`.
pub(crate) fn forward<F: Scalar, S: Resource + Clone>(
    sizes: Heads,
    qkv: &Array<F, S>,
    step: S,
) -> Result<AttentionOut<F, S>, ArrayError> {
    let Heads { batch, context, heads, width } = sizes;
    let mut weights = Array::with_allocator(step.clone()).zeros([batch, heads, context, context])?;
    let mut mixed = Array::with_allocator(step).zeros([batch * context, width])?;
    let qkv = qkv.as_slice();
    let squares = weights.as_mut_slice().chunks_exact_mut(context * context);
    for (at, square) in sizes.each().zip(squares) {
        let (queries, keys, values) =
            (sizes.view(qkv, at, 3, 0)?, sizes.view(qkv, at, 3, 1)?, sizes.view(qkv, at, 3, 2)?);
        gemm(queries, keys.t(), F::ZERO, &mut MatrixMut::new(square, context, context)?)?;
        causal_softmax(square, context, sizes.scale());
        let mixed = &mut sizes.view_mut(mixed.as_mut_slice(), at, 1, 0)?;
        gemm(Matrix::new(square, context, context)?, values, F::ZERO, mixed)?;
    }
    Ok(AttentionOut { rows: mixed, weights })
}

/// Replaces the scores of each row by the softmax of its scaled scores up to the diagonal; zero
/// above.
fn causal_softmax<F: Scalar>(square: &mut [F], context: usize, scale: F) {
    for (i, row) in square.chunks_exact_mut(context).enumerate() {
        let (seen, unseen) = row.split_at_mut(i + 1);
        for score in seen.iter_mut() {
            *score *= scale;
        }
        softmax(seen);
        unseen.fill(F::ZERO);
    }
}

/// Returns the gradient of `qkv` for the gradient of the output; allocates in `step`.
pub(crate) fn backward<F: Scalar, S: Resource + Clone>(
    sizes: Heads,
    qkv: &Array<F, S>,
    weights: &Array<F, S>,
    dmixed: &Array<F, S>,
    step: S,
) -> Result<Array<F, S>, ArrayError> {
    let context = sizes.context;
    let mut scratch = Array::with_allocator(step.clone()).zeros([context, context])?;
    let mut dqkv = Array::with_allocator(step).zeros(qkv.shape())?;
    let (qkv, dmixed) = (qkv.as_slice(), dmixed.as_slice());
    for (at, square) in sizes.each().zip(weights.as_slice().chunks_exact(context * context)) {
        let (queries, keys, values) =
            (sizes.view(qkv, at, 3, 0)?, sizes.view(qkv, at, 3, 1)?, sizes.view(qkv, at, 3, 2)?);
        let dmixed = sizes.view(dmixed, at, 1, 0)?;
        let mixing = Matrix::new(square, context, context)?;
        gemm(mixing.t(), dmixed, F::ZERO, &mut sizes.view_mut(dqkv.as_mut_slice(), at, 3, 2)?)?;
        gemm(dmixed, values.t(), F::ZERO, &mut scratch.as_matrix_mut()?)?;
        softmax_backward(square, scratch.as_mut_slice(), context, sizes.scale());
        let dscores = scratch.as_matrix()?;
        gemm(dscores, keys, F::ZERO, &mut sizes.view_mut(dqkv.as_mut_slice(), at, 3, 0)?)?;
        gemm(dscores.t(), queries, F::ZERO, &mut sizes.view_mut(dqkv.as_mut_slice(), at, 3, 1)?)?;
    }
    Ok(dqkv)
}

/// Replaces the gradient of the weights by that of the scores, which is zero above the diagonal as
/// the weights are.
fn softmax_backward<F: Scalar>(weights: &[F], gradient: &mut [F], context: usize, scale: F) {
    let rows = weights.chunks_exact(context).zip(gradient.chunks_exact_mut(context));
    for (weights, gradient) in rows {
        let mean = dot(weights, gradient);
        for (gradient, &weight) in gradient.iter_mut().zip(weights) {
            *gradient = weight * (*gradient - mean) * scale;
        }
    }
}
