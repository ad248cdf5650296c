//! One pool for each tensor of a step: arenite without an arena, with all checks of [`Pool`].
#![expect(unsafe_code, reason = "wraps live blocks of pools")]

use crate::arenas::{AllocBlock, WithMark};
use crate::failure::AllocFailed;
use crate::live_block::LiveBlock;
use arenite_alloc::Pool;
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

/// One pool of one block per layout, used in order.
#[derive(Debug)]
pub(crate) struct BinnedPools {
    slots: Vec<Slot>,
    next: Cell<usize>,
}

#[derive(Debug)]
struct Slot {
    pool: Pool,
    layout: Layout,
    block: Cell<Option<NonNull<u8>>>,
}

impl BinnedPools {
    pub(crate) fn new(layouts: &[Layout]) -> Result<Self, AllocFailed> {
        let slot = |&layout: &Layout| {
            let pool = Pool::with_alignment(layout.size(), layout.align(), 1).map_err(|_| AllocFailed)?;
            Ok(Slot { pool, layout, block: Cell::new(None) })
        };
        let slots = layouts.iter().map(slot).collect::<Result<_, AllocFailed>>()?;
        Ok(Self { slots, next: Cell::new(0) })
    }
}

impl AllocBlock for BinnedPools {
    #[inline(always)]
    fn alloc_block(&self, layout: Layout) -> Result<LiveBlock<'_>, AllocFailed> {
        let slot = self.slots.get(self.next.get()).filter(|slot| slot.layout == layout).ok_or(AllocFailed)?;
        let block = slot.pool.allocate_block().map_err(|_| AllocFailed)?;
        slot.block.set(Some(block));
        self.next.set(self.next.get() + 1);
        // SAFETY: a fresh block of a pool of this layout, which is freed through `&mut self` alone.
        Ok(unsafe { LiveBlock::new(block, layout) })
    }
}

impl WithMark for BinnedPools {
    #[inline(always)]
    fn with_mark(
        &mut self,
        inside: impl FnOnce(&Self) -> Result<(), AllocFailed>,
    ) -> Result<(), AllocFailed> {
        let kept = self.next.get();
        let done = inside(self);
        for slot in self.slots.get(kept..self.next.get()).unwrap_or_default().iter().rev() {
            if let Some(block) = slot.block.take() {
                slot.pool.deallocate_block(block).map_err(|_| AllocFailed)?;
            }
        }
        self.next.set(kept);
        done
    }
}
