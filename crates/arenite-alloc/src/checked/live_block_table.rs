//! A table of live blocks: address, size and alignment of each.
//!
//! A plain pointer can come from anywhere, so nothing may be read through it before it is
//! verified. A table beside the blocks is the only check that is always sound. The table is
//! sharded so that threads seldom contend.

use crate::util::fibonacci_hash::FibonacciBuildHasher;
use arenite_core::AllocErrorKind;
use core::alloc::Layout;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// A live block.
#[derive(Clone, Copy, Debug)]
struct Live {
    layout: Layout,
    /// Whether a call is moving the block.
    moving: bool,
}

#[derive(Debug, Default)]
pub(crate) struct LiveBlockTable {
    shards: [Mutex<HashMap<usize, Live, FibonacciBuildHasher>>; SHARDS],
}

impl LiveBlockTable {
    fn shard(&self, address: usize) -> MutexGuard<'_, HashMap<usize, Live, FibonacciBuildHasher>> {
        let index = (address >> 6 ^ address >> 12) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inserts a block. Returns `false` if there is no memory for the entry.
    pub(crate) fn insert(&self, address: usize, layout: Layout) -> bool {
        let mut shard = self.shard(address);
        if shard.try_reserve(1).is_err() {
            return false;
        }
        shard.insert(address, Live { layout, moving: false });
        true
    }

    /// Removes a block if it is live and of `layout`.
    pub(crate) fn remove(&self, address: usize, layout: Layout) -> Result<(), AllocErrorKind> {
        match self.shard(address).entry(address) {
            Entry::Occupied(entry) => {
                entry.get().check(layout)?;
                entry.remove();
                Ok(())
            }
            Entry::Vacant(_) => Err(AllocErrorKind::InvalidPointer),
        }
    }

    /// Marks a block as moving if it is live and of `layout`.
    pub(crate) fn begin_move(&self, address: usize, layout: Layout) -> Result<(), AllocErrorKind> {
        let mut shard = self.shard(address);
        let live = shard.get_mut(&address).ok_or(AllocErrorKind::InvalidPointer)?;
        live.check(layout)?;
        live.moving = true;
        Ok(())
    }

    /// Ends a move: removes the block if it is `moved`, or else makes it usable again.
    pub(crate) fn end_move(&self, address: usize, moved: bool) {
        let mut shard = self.shard(address);
        if moved {
            shard.remove(&address);
        } else if let Some(live) = shard.get_mut(&address) {
            live.moving = false;
        }
    }

    /// Removes every block and calls `each` with it.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(usize, Layout)) {
        for shard in &mut self.shards {
            for (address, live) in shard.get_mut().unwrap_or_else(PoisonError::into_inner).drain() {
                each(address, live.layout);
            }
        }
    }
}

impl Live {
    fn check(self, layout: Layout) -> Result<(), AllocErrorKind> {
        if self.moving {
            return Err(AllocErrorKind::DoubleFree);
        }
        if self.layout != layout {
            return Err(AllocErrorKind::Mismatch { size: self.layout.size(), align: self.layout.align() });
        }
        Ok(())
    }
}
