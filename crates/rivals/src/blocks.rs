//! The lenders of equal blocks: arenite's pools and the slab crate. (The heaps are in [`heaps`](crate::heaps).)
//!
//! Rests on each library's own calls. `take` also writes the block's first word, as no program takes a block to leave it alone.
#![expect(unsafe_code, reason = "writes into the blocks that pools lend")]

use crate::failure::Refused;
use crate::tally;
use arenite_alloc::{Pool, SharedPool};
use slab::Slab;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Lends blocks of one size, one by one.
pub(crate) trait Blocks {
    /// What stands for a block until it is given back.
    type Token;

    /// A block, with `word` in its first 8 bytes.
    fn take(&mut self, word: u64) -> Result<Self::Token, Refused>;

    /// Takes the block back.
    fn give(&mut self, token: Self::Token) -> Result<(), Refused>;
}

/// Writes the first word of a block of `size` bytes.
///
/// # Safety
/// `block` is a fresh block of `size` bytes, 8 at least, aligned to 8.
#[inline(always)]
unsafe fn begin(block: NonNull<u8>, size: usize, word: u64) -> NonNull<u8> {
    tally::lent(size);
    tally::wrote();
    // SAFETY: the caller promised a block that is valid for writes of a word, and aligned.
    unsafe { block.cast::<u64>().write(word) };
    black_box(block)
}

/// A pool of blocks of `SIZE` bytes for one thread; every check of `deallocate_block` on.
#[derive(Debug)]
pub(crate) struct Local<const SIZE: usize>(Pool);

impl<const SIZE: usize> Local<SIZE> {
    pub(crate) fn new(count: usize) -> Result<Self, Refused> {
        assert!(SIZE >= 8 && SIZE.is_multiple_of(8), "blocks hold whole words");
        Ok(Self(Pool::new(SIZE, count).map_err(|_| Refused)?))
    }
}

impl<const SIZE: usize> Blocks for Local<SIZE> {
    type Token = NonNull<u8>;

    #[inline(always)]
    fn take(&mut self, word: u64) -> Result<NonNull<u8>, Refused> {
        let block = self.0.allocate_block().map_err(|_| Refused)?;
        // SAFETY: fresh, of `SIZE` bytes, a multiple of 8 that is not zero, so aligned to 8.
        Ok(unsafe { begin(block, SIZE, word) })
    }

    #[inline(always)]
    fn give(&mut self, token: NonNull<u8>) -> Result<(), Refused> {
        tally::freed();
        self.0.deallocate_block(token).map_err(|_| Refused)
    }
}

/// One thread's handle of a pool that threads share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared<'p, const SIZE: usize>(&'p SharedPool);

impl<'p, const SIZE: usize> Shared<'p, SIZE> {
    /// A pool for [`Shared::of`].
    pub(crate) fn pool(count: usize) -> Result<SharedPool, Refused> {
        assert!(SIZE >= 8 && SIZE.is_multiple_of(8), "blocks hold whole words");
        SharedPool::new(SIZE, count).map_err(|_| Refused)
    }

    /// A handle of `pool`, which [`Shared::pool`] made for the same `SIZE`.
    pub(crate) fn of(pool: &'p SharedPool) -> Self {
        assert!(pool.block_size() == SIZE, "a pool of another size");
        Self(pool)
    }
}

impl<const SIZE: usize> Blocks for Shared<'_, SIZE> {
    type Token = NonNull<u8>;

    #[inline(always)]
    fn take(&mut self, word: u64) -> Result<NonNull<u8>, Refused> {
        let block = self.0.allocate_block().map_err(|_| Refused)?;
        // SAFETY: fresh, of `SIZE` bytes, a multiple of 8 that is not zero, so aligned to 8.
        Ok(unsafe { begin(block, SIZE, word) })
    }

    #[inline(always)]
    fn give(&mut self, token: NonNull<u8>) -> Result<(), Refused> {
        tally::freed();
        self.0.deallocate_block(token).map_err(|_| Refused)
    }
}

/// The slab crate. Its values are left uninitialised but for the first word, so that it copies no block in or out.
#[derive(Debug)]
pub(crate) struct SlabBlocks<const SIZE: usize>(Slab<Cell<SIZE>>);

/// A value of `SIZE` bytes, aligned to 8.
#[derive(Debug)]
#[repr(C, align(8))]
struct Cell<const SIZE: usize>(MaybeUninit<[u8; SIZE]>);

impl<const SIZE: usize> SlabBlocks<SIZE> {
    pub(crate) fn new(count: usize) -> Self {
        Self(Slab::with_capacity(count))
    }
}

impl<const SIZE: usize> Blocks for SlabBlocks<SIZE> {
    type Token = usize;

    #[inline(always)]
    fn take(&mut self, word: u64) -> Result<usize, Refused> {
        let entry = self.0.vacant_entry();
        let key = entry.key();
        let cell = entry.insert(Cell(MaybeUninit::uninit()));
        // SAFETY: a value of `SIZE` bytes in the slab, aligned to 8, borrowed exclusively here.
        unsafe { begin(NonNull::from(&mut cell.0).cast(), SIZE, word) };
        Ok(key)
    }

    #[inline(always)]
    fn give(&mut self, token: usize) -> Result<(), Refused> {
        tally::freed();
        self.0.try_remove(token).map(drop).ok_or(Refused)
    }
}
