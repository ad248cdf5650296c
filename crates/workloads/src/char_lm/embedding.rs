//! The embedding of characters and positions.

use super::Scalar;
use super::parameter::Parameter;
use super::scalar::accumulate;
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError};

/// Returns the sum of each character's row and its position's row; allocates in `step`.
pub(crate) fn forward<F: Scalar, R: Resource, S: Resource>(
    tokens: &[u8],
    context: usize,
    characters: &Parameter<F, R>,
    positions: &Parameter<F, R>,
    step: S,
) -> Result<Array<F, S>, ArrayError> {
    let (vocabulary, width) = table(characters);
    let mut rows = Array::with_allocator(step).zeros([tokens.len(), width])?;
    for (at, (row, &token)) in rows.as_mut_slice().chunks_exact_mut(width).zip(tokens).enumerate() {
        let character = characters
            .value
            .row(usize::from(token))
            .ok_or(ArrayError::Index { index: usize::from(token), bound: vocabulary })?;
        let position = positions
            .value
            .row(at % context)
            .ok_or(ArrayError::Index { index: at % context, bound: positions.value.len() / width })?;
        row.copy_from_slice(character.as_slice());
        accumulate(row, position.as_slice());
    }
    Ok(rows)
}

/// Writes the gradients of both tables for the gradient of the rows.
pub(crate) fn backward<F: Scalar, R: Resource, S: Resource>(
    tokens: &[u8],
    context: usize,
    gradient: &Array<F, S>,
    characters: &mut Parameter<F, R>,
    positions: &mut Parameter<F, R>,
) {
    let (_, width) = table(characters);
    characters.gradient.fill(F::ZERO);
    positions.gradient.fill(F::ZERO);
    for (at, (row, &token)) in gradient.as_slice().chunks_exact(width).zip(tokens).enumerate() {
        for (table, index) in [(&mut *characters, usize::from(token)), (&mut *positions, at % context)] {
            let start = index * width;
            if let Some(target) = table.gradient.as_mut_slice().get_mut(start..start + width) {
                accumulate(target, row);
            }
        }
    }
}

/// Returns the rows and columns of a table.
fn table<F: Scalar, R: Resource>(table: &Parameter<F, R>) -> (usize, usize) {
    match *table.value.shape().dims() {
        [rows, cols] => (rows, cols),
        _ => (0, 1),
    }
}
