//! Memory that is asked for and not insisted on: boxes, lists, what an iterator has.
//!
//! Rests on the standard vector: the standard box, and a vector's `push` and `collect`, abort where there is no memory.

use std::collections::TryReserveError;

/// A box of one value.
pub(crate) fn try_boxed<T>(value: T) -> Result<Box<[T; 1]>, TryReserveError> {
    let mut one = Vec::new();
    one.try_reserve_exact(1)?;
    one.push(value);
    let one: Result<Box<[T; 1]>, Box<[T]>> = one.into_boxed_slice().try_into();
    Ok(one.unwrap_or_else(|_| unreachable!("one was pushed")))
}

/// Adds a value to a list.
pub(crate) fn try_push<T>(list: &mut Vec<T>, value: T) -> Result<(), TryReserveError> {
    list.try_reserve(1)?;
    list.push(value);
    Ok(())
}

/// Adds what an iterator has, at most `most`, to a list.
pub(crate) fn try_extend<T>(
    list: &mut Vec<T>,
    most: usize,
    all: impl Iterator<Item = T>,
) -> Result<(), TryReserveError> {
    // before anything is asked of the iterator: what it makes may be no small thing to drop
    list.try_reserve(most)?;
    list.extend(all.take(most));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_there_and_what_cannot_be_is_an_error() {
        assert_eq!(*try_boxed("one").unwrap(), ["one"]);
        let mut list = vec![1];
        try_push(&mut list, 2).unwrap();
        try_extend(&mut list, 3, 3..100).unwrap();
        assert_eq!(list, [1, 2, 3, 4, 5]);
        assert!(try_extend(&mut list, usize::MAX, core::iter::empty()).is_err());
        assert_eq!(list.len(), 5);
    }
}
