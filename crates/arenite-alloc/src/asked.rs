//! Memory that is asked for and not insisted on.
//!
//! Rests on the standard vector: its box aborts where there is no memory.

/// A box of one value; `None`: there is no memory for it.
pub(crate) fn try_boxed<T>(value: T) -> Option<Box<[T; 1]>> {
    let mut one = Vec::new();
    one.try_reserve_exact(1).ok()?;
    one.push(value);
    one.into_boxed_slice().try_into().ok()
}

/// Adds a value to a list, if there is memory for it.
pub(crate) fn try_push<T>(list: &mut Vec<T>, value: T) -> bool {
    let room = list.try_reserve(1).is_ok();
    if room {
        list.push(value);
    }
    room
}

/// What an iterator has, as far as there is memory for it.
pub(crate) fn try_collect<T>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for one in all {
        if !try_push(&mut list, one) {
            break;
        }
    }
    list
}
