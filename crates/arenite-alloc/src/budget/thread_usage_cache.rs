//! What a thread believes that a node has in use.
//!
//! Rests on thread-local storage. A charge is one compare-exchange; to read the counter first costs nearly as much again, since a load
//! waits for the exchange before it. A thread that charges a node again, and was alone in between, knows what it left there. A wrong
//! guess changes nothing, as the exchange then fails; after one the thread reads for a while, as others are at work.

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many nodes a thread has guesses for.
const PLACES: usize = 8;
/// How often it reads after a wrong guess.
const WARY: u32 = 64;

struct Guess {
    /// The node's address; 0: none.
    node: Cell<usize>,
    used: Cell<usize>,
    /// The node that is read for a while, and how often still.
    read: Cell<usize>,
    wary: Cell<u32>,
}

impl Guess {
    const fn none() -> Self {
        Self { node: Cell::new(0), used: Cell::new(0), read: Cell::new(0), wary: Cell::new(0) }
    }
}

thread_local! {
    static GUESSES: [Guess; PLACES] = const { [const { Guess::none() }; PLACES] };
}

/// Where a thread's guess for a node stands: nodes that are made one after the other have different places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

impl Place {
    pub(super) fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Relaxed) % PLACES)
    }

    /// Has `exchange` change what the node at this address may have in use, as this thread left it, to what it returns. `None`: it returned
    /// that, or this thread had better read. A guess that was right costs one store, as the next exchange waits for every store before it.
    #[inline(always)]
    pub(super) fn guessed(self, node: usize, exchange: impl FnOnce(usize) -> Option<usize>) -> Option<usize> {
        GUESSES.with(|guesses| {
            let guess = &guesses[self.0 % PLACES];
            if guess.node.get() != node {
                return None;
            }
            let used = exchange(guess.used.get())?;
            guess.used.set(used);
            Some(used)
        })
    }

    /// The node has this in use, as this thread left it.
    pub(super) fn left(self, node: usize, used: usize) {
        GUESSES.with(|guesses| {
            let guess = &guesses[self.0 % PLACES];
            if guess.read.get() == node && guess.wary.get() > 0 {
                guess.wary.set(guess.wary.get() - 1);
            } else {
                guess.node.set(node);
                guess.used.set(used);
            }
        });
    }

    /// The guess was wrong.
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(self, node: usize) {
        GUESSES.with(|guesses| {
            let guess = &guesses[self.0 % PLACES];
            guess.node.set(0);
            guess.read.set(node);
            guess.wary.set(WARY);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_what_this_thread_left_until_it_was_wrong() {
        let (place, one, other) = (Place(3), 0x1_0000, 0x2_0000);
        let get = |place: Place, node| place.guessed(node, Some);
        assert_eq!(get(place, one), None);
        place.left(one, 5);
        assert_eq!((get(place, one), get(place, other), get(Place(4), one)), (Some(5), None, None));
        assert_eq!(place.guessed(one, |used| Some(used + 1)), Some(6));
        assert_eq!((place.guessed(one, |_| None), get(place, one)), (None, Some(6)));
        place.left(other, 7);
        assert_eq!((get(place, one), get(place, other)), (None, Some(7)), "they have one place");
        place.wrong(other);
        for _ in 0..WARY {
            assert_eq!(get(place, other), None);
            place.left(other, 9);
        }
        place.left(other, 9);
        assert_eq!(get(place, other), Some(9));
        assert_eq!(std::thread::spawn(move || get(place, other)).join().unwrap(), None);
    }
}
