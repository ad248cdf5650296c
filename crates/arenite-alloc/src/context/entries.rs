//! What a context has taken.
//!
//! Rests on the standard vector, for contexts of more than four buffers. The first four stand in the context itself, so that
//! a small one asks for no memory but its buffers'.

use core::alloc::Layout;
use core::ptr::NonNull;

/// How many buffers a context has without a list.
const FIRST: usize = 4;

/// One buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: NonNull<u8>,
    pub(super) layout: Layout,
    /// The name of the type whose values are in it, where it was asked by a type.
    pub(super) kind: Option<&'static str>,
}

/// Buffers by number; a number is never used twice.
#[derive(Debug)]
pub(super) struct Entries {
    first: [Option<Entry>; FIRST],
    more: Vec<Option<Entry>>,
    count: usize,
}

impl Entries {
    pub(super) const EMPTY: Self = Self { first: [None; FIRST], more: Vec::new(), count: 0 };

    /// Makes room for so many, if there is memory for it: it is a hint.
    pub(super) fn expect(&mut self, count: usize) {
        let _room = self.more.try_reserve(count.saturating_sub(FIRST));
    }

    #[inline]
    pub(super) fn push(&mut self, entry: Entry) -> usize {
        let number = self.count;
        match self.first.get_mut(number) {
            Some(place) => *place = Some(entry),
            None => self.more.push(Some(entry)),
        }
        self.count += 1;
        number
    }

    pub(super) fn take(&mut self, number: usize) -> Option<Entry> {
        match self.first.get_mut(number) {
            Some(place) => place.take(),
            None => self.more.get_mut(number - FIRST)?.take(),
        }
    }

    /// Each buffer that was not taken back.
    #[inline]
    pub(super) fn each(&self, mut visit: impl FnMut(&Entry)) {
        self.first[..self.count.min(FIRST)].iter().flatten().for_each(&mut visit);
        self.more.iter().flatten().for_each(visit);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.first[..self.count.min(FIRST)].iter().chain(&self.more).flatten()
    }
}
