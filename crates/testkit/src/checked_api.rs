//! Random valid and invalid calls of the checked API (`dyn MemoryAllocator`), compared with a list
//! of live blocks.
//!
//! An invalid call must fail and change nothing, whatever pointer it has.
#![expect(unsafe_code, reason = "reads and writes allocated blocks")]

use arenite_core::{AllocError, MemoryAllocator};
use core::ptr::{null_mut, without_provenance_mut};
use proptest::prelude::*;
use std::boxed::Box;

/// An allocator whose type is chosen at run time.
pub type DynAllocator = Box<dyn MemoryAllocator<Error = AllocError>>;

/// One call; `at` modulo the number of live blocks chooses a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Allocate a block of this size and alignment.
    Allocate(usize, usize),
    /// Request an impossible layout: an alignment that is not a power of two, or a size beyond the
    /// address space.
    AllocateInvalid(usize, usize),
    /// Resize a block.
    Reallocate {
        /// The index of the block, modulo the number of live blocks.
        at: usize,
        /// The new size in bytes.
        size: usize,
    },
    /// Free a block.
    Deallocate {
        /// The index of the block, modulo the number of live blocks.
        at: usize,
    },
    /// Free or resize an invalid pointer, or a block with a wrong layout.
    Bad {
        /// The index of the block that the invalid call starts from.
        at: usize,
        /// The mistake in the call.
        what: BadCall,
        /// Whether the call resizes instead of freeing.
        resize: bool,
    },
}

/// A mistake in a pointer, size or alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadCall {
    /// A null pointer.
    Null,
    /// A dangling, aligned pointer.
    Dangling,
    /// A pointer to the caller's stack.
    Stack,
    /// A pointer this many bytes inside a live block.
    Interior(usize),
    /// A live block with another size.
    WrongSize(usize),
    /// A live block with another alignment.
    WrongAlignment,
    /// A live block with an alignment that is not a power of two.
    InvalidAlignment,
    /// The most recently freed block, unless its address is live again.
    DoubleFree,
}

/// Returns up to 50 calls with blocks of up to `max_size` bytes at alignments up to `max_align`.
pub fn ops(max_size: usize, max_align: usize) -> impl Strategy<Value = Vec<Op>> {
    let wrong = prop_oneof![
        Just(BadCall::Null),
        Just(BadCall::Dangling),
        Just(BadCall::Stack),
        (1usize..64).prop_map(BadCall::Interior),
        (1usize..9).prop_map(BadCall::WrongSize),
        Just(BadCall::WrongAlignment),
        Just(BadCall::InvalidAlignment),
        Just(BadCall::DoubleFree),
    ];
    let align = (0..=max_align.ilog2()).prop_map(|shift| 1usize << shift);
    let op = prop_oneof![
        4 => (0..=max_size, align).prop_map(|(size, align)| Op::Allocate(size, align)),
        1 => prop_oneof![Just((8, 0)), Just((8, 3)), Just((usize::MAX, 8)), Just((1 << 63, 1)), Just((1 << 61, 8))]
            .prop_map(|(size, align)| Op::AllocateInvalid(size, align)),
        2 => (any::<usize>(), 0..=max_size).prop_map(|(at, size)| Op::Reallocate { at, size }),
        2 => any::<usize>().prop_map(|at| Op::Deallocate { at }),
        4 => (any::<usize>(), wrong, any::<bool>()).prop_map(|(at, what, resize)| Op::Bad { at, what, resize }),
    ];
    proptest::collection::vec(op, 1..50)
}

/// A live block and its expected contents.
#[derive(Clone, Debug)]
struct Block {
    start: *mut u8,
    align: usize,
    contents: Vec<u8>,
}

// SAFETY: the value owns the allocated block; no other value has its address.
unsafe impl Send for Block {}

impl Block {
    fn allocate(
        allocator: &dyn MemoryAllocator<Error = AllocError>,
        size: usize,
        align: usize,
        seed: usize,
    ) -> Result<Self, AllocError> {
        let start = allocator.allocate(size, align)?;
        assert!(!start.is_null() && start.addr().is_multiple_of(align), "{start:?} for alignment {align}");
        Ok(Self::fill(start, size, align, seed))
    }

    fn fill(start: *mut u8, size: usize, align: usize, seed: usize) -> Self {
        let contents: Vec<u8> =
            (0..size).map(|at| (seed.wrapping_mul(31) ^ at.wrapping_mul(7)).to_le_bytes()[0]).collect();
        // SAFETY: the allocator returned `size` bytes at `start`, and this block is their only
        // user.
        unsafe { start.copy_from_nonoverlapping(contents.as_ptr(), size) };
        Self { start, align, contents }
    }

    fn check(&self) {
        let len = self.contents.len();
        // SAFETY: the block is live and `fill` wrote its bytes; nothing else writes to them.
        let found = unsafe { core::slice::from_raw_parts(self.start, len) };
        assert!(found == self.contents, "the bytes of a live block of {len} changed");
    }
}

/// The live blocks of one caller.
///
/// Several callers may share an allocator; each checks its own blocks.
#[derive(Debug, Default)]
pub struct Caller {
    blocks: Vec<Block>,
    last_freed: Option<(usize, usize, usize)>,
    seeds: usize,
}

impl Caller {
    /// Makes one call; an invalid call must fail.
    ///
    /// # Panics
    /// If a valid call fails, an invalid call succeeds, or a byte of a block changed.
    pub fn apply(&mut self, allocator: &dyn MemoryAllocator<Error = AllocError>, op: Op) {
        self.seeds += 1;
        match op {
            Op::Allocate(size, align) => match Block::allocate(allocator, size, align, self.seeds) {
                Ok(block) => self.blocks.push(block),
                Err(error) => panic!("{op:?}: {error}"),
            },
            Op::AllocateInvalid(size, align) => {
                let error = allocator.allocate(size, align).expect_err("an invalid request succeeded");
                assert_eq!((error.size, error.align), (size, align));
            }
            Op::Reallocate { at, size } if !self.blocks.is_empty() => self.reallocate(allocator, at, size),
            Op::Deallocate { at } if !self.blocks.is_empty() => self.deallocate(allocator, at),
            Op::Bad { at, what, resize } => self.call_bad(allocator, at, what, resize),
            _ => {}
        }
    }

    fn reallocate(&mut self, allocator: &dyn MemoryAllocator<Error = AllocError>, at: usize, size: usize) {
        let index = at % self.blocks.len();
        let old = self.blocks[index].clone();
        let moved = allocator.reallocate(old.start, old.contents.len(), size, old.align);
        let start = moved.unwrap_or_else(|error| panic!("to {size} bytes: {error}"));
        let common = old.contents[..size.min(old.contents.len())].to_vec();
        Block { start, align: old.align, contents: common }.check();
        self.blocks[index] = Block::fill(start, size, old.align, self.seeds);
    }

    fn deallocate(&mut self, allocator: &dyn MemoryAllocator<Error = AllocError>, at: usize) {
        let block = self.blocks.swap_remove(at % self.blocks.len());
        block.check();
        if let Err(error) = allocator.deallocate(block.start, block.contents.len(), block.align) {
            panic!("a live block was rejected: {error}");
        }
        self.last_freed = Some((block.start.addr(), block.contents.len(), block.align));
    }

    fn call_bad(
        &self,
        allocator: &dyn MemoryAllocator<Error = AllocError>,
        at: usize,
        what: BadCall,
        resize: bool,
    ) {
        let mut on_stack = 0u64;
        let block = self.blocks.get(at % self.blocks.len().max(1));
        let (start, size, align) =
            block.map_or((null_mut(), 8, 8), |block| (block.start, block.contents.len(), block.align));
        let (pointer, size, align) = match (what, self.last_freed) {
            (BadCall::Null, _) => (null_mut(), size, align),
            (BadCall::Stack, _) => ((&raw mut on_stack).cast::<u8>(), size, align),
            (BadCall::Interior(by), _) if by < size => (start.wrapping_add(by), size, align),
            (BadCall::WrongSize(by), _) => (start, size + by, align),
            (BadCall::WrongAlignment, _) => (start, size, if align > 1 { align / 2 } else { 2 }),
            (BadCall::InvalidAlignment, _) => (start, size, 3),
            (BadCall::DoubleFree, Some((address, size, align)))
                if self.blocks.iter().all(|block| block.start.addr() != address) =>
            {
                (without_provenance_mut(address), size, align)
            }
            _ => (without_provenance_mut(8192), size, align),
        };
        let rejected = if resize {
            allocator.reallocate(pointer, size, size + 8, align).is_err()
        } else {
            allocator.deallocate(pointer, size, align).is_err()
        };
        assert!(rejected, "{what:?} was accepted: {pointer:?}, {size} bytes at {align}");
    }

    /// Checks every byte of every live block.
    ///
    /// # Panics
    /// If a byte changed.
    pub fn check(&self) {
        self.blocks.iter().for_each(Block::check);
    }

    /// Returns the sum of the sizes of the live blocks.
    #[must_use]
    pub fn live_bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.contents.len()).sum()
    }

    /// Returns the number of live blocks.
    #[must_use]
    pub const fn live_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Frees every block.
    ///
    /// # Panics
    /// If a call fails or a byte changed.
    pub fn deallocate_all(&mut self, allocator: &dyn MemoryAllocator<Error = AllocError>) {
        while !self.blocks.is_empty() {
            self.deallocate(allocator, 0);
        }
    }

    /// Moves the newest block to `other`, as threads do.
    pub fn hand_over(&mut self, other: &mut Self) {
        other.blocks.extend(self.blocks.pop());
    }
}

/// Makes the calls and compares the allocator's counts with the live blocks.
///
/// `block_size` is the size that the allocator counts per block; `None` means the requested size.
///
/// # Panics
/// If an invalid call changes the counts, or a count is wrong.
pub fn follow(allocator: &DynAllocator, ops: &[Op], block_size: Option<usize>) {
    let mut caller = Caller::default();
    for &op in ops {
        let before = (allocator.allocated_size(), allocator.peak_allocated());
        caller.apply(&**allocator, op);
        caller.check();
        let after = (allocator.allocated_size(), allocator.peak_allocated());
        if matches!(op, Op::Bad { .. } | Op::AllocateInvalid(..)) {
            assert_eq!(after, before, "{op:?} changed the counts");
        }
        let expected = block_size.map_or(caller.live_bytes(), |size| size * caller.blocks.len());
        assert_eq!(after.0, expected, "after {op:?}");
        assert!(after.1 >= after.0 && after.1 >= before.1, "the peak after {op:?}");
    }
    caller.deallocate_all(&**allocator);
    assert_eq!(allocator.allocated_size(), 0);
    let peak = allocator.peak_allocated();
    allocator.reset_peak();
    assert!(allocator.peak_allocated() == 0 && peak >= caller.live_bytes());
}
