//! Arithmetic on arrays: elementwise, scaled, summed, multiplied.
//!
//! Rests on slices and on [`gemm`](crate::gemm). Shapes must be equal: there is no broadcasting. Each operation that makes
//! an array has two forms: one that puts it where the left operand lives, and one (`_in`) that is told where.

use crate::{Array, ArrayBuilder, ArrayError, Element, Operation, Real};
use arenite_core::Resource;

/// The number of elements below which a sum is made one by one; above it, the two halves are summed apart.
const LEAF: usize = 256;

/// The sum with an error that grows with the logarithm of the length (pairwise summation).
fn pairwise<T: Element>(elements: &[T]) -> T::Sum {
    if elements.len() > LEAF {
        let (left, right) = elements.split_at(elements.len() / 2);
        return pairwise(left).plus(pairwise(right));
    }
    let mut lanes = [T::Sum::ZERO; 8];
    let chunks = elements.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, element) in lanes.iter_mut().zip(chunk) {
            *lane = lane.plus(element.widen());
        }
    }
    let tail = rest.iter().fold(T::Sum::ZERO, |sum, element| sum.plus(element.widen()));
    lanes.iter().fold(tail, |sum, &lane| sum.plus(lane))
}

impl<T: Element, R: Resource> Array<T, R> {
    /// What `f` makes of each element, in `resource`. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] where the memory is refused.
    pub fn map_in<S: Resource>(
        &self,
        resource: S,
        mut f: impl FnMut(T) -> T,
    ) -> Result<Array<T, S>, ArrayError> {
        ArrayBuilder::new(resource).collect(*self.shape(), self.as_slice().iter().map(|&element| f(element)))
    }

    /// What `f` makes of each pair of elements, in `resource`. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where the shapes differ, [`ArrayError::Alloc`] where the memory is refused.
    pub fn zip_in<Q: Resource, S: Resource>(
        &self,
        other: &Array<T, Q>,
        resource: S,
        mut f: impl FnMut(T, T) -> T,
    ) -> Result<Array<T, S>, ArrayError> {
        self.same_shape(other, Operation::Elementwise)?;
        let pairs = self.as_slice().iter().zip(other.as_slice());
        ArrayBuilder::new(resource).collect(*self.shape(), pairs.map(|(&left, &right)| f(left, right)))
    }

    /// The sum of two arrays of one shape, where the left one lives.
    ///
    /// # Errors
    /// As [`Array::zip_in`].
    pub fn add<Q: Resource>(&self, other: &Array<T, Q>) -> Result<Self, ArrayError>
    where
        R: Clone,
    {
        self.zip_in(other, self.resource().clone(), T::plus)
    }

    /// The difference of two arrays of one shape, where the left one lives.
    ///
    /// # Errors
    /// As [`Array::zip_in`].
    pub fn sub<Q: Resource>(&self, other: &Array<T, Q>) -> Result<Self, ArrayError>
    where
        R: Clone,
    {
        self.zip_in(other, self.resource().clone(), T::minus)
    }

    /// The elementwise product of two arrays of one shape, where the left one lives.
    ///
    /// # Errors
    /// As [`Array::zip_in`].
    pub fn mul<Q: Resource>(&self, other: &Array<T, Q>) -> Result<Self, ArrayError>
    where
        R: Clone,
    {
        self.zip_in(other, self.resource().clone(), T::times)
    }

    /// Multiplies every element by `factor`, in place.
    pub fn scale(&mut self, factor: T) {
        for element in self.as_mut_slice() {
            *element = element.times(factor);
        }
    }

    /// Sets every element to `value`.
    pub fn fill(&mut self, value: T) {
        self.as_mut_slice().fill(value);
    }

    /// Copies the elements of another array of the same shape into this one.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where the shapes differ; this array is then as it was.
    pub fn assign<Q: Resource>(&mut self, other: &Array<T, Q>) -> Result<(), ArrayError> {
        self.same_shape(other, Operation::Assign)?;
        self.as_mut_slice().copy_from_slice(other.as_slice());
        Ok(())
    }

    /// The sum of all elements, pairwise: integers as 64 bits (wrapping), 16-bit floats as `f32`.
    #[must_use]
    pub fn sum(&self) -> T::Sum {
        pairwise(self.as_slice())
    }

    /// The mean of all elements; `None` where there are none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sum().to_f64() / self.len() as f64)
    }

    fn same_shape<Q: Resource>(&self, other: &Array<T, Q>, operation: Operation) -> Result<(), ArrayError> {
        if self.shape() == other.shape() {
            Ok(())
        } else {
            Err(ArrayError::Shape { operation, left: *self.shape(), right: *other.shape() })
        }
    }
}

impl<T: Real, R: Resource> Array<T, R> {
    /// The matrix product of two arrays of two dimensions, where the left one lives. O(m k n).
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where they have not two dimensions or the columns of the left are not the rows of the right,
    /// [`ArrayError::Alloc`] where the memory is refused.
    pub fn matmul<Q: Resource>(&self, other: &Array<T, Q>) -> Result<Self, ArrayError>
    where
        R: Clone,
    {
        self.matmul_in(other, self.resource().clone())
    }

    /// The matrix product of two arrays of two dimensions, in `resource`. O(m k n).
    ///
    /// # Errors
    /// As [`Array::matmul`].
    pub fn matmul_in<Q: Resource, S: Resource>(
        &self,
        other: &Array<T, Q>,
        resource: S,
    ) -> Result<Array<T, S>, ArrayError> {
        ArrayBuilder::new(resource).matmul(self.as_matrix()?, other.as_matrix()?)
    }
}
