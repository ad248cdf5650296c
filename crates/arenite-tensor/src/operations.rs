//! Arithmetic on arrays: elementwise operations, scaling, sums and products.
//!
//! Shapes must be equal: there is no broadcasting. An operation that creates an array has two
//! forms. One allocates from the resource of the left operand, the other (`_in`) from a given
//! resource.

use crate::{Array, ArrayBuilder, ArrayError, Element, Operation, Real};
use arenite_core::Resource;

/// Maximum number of elements that are summed one by one; longer slices are split in half.
const LEAF: usize = 256;

/// Sums pairwise; the error grows with the logarithm of the length.
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
    /// Applies `f` to each element; the result is allocated from `resource`. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] if the allocation fails.
    pub fn map_in<S: Resource>(
        &self,
        resource: S,
        mut f: impl FnMut(T) -> T,
    ) -> Result<Array<T, S>, ArrayError> {
        ArrayBuilder::new(resource).collect(*self.shape(), self.as_slice().iter().map(|&element| f(element)))
    }

    /// Applies `f` to each pair of elements; the result is allocated from `resource`. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the shapes differ, [`ArrayError::Alloc`] if the allocation fails.
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

    /// Adds two arrays of equal shape; the result is allocated from the resource of the left one.
    ///
    /// # Errors
    /// As [`Array::zip_in`].
    pub fn add<Q: Resource>(&self, other: &Array<T, Q>) -> Result<Self, ArrayError>
    where
        R: Clone,
    {
        self.zip_in(other, self.resource().clone(), T::plus)
    }

    /// Subtracts an array of equal shape; the result is allocated from the resource of the left
    /// one.
    ///
    /// # Errors
    /// As [`Array::zip_in`].
    pub fn sub<Q: Resource>(&self, other: &Array<T, Q>) -> Result<Self, ArrayError>
    where
        R: Clone,
    {
        self.zip_in(other, self.resource().clone(), T::minus)
    }

    /// Multiplies two arrays of equal shape elementwise; the result is allocated from the resource
    /// of the left one.
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

    /// Copies the elements of another array of equal shape into this one.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the shapes differ; this array is then unchanged.
    pub fn assign<Q: Resource>(&mut self, other: &Array<T, Q>) -> Result<(), ArrayError> {
        self.same_shape(other, Operation::Assign)?;
        self.as_mut_slice().copy_from_slice(other.as_slice());
        Ok(())
    }

    /// Returns the pairwise sum of all elements: integers as 64 bits (wrapping), 16-bit floats as
    /// `f32`.
    #[must_use]
    pub fn sum(&self) -> T::Sum {
        pairwise(self.as_slice())
    }

    /// Returns the mean of all elements, or `None` if there are none.
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
    /// Multiplies two matrices; the result is allocated from the resource of the left one.
    /// `O(m k n)`.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if an array does not have two dimensions or the left columns differ
    /// from the right rows. [`ArrayError::Alloc`] if the allocation fails.
    pub fn matmul<Q: Resource>(&self, other: &Array<T, Q>) -> Result<Self, ArrayError>
    where
        R: Clone,
    {
        self.matmul_in(other, self.resource().clone())
    }

    /// Multiplies two matrices; the result is allocated from `resource`. `O(m k n)`.
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
