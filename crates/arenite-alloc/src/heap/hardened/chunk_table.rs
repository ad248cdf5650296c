//! What a hardened heap knows of the blocks of one slab, kept behind the slab and not in its blocks.
//!
//! Rests on the memory it is told of: a count, a tag of 16 bytes for each block, and the numbers of the free ones.
#![expect(unsafe_code, reason = "keeps a table at an address that it computes")]

use crate::heap::hardened::options::Caller;
use crate::heap::slab::slab::{Slab, UNIT};
use core::cell::Cell;
use core::ptr::NonNull;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Never lent.
    Fresh,
    Lent,
    /// Freed, and not yet to be lent again.
    Waiting,
    Free,
}

/// What is known of a block. Zero is a fresh one.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Tag {
    /// The state in the highest byte, the size that was asked for below.
    word: Cell<u32>,
    taken_by: Cell<u16>,
    freed_by: Cell<u16>,
    taken_in: Cell<u32>,
    freed_in: Cell<u32>,
}

impl Tag {
    pub(crate) fn state(&self) -> State {
        match self.word.get() >> 24 {
            0 => State::Fresh,
            1 => State::Lent,
            2 => State::Waiting,
            _ => State::Free,
        }
    }

    pub(crate) fn size(&self) -> usize {
        (self.word.get() & 0xff_ffff) as usize
    }

    pub(crate) fn set_state(&self, state: State) {
        self.word.set(self.word.get() & 0xff_ffff | (state as u32) << 24);
    }

    pub(crate) fn take(&self, size: usize, caller: Caller) {
        self.word.set(u32::try_from(size).unwrap_or(0) & 0xff_ffff | (State::Lent as u32) << 24);
        self.taken_by.set(caller.thread);
        self.taken_in.set(caller.call);
    }

    pub(crate) fn free(&self, caller: Caller) {
        self.freed_by.set(caller.thread);
        self.freed_in.set(caller.call);
    }

    pub(crate) fn taken_by(&self) -> Option<Caller> {
        let (thread, call) = (self.taken_by.get(), self.taken_in.get());
        (thread > 0).then_some(Caller { thread, call })
    }

    pub(crate) fn freed_by(&self) -> Option<Caller> {
        let (thread, call) = (self.freed_by.get(), self.freed_in.get());
        (thread > 0).then_some(Caller { thread, call })
    }
}

/// The tags of one slab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tags {
    /// A count of free blocks, then the tags, then the numbers of the free blocks.
    start: NonNull<u8>,
    capacity: usize,
}

const HEAD: usize = 16;

impl Tags {
    /// How many units the tags of a slab of so many blocks take.
    pub(crate) const fn units(capacity: usize) -> usize {
        (HEAD + capacity * (size_of::<Tag>() + size_of::<u16>())).div_ceil(UNIT)
    }

    /// The tags of a slab.
    ///
    /// # Safety
    /// [`Tags::begin`] was called at the first unit behind the slab and its guard, `guards` of them, and the slab is still one.
    pub(crate) unsafe fn of(slab: &Slab, guards: usize) -> Option<Self> {
        let behind = (usize::from(slab.units.get()) + guards) * UNIT;
        let start = NonNull::new(slab.start().wrapping_add(behind))?;
        Some(Self { start, capacity: slab.capacity() as usize })
    }

    /// Begins tags for fresh blocks, all free.
    ///
    /// # Safety
    /// `start` is valid for reads and writes of [`Tags::units`], aligned to 16, and nobody else's.
    pub(crate) unsafe fn begin(start: NonNull<u8>, capacity: usize) -> Self {
        let tags = Self { start, capacity };
        // SAFETY: the caller's promise; zeroes are tags of fresh blocks.
        unsafe { start.write_bytes(0, HEAD + capacity * size_of::<Tag>()) };
        for block in 0..capacity {
            tags.push(block);
        }
        tags
    }

    fn count(&self) -> &Cell<u32> {
        // SAFETY: the head of the table, written by `begin`, used under the lock of the heap's guard alone.
        unsafe { self.start.cast::<Cell<u32>>().as_ref() }
    }

    /// How many blocks are free.
    pub(crate) fn free(&self) -> usize {
        self.count().get() as usize
    }

    pub(crate) fn tag(&self, block: usize) -> &Tag {
        debug_assert!(block < self.capacity);
        let at = self.start.map_addr(|start| start.saturating_add(HEAD + block * size_of::<Tag>()));
        // SAFETY: one of the tags, zeroed by `begin`.
        unsafe { at.cast::<Tag>().as_ref() }
    }

    fn number(&self, at: usize) -> &Cell<u16> {
        let offset = HEAD + self.capacity * size_of::<Tag>() + at * size_of::<u16>();
        let place = self.start.map_addr(|start| start.saturating_add(offset));
        // SAFETY: `at` is below the count of free blocks or becomes its last; fresh memory of the system is zero.
        unsafe { place.cast::<Cell<u16>>().as_ref() }
    }

    /// Makes a block free.
    pub(crate) fn push(&self, block: usize) {
        let count = self.free();
        self.count().set(u32::try_from(count + 1).unwrap_or(0));
        self.number(count).set(u16::try_from(block).unwrap_or(0));
    }

    /// Takes the free block at a place of the list, and puts the last one there.
    pub(crate) fn pop(&self, at: usize) -> Option<usize> {
        let last = self.free().checked_sub(1)?;
        let place = self.number(at.min(last));
        let block = usize::from(place.replace(self.number(last).get()));
        self.count().set(u32::try_from(last).unwrap_or(0));
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_free_once_and_come_in_any_order() {
        let mut memory = vec![0_u128; 4096];
        let start = NonNull::new(memory.as_mut_ptr()).unwrap().cast();
        // SAFETY: the vector is large enough for a hundred blocks, aligned, and this test's.
        let tags = unsafe { Tags::begin(start, 100) };
        let mut taken: Vec<usize> = (0..100).map(|turn| tags.pop(turn * 7 % (100 - turn)).unwrap()).collect();
        assert_eq!((tags.free(), tags.pop(0)), (0, None));
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..100));
        let caller = Caller { thread: 3, call: 9 };
        assert_eq!((tags.tag(7).state(), tags.tag(7).taken_by()), (State::Fresh, None));
        tags.tag(7).take(65_536, caller);
        assert_eq!(
            (tags.tag(7).state(), tags.tag(7).size(), tags.tag(7).taken_by()),
            (State::Lent, 65_536, Some(caller))
        );
        tags.tag(7).set_state(State::Waiting);
        tags.tag(7).free(caller);
        assert_eq!((tags.tag(7).state(), tags.tag(7).freed_by()), (State::Waiting, Some(caller)));
        tags.push(7);
        assert_eq!(tags.pop(0), Some(7));
    }
}
