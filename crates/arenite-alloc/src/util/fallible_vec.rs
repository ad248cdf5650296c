//! Boxes and vectors whose failed allocation is an error.
//!
//! The standard `Box::new`, `Vec::push` and `collect` abort when there is no memory.

use arenite_pages::ForkSafeMutex;
use core::cell::RefCell;
use std::collections::TryReserveError;

/// Returns a box of one value.
pub(crate) fn try_boxed<T>(value: T) -> Result<Box<[T; 1]>, TryReserveError> {
    let mut one = Vec::new();
    one.try_reserve_exact(1)?;
    one.push(value);
    let one: Result<Box<[T; 1]>, Box<[T]>> = one.into_boxed_slice().try_into();
    Ok(one.unwrap_or_else(|_| unreachable!("one was pushed")))
}

/// Appends a value to a list.
pub(crate) fn try_push<T>(list: &mut Vec<T>, value: T) -> Result<(), TryReserveError> {
    list.try_reserve(1)?;
    list.push(value);
    Ok(())
}

/// Appends at most `max` items of an iterator to a list.
pub(crate) fn try_extend<T>(
    list: &mut Vec<T>,
    max: usize,
    all: impl Iterator<Item = T>,
) -> Result<(), TryReserveError> {
    // The list grows before the iterator runs: an item may be expensive to drop.
    list.try_reserve(max)?;
    list.extend(all.take(max));
    Ok(())
}

/// Appends a value to a locked list. Aborts if there is no memory.
///
/// No allocator is called under the lock: the global allocator may itself use the list.
pub(crate) fn push_outside_lock<T>(locked: &ForkSafeMutex<Vec<T>>, value: T) {
    let mut longer = Vec::new();
    loop {
        let mut list = locked.lock();
        if list.len() == list.capacity() && longer.capacity() > list.len() {
            longer.append(&mut list);
            core::mem::swap(&mut *list, &mut longer);
        }
        if list.len() < list.capacity() {
            list.push(value);
            drop(list);
            // The old buffer is freed after the lock is released.
            return drop(longer);
        }
        let capacity = 2 * list.len() + 4;
        drop(list);
        longer.reserve_exact(capacity);
    }
}

/// Calls `change` with a list that has space for one more value.
///
/// No allocator is called under the borrow: the global allocator may itself use the list.
pub(crate) fn try_with_spare<T, A>(
    cell: &RefCell<Vec<T>>,
    change: impl FnOnce(&mut Vec<T>) -> A,
) -> Result<A, TryReserveError> {
    let mut longer = Vec::new();
    loop {
        let mut list = cell.borrow_mut();
        if list.len() == list.capacity() && longer.capacity() > list.len() {
            longer.append(&mut list);
            core::mem::swap(&mut *list, &mut longer);
        }
        if list.len() < list.capacity() {
            let changed = change(&mut list);
            // The old buffer is freed after the borrow ends.
            drop(list);
            drop(longer);
            return Ok(changed);
        }
        let capacity = 2 * list.len() + 4;
        drop(list);
        longer.try_reserve_exact(capacity)?;
    }
}

/// Appends what `each` returns for the values of a locked list to another list. No allocator is
/// called under the lock.
pub(crate) fn try_extend_outside_lock<T, U>(
    list: &mut Vec<U>,
    locked: &ForkSafeMutex<Vec<T>>,
    mut each: impl FnMut(&T) -> Option<U>,
) -> Result<(), TryReserveError> {
    loop {
        let values = locked.lock();
        if list.capacity() - list.len() >= values.len() {
            list.extend(values.iter().filter_map(&mut each));
            return Ok(());
        }
        let more = values.len();
        drop(values);
        list.try_reserve(more)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_grow_or_return_an_error() {
        assert_eq!(*try_boxed("one").unwrap(), ["one"]);
        let mut list = vec![1];
        try_push(&mut list, 2).unwrap();
        try_extend(&mut list, 3, 3..100).unwrap();
        assert_eq!(list, [1, 2, 3, 4, 5]);
        assert!(try_extend(&mut list, usize::MAX, core::iter::empty()).is_err());
        assert_eq!(list.len(), 5);
    }

    #[test]
    fn a_locked_list_grows_and_is_copied() {
        let locked = ForkSafeMutex::new(Vec::new());
        (0..100).for_each(|value| push_outside_lock(&locked, value));
        let mut even = vec![1000];
        try_extend_outside_lock(&mut even, &locked, |value| (value % 2 == 0).then_some(*value)).unwrap();
        assert_eq!(even.len(), 51);
        assert!(even.iter().skip(1).eq((0..100).step_by(2).collect::<Vec<_>>().iter()));
        assert_eq!(*locked.lock(), (0..100).collect::<Vec<_>>());
    }
}
