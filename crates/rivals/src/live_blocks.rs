//! A block that an arena or a heap lends to a body.
//!
//! Rests on nothing. The life time is that of a borrow of the lender, which a lender's reset needs exclusively: so bodies write to
//! blocks without a line of unsafe code.
#![expect(unsafe_code, reason = "writes through the pointers that lenders lend")]

use crate::tally;
use std::alloc::Layout;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A block, alone its holder's until the borrow of its lender ends.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    start: NonNull<u8>,
    layout: Layout,
    lender: PhantomData<&'a [u8]>,
}

impl Lent<'_> {
    /// # Safety
    /// 1. `start` is aligned to `layout.align()` and valid for writes of `layout.size()` bytes for the life time.
    /// 2. Nobody else uses those bytes meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn new(start: NonNull<u8>, layout: Layout) -> Self {
        tally::lent(layout.size());
        Self { start, layout, lender: PhantomData }
    }

    /// The address, for keeping lists of what was lent.
    #[inline(always)]
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The layout it was asked with.
    #[inline(always)]
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Keeps the compiler from leaving the allocation out.
    #[inline(always)]
    pub(crate) fn keep(&self) {
        black_box(self.start);
    }

    /// Writes the word at byte `at`, a multiple of 8.
    ///
    /// # Panics
    /// If the word does not lie in the block, or the block is not aligned to 8.
    #[inline(always)]
    pub(crate) fn write_word(&mut self, at: usize, word: u64) {
        assert!(
            at.is_multiple_of(8) && at + 8 <= self.layout.size() && self.layout.align() >= 8,
            "outside the block"
        );
        tally::wrote();
        // SAFETY: `at` lies in the block, just checked.
        let place = unsafe { self.start.add(at) }.cast::<u64>();
        // SAFETY: 1. valid for writes: eight bytes from `at` on lie in the block. 2. aligned: the block and `at` are, to 8.
        unsafe { place.write(word) };
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
