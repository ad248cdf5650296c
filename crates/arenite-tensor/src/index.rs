//! Element access by index, checked in every build: panicking or with an `Option`.

use crate::{Array, Element, Shape};
use arenite_core::Resource;
use core::ops::{Index, IndexMut};

#[cold]
#[inline(never)]
fn outside(index: &[usize], shape: &Shape) -> ! {
    panic!("index {index:?} is out of range for shape {shape}")
}

impl<T: Element, R: Resource> Array<T, R> {
    /// Returns the element at an index, or `None` outside the shape.
    #[must_use]
    #[inline]
    pub fn get<const N: usize>(&self, index: [usize; N]) -> Option<&T> {
        self.as_slice().get(self.shape().offset(&index)?)
    }

    /// Returns the element at an index for writing, or `None` outside the shape.
    #[must_use]
    #[inline]
    pub fn get_mut<const N: usize>(&mut self, index: [usize; N]) -> Option<&mut T> {
        let offset = self.shape().offset(&index)?;
        self.as_mut_slice().get_mut(offset)
    }
}

impl<T: Element, R: Resource, const N: usize> Index<[usize; N]> for Array<T, R> {
    type Output = T;

    /// Returns the element at an index.
    ///
    /// # Panics
    /// Outside the shape, in every build; the message names the index and the shape.
    #[inline]
    fn index(&self, index: [usize; N]) -> &T {
        match self.get(index) {
            Some(element) => element,
            None => outside(&index, self.shape()),
        }
    }
}

impl<T: Element, R: Resource, const N: usize> IndexMut<[usize; N]> for Array<T, R> {
    /// Returns the element at an index for writing.
    ///
    /// # Panics
    /// Outside the shape, in every build; the message names the index and the shape.
    #[inline]
    fn index_mut(&mut self, index: [usize; N]) -> &mut T {
        match self.shape().offset(&index) {
            Some(offset) => &mut self.as_mut_slice()[offset],
            None => outside(&index, self.shape()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "index [2, 0] is out of range for shape [2, 3]")]
    fn e32_an_index_outside_panics_with_index_and_shape() {
        let array = Array::<f64>::zeros([2, 3]).unwrap();
        let _ = array[[2, 0]];
    }

    #[test]
    #[should_panic(expected = "index [0, 3] is out of range for shape [2, 3]")]
    fn e32_an_index_outside_its_row_but_inside_the_array_panics_too() {
        let mut array = Array::<f64>::zeros([2, 3]).unwrap();
        array[[0, 3]] = 1.0;
    }

    #[test]
    #[should_panic(expected = "index [1] is out of range for shape [2, 3]")]
    fn e32_an_index_of_another_rank_panics() {
        let array = Array::<f64>::zeros([2, 3]).unwrap();
        let _ = array[[1]];
    }

    #[test]
    fn e33_get_is_none_outside() {
        let mut array = Array::from_slice([2, 3], &[1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(array.get([1, 2]), Some(&6));
        assert_eq!(array.get([2, 0]), None);
        assert_eq!(array.get([0, 3]), None);
        assert_eq!(array.get([0]), None);
        assert_eq!(array.get_mut([0, 3]), None);
        *array.get_mut([0, 1]).unwrap() = 9;
        assert_eq!(array[[0, 1]], 9);
    }
}
