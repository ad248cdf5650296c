//! What a hardened heap does, and what it says of misuse.
//!
//! Rests on nothing. The words alone; `guarded` does it.

use arenite_core::Bytes;
use core::fmt;

/// What a hardened heap does to find and to blunt misuse. Whatever is chosen, a hardened heap keeps its lists of free blocks outside the
/// blocks, where a write to a freed block does not reach, and knows of each block whether it is lent.
///
/// ```
/// use arenite_alloc::{Hardening, Heap};
/// static HEAP: Heap = Heap::new().hardened(Hardening::ALL);
/// static LEAN: Heap = Heap::new().hardened(Hardening::NONE.random_order(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hardening {
    pub(crate) random: bool,
    pub(crate) guards: bool,
    pub(crate) quarantine: usize,
    pub(crate) poison: bool,
    pub(crate) zero: bool,
    pub(crate) bounds: bool,
}

impl Hardening {
    /// Nothing but the lists and the knowledge of what is lent.
    pub const NONE: Self =
        Self { random: false, guards: false, quarantine: 0, poison: false, zero: false, bounds: false };

    /// Random order, guard pages, a quarantine of 1 MiB, poison, bounds.
    pub const ALL: Self =
        Self { random: true, guards: true, quarantine: 1 << 20, poison: true, zero: false, bounds: true };

    /// Lends the blocks of a slab in an order that cannot be foreseen.
    #[must_use]
    pub const fn random_order(mut self, wanted: bool) -> Self {
        self.random = wanted;
        self
    }

    /// Puts 64 KiB that fault behind each slab. A block above 64 KiB always has addresses that fault before and behind it, and
    /// faults itself once it was freed.
    #[must_use]
    pub const fn guard_pages(mut self, wanted: bool) -> Self {
        self.guards = wanted;
        self
    }

    /// Keeps freed blocks out of use until so many bytes were freed after them; 0: uses them again at once.
    #[must_use]
    pub const fn quarantine(mut self, bytes: usize) -> Self {
        self.quarantine = bytes;
        self
    }

    /// Fills a freed block with a pattern, and looks whether it is still there before the block is lent again.
    #[must_use]
    pub const fn poison_on_free(mut self, wanted: bool) -> Self {
        self.poison = wanted;
        self.zero &= !wanted;
        self
    }

    /// Fills a freed block with zeroes, so that nothing of it is read later; in place of the pattern, and looked at as it is.
    #[must_use]
    pub const fn zero_on_free(mut self, wanted: bool) -> Self {
        self.zero = wanted;
        self.poison &= !wanted;
        self
    }

    /// Fills what a block of at most 64 KiB has beyond the size that was asked for with a pattern, and looks at it when the block is
    /// freed.
    #[must_use]
    pub const fn check_bounds(mut self, wanted: bool) -> Self {
        self.bounds = wanted;
        self
    }
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// The address lies in no block that was ever lent.
    NotABlock,
    /// The address lies inside a block, not at its start.
    Interior,
    /// The block is already free.
    DoubleFree,
    /// A freed block was written to.
    WrittenAfterFree,
    /// Bytes behind the size that was asked for were written to.
    WrittenBeyond,
}

/// Who called, and when: the thread by its number in the order of first calls, and the number of the call to this heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The thread; 1 is the first that used a hardened heap.
    pub thread: u16,
    /// The number of the call among all that took or freed a block of this heap, modulo 2³².
    pub call: u32,
}

/// A misuse with all that is known of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MisuseReport {
    /// What was wrong.
    pub misuse: Misuse,
    /// The address that was given, or the first byte that was written to.
    pub address: usize,
    /// The block's first address and the size it was asked with, where there is one.
    pub block: Option<(usize, usize)>,
    /// Who took the block last.
    pub taken_by: Option<Caller>,
    /// Who freed it last.
    pub freed_by: Option<Caller>,
}

impl MisuseReport {
    pub(crate) const fn of(misuse: Misuse, address: usize) -> Self {
        Self { misuse, address, block: None, taken_by: None, freed_by: None }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotABlock => "not a block of this heap",
            Self::Interior => "inside a block, not its start",
            Self::DoubleFree => "the block is already free",
            Self::WrittenAfterFree => "written to after it was freed",
            Self::WrittenBeyond => "written to beyond its end",
        })
    }
}

impl fmt::Display for MisuseReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#x}: {}", self.address, self.misuse)?;
        if let Some((start, size)) = self.block {
            write!(out, "; block {start:#x} of {} ({size} bytes)", Bytes(size))?;
        }
        for (what, caller) in [("taken", self.taken_by), ("freed", self.freed_by)] {
            if let Some(Caller { thread, call }) = caller {
                write!(out, "; {what} by thread {thread} in call {call}")?;
            }
        }
        Ok(())
    }
}

impl core::error::Error for MisuseReport {}
