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

#[derive(Clone, Copy)]
struct Guess {
    node: usize,
    used: usize,
    wary: u32,
}

thread_local! {
    static GUESSES: [Cell<Guess>; PLACES] =
        const { [const { Cell::new(Guess { node: 0, used: 0, wary: 0 }) }; PLACES] };
}

/// Where a thread's guess for a node stands: nodes that are made one after the other have different places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

impl Place {
    pub(super) fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Relaxed) % PLACES)
    }

    /// What the node at this address may have in use; `None`: better read.
    #[inline(always)]
    pub(super) fn get(self, node: usize) -> Option<usize> {
        GUESSES.with(|guesses| {
            let guess = guesses[self.0 % PLACES].get();
            (guess.node == node && guess.wary == 0).then_some(guess.used)
        })
    }

    /// The node has this in use, as this thread left it.
    #[inline(always)]
    pub(super) fn set(self, node: usize, used: usize) {
        GUESSES.with(|guesses| {
            let guess = &guesses[self.0 % PLACES];
            let before = guess.get();
            let wary = if before.node == node { before.wary.saturating_sub(1) } else { 0 };
            guess.set(Guess { node, used, wary });
        });
    }

    /// The guess was wrong.
    #[cold]
    pub(super) fn wrong(self, node: usize) {
        GUESSES.with(|guesses| guesses[self.0 % PLACES].set(Guess { node, used: 0, wary: WARY }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_what_this_thread_left_until_it_was_wrong() {
        let (place, one, other) = (Place(3), 0x1_0000, 0x2_0000);
        assert_eq!(place.get(one), None);
        place.set(one, 5);
        assert_eq!((place.get(one), place.get(other), Place(4).get(one)), (Some(5), None, None));
        place.set(other, 7);
        assert_eq!((place.get(one), place.get(other)), (None, Some(7)), "they have one place");
        place.wrong(other);
        for _ in 0..WARY {
            assert_eq!(place.get(other), None);
            place.set(other, 9);
        }
        assert_eq!(place.get(other), Some(9));
        assert_eq!(std::thread::spawn(move || place.get(other)).join().unwrap(), None);
    }
}
