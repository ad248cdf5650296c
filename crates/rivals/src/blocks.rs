//! Adapters for equal blocks: arenite's pools and the slab crate; [`heaps`](crate::heaps) has the
//! heaps.
//!
//! `alloc` also writes the block's first word, because every program writes to its blocks.
#![expect(unsafe_code, reason = "writes into blocks of pools")]

use crate::failure::AllocFailed;
use crate::tally;
use arenite_alloc::{Pool, SharedPool};
use slab::Slab;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// An allocator of single blocks of one size.
pub(crate) trait Blocks {
    /// The handle of a live block.
    type Token;

    /// Allocates a block and writes `word` to its first 8 bytes.
    fn alloc(&mut self, word: u64) -> Result<Self::Token, AllocFailed>;

    /// Frees a block.
    fn free(&mut self, token: Self::Token) -> Result<(), AllocFailed>;
}

/// Writes the first word of a block of `size` bytes.
///
/// # Safety
/// `block` is a fresh block of `size` bytes, 8 at least, aligned to 8.
#[inline(always)]
unsafe fn write_first_word(block: NonNull<u8>, size: usize, word: u64) -> NonNull<u8> {
    tally::allocated(size);
    tally::wrote();
    // SAFETY: the caller promised an aligned block that is valid for the write of a word.
    unsafe { block.cast::<u64>().write(word) };
    black_box(block)
}

/// A pool of blocks of `SIZE` bytes for one thread, with every check of `deallocate_block`.
#[derive(Debug)]
pub(crate) struct Local<const SIZE: usize>(Pool);

impl<const SIZE: usize> Local<SIZE> {
    pub(crate) fn new(count: usize) -> Result<Self, AllocFailed> {
        assert!(SIZE >= 8 && SIZE.is_multiple_of(8), "blocks hold whole words");
        Ok(Self(Pool::new(SIZE, count).map_err(|_| AllocFailed)?))
    }
}

impl<const SIZE: usize> Blocks for Local<SIZE> {
    type Token = NonNull<u8>;

    #[inline(always)]
    fn alloc(&mut self, word: u64) -> Result<NonNull<u8>, AllocFailed> {
        let block = self.0.allocate_block().map_err(|_| AllocFailed)?;
        // SAFETY: a fresh block of `SIZE` bytes, a non-zero multiple of 8, so it is aligned to 8.
        Ok(unsafe { write_first_word(block, SIZE, word) })
    }

    #[inline(always)]
    fn free(&mut self, token: NonNull<u8>) -> Result<(), AllocFailed> {
        tally::freed();
        self.0.deallocate_block(token).map_err(|_| AllocFailed)
    }
}

/// One thread's handle of a shared pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared<'p, const SIZE: usize>(&'p SharedPool);

impl<'p, const SIZE: usize> Shared<'p, SIZE> {
    /// Creates a pool for [`Shared::of`].
    pub(crate) fn pool(count: usize) -> Result<SharedPool, AllocFailed> {
        assert!(SIZE >= 8 && SIZE.is_multiple_of(8), "blocks hold whole words");
        SharedPool::new(SIZE, count).map_err(|_| AllocFailed)
    }

    /// Creates a handle of `pool`, which [`Shared::pool`] made for the same `SIZE`.
    pub(crate) fn of(pool: &'p SharedPool) -> Self {
        assert!(pool.block_size() == SIZE, "a pool of another size");
        Self(pool)
    }
}

impl<const SIZE: usize> Blocks for Shared<'_, SIZE> {
    type Token = NonNull<u8>;

    #[inline(always)]
    fn alloc(&mut self, word: u64) -> Result<NonNull<u8>, AllocFailed> {
        let block = self.0.allocate_block().map_err(|_| AllocFailed)?;
        // SAFETY: a fresh block of `SIZE` bytes, a non-zero multiple of 8, so it is aligned to 8.
        Ok(unsafe { write_first_word(block, SIZE, word) })
    }

    #[inline(always)]
    fn free(&mut self, token: NonNull<u8>) -> Result<(), AllocFailed> {
        tally::freed();
        self.0.deallocate_block(token).map_err(|_| AllocFailed)
    }
}

/// The slab crate; its values are uninitialised except for the first word, so it copies no block
/// in or out.
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
    fn alloc(&mut self, word: u64) -> Result<usize, AllocFailed> {
        let entry = self.0.vacant_entry();
        let key = entry.key();
        let cell = entry.insert(Cell(MaybeUninit::uninit()));
        // SAFETY: a value of `SIZE` bytes in the slab, aligned to 8, borrowed exclusively here.
        unsafe { write_first_word(NonNull::from(&mut cell.0).cast(), SIZE, word) };
        Ok(key)
    }

    #[inline(always)]
    fn free(&mut self, token: usize) -> Result<(), AllocFailed> {
        tally::freed();
        self.0.try_remove(token).map(drop).ok_or(AllocFailed)
    }
}
