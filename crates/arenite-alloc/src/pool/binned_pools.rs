//! One pool for each block size.
//!
//! A program whose every step requests the same sizes (training, simulation) needs no more than
//! this. The pool of a size is made at the first request. Sizes are exact, so size classes waste
//! nothing.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::Pool;
use crate::util::fibonacci_hash::FibonacciBuildHasher;
use arenite_core::{AllocError, AllocErrorKind, AllocResult, Bytes, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use hashbrown::HashMap;

/// Address space that the pool of one size reserves.
const BIN_RESERVE: Bytes = Bytes::gib(4);
/// Maximum number of blocks of one size.
const MAX_BLOCKS: usize = 1 << 16;

/// A resource of one thread with a pool for each block size (rounded up to 64 bytes, or to the
/// alignment). O(1).
///
/// Each size has at most 65,536 blocks. It reserves 4 GiB of addresses, or one block if that is
/// larger; less where the process may not map so much. Memory is committed when blocks are first
/// used, and cached until [`Trim::trim`].
///
/// ```
/// use arenite_alloc::BinnedPools;
/// use arenite_core::{AllocError, Block, Resource};
/// let pools = BinnedPools::new();
/// for _ in 0..10 {
///     let _a = Block::new_in(arenite_core::layout(4096, 64)?, &pools)?;
///     let _b = Block::new_in(arenite_core::layout(1 << 20, 64)?, &pools)?;
/// }
/// assert_eq!(pools.bin_count(), 2);
/// assert_eq!(pools.state().live_blocks, 0);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct BinnedPools {
    pools: RefCell<HashMap<Layout, Pool, FibonacciBuildHasher>>,
    in_use: Cell<usize>,
    peak: Cell<usize>,
    live: Cell<usize>,
}

const LABEL: Label = Label::new("binned pools");

impl BinnedPools {
    /// Returns a resource without pools.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of sizes seen so far.
    pub fn bin_count(&self) -> usize {
        self.pools.borrow().len()
    }

    /// Returns the class of a layout: its size rounded up to 64 bytes or to its alignment.
    fn class(&self, layout: Layout) -> Result<Layout, AllocError> {
        let align = layout.align().max(64);
        let class = Layout::from_size_align(layout.size().max(1), align).map(|class| class.pad_to_align());
        class.map_err(|_| self.alloc_error(AllocErrorKind::BadLayout, layout))
    }

    fn alloc_error(&self, cause: AllocErrorKind, layout: Layout) -> AllocError {
        AllocError::new(cause, layout, self.state(), LABEL)
    }

    /// Makes the pool of `class`. Its capacity is halved, down to one block, until the addresses
    /// can be reserved.
    fn pool(class: Layout) -> Result<Pool, AllocError> {
        let mut count = (BIN_RESERVE.0 / class.size()).clamp(1, MAX_BLOCKS);
        loop {
            match Pool::with_alignment(class.size(), class.align(), count) {
                Err(_) if count > 1 => count /= 2,
                made => return made,
            }
        }
    }

    /// Runs `body` with the pool of `class`, which is made if necessary.
    fn with_pool<T>(
        &self,
        class: Layout,
        body: impl FnOnce(&Pool) -> Result<T, AllocError>,
    ) -> Result<T, AllocError> {
        let mut pools = self.pools.borrow_mut();
        let no_memory = || {
            AllocError::new(AllocErrorKind::Exhausted { errno: 0 }, class, ResourceState::default(), LABEL)
        };
        if !pools.contains_key(&class) {
            pools.try_reserve(1).map_err(|_| no_memory())?;
            pools.insert(class, Self::pool(class)?.with_label(LABEL));
        }
        body(pools.get(&class).ok_or_else(no_memory)?)
    }
}

// SAFETY: 1 and 2. each block belongs to the pool of its class, whose blocks are as large and as
// aligned as the layout; pools do not overlap. 3. pools keep their blocks in place, also when the
// map moves the pools. 4. the smallest class is 64 bytes.
unsafe impl Resource for BinnedPools {
    fn allocate(&self, layout: Layout) -> AllocResult {
        let class = self.class(layout)?;
        let block = self
            .with_pool(class, Pool::allocate_block)
            .map_err(|error| self.alloc_error(error.kind, layout))?;
        self.live.set(self.live.get() + 1);
        self.in_use.set(self.in_use.get() + class.size());
        self.peak.set(self.peak.get().max(self.in_use.get()));
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let freed = self.class(layout).and_then(|class| {
            self.with_pool(class, |pool| pool.deallocate_block(block))?;
            self.in_use.set(self.in_use.get() - class.size());
            self.live.set(self.live.get() - 1);
            Ok(())
        });
        debug_assert!(freed.is_ok(), "{freed:?}");
    }

    fn state(&self) -> ResourceState {
        let in_use = self.in_use.get();
        let held = self
            .pools
            .try_borrow()
            .map_or(in_use, |pools| pools.values().map(|pool| pool.state().held).sum());
        ResourceState {
            in_use,
            held,
            peak: self.peak.get(),
            live_blocks: self.live.get(),
            largest_free: None,
            limit: None,
        }
    }
}

impl Trim for BinnedPools {
    /// Trims every pool, and drops those without a live block.
    fn trim(&self, target_held: usize) -> usize {
        let before = self.state().held;
        if before <= target_held {
            return 0;
        }
        let mut pools = self.pools.borrow_mut();
        pools.retain(|_, pool| pool.live_blocks() > 0);
        for pool in pools.values() {
            pool.trim(0);
        }
        drop(pools);
        before.saturating_sub(self.state().held)
    }
}
