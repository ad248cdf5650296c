//! A live block of an arena or a heap.
//!
//! Its lifetime is a borrow of the allocator, whose reset needs an exclusive borrow, so bodies
//! write to blocks without unsafe code.
#![expect(unsafe_code, reason = "writes through pointers to live blocks")]

use crate::tally;
use std::alloc::Layout;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A block with no other user until the borrow of its allocator ends.
#[derive(Debug)]
pub(crate) struct LiveBlock<'a> {
    start: NonNull<u8>,
    layout: Layout,
    allocator: PhantomData<&'a [u8]>,
}

impl LiveBlock<'_> {
    /// Wraps a live block and counts it.
    ///
    /// # Safety
    /// 1. `start` is aligned to `layout.align()` and valid for writes of `layout.size()` bytes for
    ///    the lifetime.
    /// 2. Nothing else uses those bytes during the lifetime.
    #[inline(always)]
    pub(crate) unsafe fn new(start: NonNull<u8>, layout: Layout) -> Self {
        tally::allocated(layout.size());
        Self { start, layout, allocator: PhantomData }
    }

    /// Returns the address.
    #[inline(always)]
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns the requested layout.
    #[inline(always)]
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Passes the address to `black_box`, so that the allocation is not optimised away.
    #[inline(always)]
    pub(crate) fn keep(&self) {
        black_box(self.start);
    }

    /// Writes the word at byte `at`, a multiple of 8.
    ///
    /// # Panics
    /// If the word is not inside the block, or the block is not aligned to 8.
    #[inline(always)]
    pub(crate) fn write_word(&mut self, at: usize, word: u64) {
        assert!(
            at.is_multiple_of(8) && at + 8 <= self.layout.size() && self.layout.align() >= 8,
            "outside the block"
        );
        tally::wrote();
        // SAFETY: `at` is inside the block, as just checked.
        let target = unsafe { self.start.add(at) }.cast::<u64>();
        // SAFETY: 1. valid for writes: eight bytes from `at` on are inside the block. 2. aligned:
        // the block and `at` are, to 8.
        unsafe { target.write(word) };
    }

    /// Writes one word in every 4 KiB.
    #[inline(always)]
    pub(crate) fn touch(&mut self) {
        for at in (0..self.layout.size()).step_by(4096) {
            self.write_word(at, 1);
        }
        self.keep();
    }
}
