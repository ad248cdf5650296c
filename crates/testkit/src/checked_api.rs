//! The checked door: random valid and invalid calls through `dyn MemoryAllocator`, against a list of what is lent.
//!
//! Rests on [`MemoryAllocator`] alone, as its users do. An invalid call must be refused and change nothing, whatever pointer
//! it brings.
#![expect(unsafe_code, reason = "reads and writes the blocks that it was lent")]

use arenite_core::{AllocError, MemoryAllocator};
use core::ptr::{null_mut, without_provenance_mut};
use proptest::prelude::*;
use std::boxed::Box;

/// A door whose type is chosen at run time.
pub type AnyDoor = Box<dyn MemoryAllocator<Error = AllocError>>;

/// One call. `at` chooses a lent block: its remainder by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Take a block of so many bytes at so large an alignment.
    Allocate(usize, usize),
    /// Ask for what does not exist: an alignment that is no power of two, or more bytes than there are addresses.
    Impossible(usize, usize),
    /// Change a block's size.
    Reallocate {
        /// Which.
        at: usize,
        /// To what.
        size: usize,
    },
    /// Give a block back.
    Deallocate {
        /// Which.
        at: usize,
    },
    /// Give back, or resize, what must be refused.
    Wrong {
        /// The block that the wrong call resembles.
        at: usize,
        /// What is wrong.
        what: Wrong,
        /// Whether to resize instead of giving back.
        resize: bool,
    },
}

/// What can be wrong with a pointer, size and alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Null.
    Null,
    /// A dangling, aligned pointer.
    Dangling,
    /// A pointer to the caller's stack.
    Stack,
    /// So many bytes inside a live block.
    Interior(usize),
    /// A live block with another size.
    Size(usize),
    /// A live block with another alignment.
    Alignment,
    /// A live block with an alignment that is no power of two.
    NoAlignment,
    /// The block given back last, if its address is not lent again.
    Twice,
}

/// Up to 50 calls, of blocks up to `max_size` bytes at `max_align`.
pub fn calls(max_size: usize, max_align: usize) -> impl Strategy<Value = Vec<Call>> {
    let wrong = prop_oneof![
        Just(Wrong::Null),
        Just(Wrong::Dangling),
        Just(Wrong::Stack),
        (1usize..64).prop_map(Wrong::Interior),
        (1usize..9).prop_map(Wrong::Size),
        Just(Wrong::Alignment),
        Just(Wrong::NoAlignment),
        Just(Wrong::Twice),
    ];
    let align = (0..=max_align.ilog2()).prop_map(|shift| 1usize << shift);
    let call = prop_oneof![
        4 => (0..=max_size, align).prop_map(|(size, align)| Call::Allocate(size, align)),
        1 => prop_oneof![Just((8, 0)), Just((8, 3)), Just((usize::MAX, 8)), Just((1 << 63, 1)), Just((1 << 61, 8))]
            .prop_map(|(size, align)| Call::Impossible(size, align)),
        2 => (any::<usize>(), 0..=max_size).prop_map(|(at, size)| Call::Reallocate { at, size }),
        2 => any::<usize>().prop_map(|at| Call::Deallocate { at }),
        4 => (any::<usize>(), wrong, any::<bool>()).prop_map(|(at, what, resize)| Call::Wrong { at, what, resize }),
    ];
    proptest::collection::vec(call, 1..50)
}

/// A block that is lent.
#[derive(Clone, Debug)]
struct Lease {
    start: *mut u8,
    align: usize,
    contents: Vec<u8>,
}

// SAFETY: the block is lent to whoever has the lease.
unsafe impl Send for Lease {}

impl Lease {
    fn take(
        door: &dyn MemoryAllocator<Error = AllocError>,
        size: usize,
        align: usize,
        seed: usize,
    ) -> Result<Self, AllocError> {
        let start = door.allocate(size, align)?;
        assert!(!start.is_null() && start.addr().is_multiple_of(align), "{start:?} for alignment {align}");
        Ok(Self::fill(start, size, align, seed))
    }

    fn fill(start: *mut u8, size: usize, align: usize, seed: usize) -> Self {
        let contents: Vec<u8> =
            (0..size).map(|at| (seed.wrapping_mul(31) ^ at.wrapping_mul(7)).to_le_bytes()[0]).collect();
        // SAFETY: the door lent `size` bytes at `start` to this lease alone.
        unsafe { start.copy_from_nonoverlapping(contents.as_ptr(), size) };
        Self { start, align, contents }
    }

    fn look(&self) {
        let len = self.contents.len();
        // SAFETY: lent and written; nobody else writes.
        let found = unsafe { core::slice::from_raw_parts(self.start, len) };
        assert!(found == self.contents, "the bytes of a lent block of {len} changed");
    }
}

/// The leases of one caller.
///
/// Several callers may use one door at a time; each looks at its own blocks.
#[derive(Debug, Default)]
pub struct Caller {
    leases: Vec<Lease>,
    last_freed: Option<(usize, usize, usize)>,
    seeds: usize,
}

impl Caller {
    /// Makes one call; wrong ones must be refused.
    ///
    /// # Panics
    /// If a valid call is refused or a wrong one is not, or a block's bytes changed.
    pub fn call(&mut self, door: &dyn MemoryAllocator<Error = AllocError>, call: Call) {
        self.seeds += 1;
        match call {
            Call::Allocate(size, align) => match Lease::take(door, size, align, self.seeds) {
                Ok(lease) => self.leases.push(lease),
                Err(error) => panic!("{call:?}: {error}"),
            },
            Call::Impossible(size, align) => {
                let error = door.allocate(size, align).expect_err("served the impossible");
                assert_eq!((error.size, error.align), (size, align));
            }
            Call::Reallocate { at, size } if !self.leases.is_empty() => self.reallocate(door, at, size),
            Call::Deallocate { at } if !self.leases.is_empty() => self.deallocate(door, at),
            Call::Wrong { at, what, resize } => self.wrong(door, at, what, resize),
            _ => {}
        }
    }

    fn reallocate(&mut self, door: &dyn MemoryAllocator<Error = AllocError>, at: usize, size: usize) {
        let index = at % self.leases.len();
        let old = self.leases[index].clone();
        let moved = door.reallocate(old.start, old.contents.len(), size, old.align);
        let start = moved.unwrap_or_else(|error| panic!("to {size} bytes: {error}"));
        let kept = old.contents[..size.min(old.contents.len())].to_vec();
        Lease { start, align: old.align, contents: kept }.look();
        self.leases[index] = Lease::fill(start, size, old.align, self.seeds);
    }

    fn deallocate(&mut self, door: &dyn MemoryAllocator<Error = AllocError>, at: usize) {
        let lease = self.leases.swap_remove(at % self.leases.len());
        lease.look();
        if let Err(error) = door.deallocate(lease.start, lease.contents.len(), lease.align) {
            panic!("a live block was refused: {error}");
        }
        self.last_freed = Some((lease.start.addr(), lease.contents.len(), lease.align));
    }

    fn wrong(&self, door: &dyn MemoryAllocator<Error = AllocError>, at: usize, what: Wrong, resize: bool) {
        let mut on_stack = 0u64;
        let lease = self.leases.get(at % self.leases.len().max(1));
        let (start, size, align) =
            lease.map_or((null_mut(), 8, 8), |lease| (lease.start, lease.contents.len(), lease.align));
        let (pointer, size, align) = match (what, self.last_freed) {
            (Wrong::Null, _) => (null_mut(), size, align),
            (Wrong::Stack, _) => ((&raw mut on_stack).cast::<u8>(), size, align),
            (Wrong::Interior(by), _) if by < size => (start.wrapping_add(by), size, align),
            (Wrong::Size(by), _) => (start, size + by, align),
            (Wrong::Alignment, _) => (start, size, if align > 1 { align / 2 } else { 2 }),
            (Wrong::NoAlignment, _) => (start, size, 3),
            (Wrong::Twice, Some((address, size, align)))
                if self.leases.iter().all(|lease| lease.start.addr() != address) =>
            {
                (without_provenance_mut(address), size, align)
            }
            _ => (without_provenance_mut(8192), size, align),
        };
        let refused = if resize {
            door.reallocate(pointer, size, size + 8, align).is_err()
        } else {
            door.deallocate(pointer, size, align).is_err()
        };
        assert!(refused, "{what:?} was accepted: {pointer:?}, {size} bytes at {align}");
    }

    /// Looks at every byte that is lent to this caller.
    ///
    /// # Panics
    /// If one changed.
    pub fn look(&self) {
        self.leases.iter().for_each(Lease::look);
    }

    /// The sum of the sizes lent to this caller.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.leases.iter().map(|lease| lease.contents.len()).sum()
    }

    /// How many blocks are lent to this caller.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.leases.len()
    }

    /// Gives everything back.
    ///
    /// # Panics
    /// If the door refuses, or a byte changed.
    pub fn finish(&mut self, door: &dyn MemoryAllocator<Error = AllocError>) {
        while !self.leases.is_empty() {
            self.deallocate(door, 0);
        }
    }

    /// Hands the newest block to `other`, as threads do.
    pub fn hand_over(&mut self, other: &mut Self) {
        other.leases.extend(self.leases.pop());
    }
}

/// Makes the calls and compares what the door says it has lent with what it lent: exactly, or where blocks are of one size,
/// by their number (`block` bytes each).
///
/// # Panics
/// If a wrong call changes anything, or a number is wrong.
pub fn follow(door: &AnyDoor, calls: &[Call], block: Option<usize>) {
    let mut caller = Caller::default();
    for &call in calls {
        let before = (door.allocated_size(), door.peak_allocated());
        caller.call(&**door, call);
        caller.look();
        let after = (door.allocated_size(), door.peak_allocated());
        if matches!(call, Call::Wrong { .. } | Call::Impossible(..)) {
            assert_eq!(after, before, "{call:?} changed something");
        }
        let lent = block.map_or(caller.bytes(), |block| block * caller.leases.len());
        assert_eq!(after.0, lent, "after {call:?}");
        assert!(after.1 >= after.0 && after.1 >= before.1, "the peak after {call:?}");
    }
    caller.finish(&**door);
    assert_eq!(door.allocated_size(), 0);
    let peak = door.peak_allocated();
    door.reset_peak();
    assert!(door.peak_allocated() == 0 && peak >= caller.bytes());
}
