//! Adapters for allocators that free all blocks at once: arenite's arenas, bumpalo, bump-scope,
//! blink-alloc.
//!
//! Each uses its library's fastest public call; the table in the crate's documentation lists them.
#![expect(unsafe_code, reason = "wraps live blocks of arenas, and calls unsafe functions of the rivals")]

use crate::failure::AllocFailed;
use crate::live_block::LiveBlock;
use crate::tally;
use arenite_alloc::{Arena, ArenaBox, ChunkSource, SharedArena};
use arenite_core::Resource;
use blink_alloc::{Blink, BlinkAlloc, LocalBlinkAlloc, SyncBlinkAlloc};
use bump_scope::alloc::{Allocator, Global};
use bump_scope::settings::BumpSettings;
use bump_scope::traits::BumpAllocatorTyped;
use bump_scope::{BumpBox, BumpScope};

use std::alloc::Layout;
use std::hint::black_box;

/// The fastest settings of bump-scope here: minimum alignment 8 (as arenite's), downwards,
/// allocated at once, not claimable.
type Settings = BumpSettings<8, false, true, false>;

/// The arena of bump-scope.
pub(crate) type BumpScopeArena = bump_scope::Bump<Global, Settings>;

/// An allocator of blocks.
pub(crate) trait AllocBlock {
    fn alloc_block(&self, layout: Layout) -> Result<LiveBlock<'_>, AllocFailed>;
}

/// An allocator that frees all blocks at once.
pub(crate) trait Bump: AllocBlock {
    fn reset(&mut self);
}

/// An allocator of values through a typed call.
pub(crate) trait AllocValue {
    /// Moves `value` into the arena and returns its address.
    fn alloc_value(&self, value: [u64; 8]) -> Result<*mut [u64; 8], AllocFailed>;

    fn reset(&mut self);
}

/// An allocator that frees all blocks since a mark.
pub(crate) trait WithMark: AllocBlock {
    /// Sets a mark, runs `inside` and restores the mark.
    fn with_mark(&mut self, inside: impl FnOnce(&Self) -> Result<(), AllocFailed>)
    -> Result<(), AllocFailed>;
}

/// The other operations that are measured on arenas with marks.
pub(crate) trait NestedMarks: WithMark {
    /// Sets two nested marks with a block in each and restores both.
    fn nested_marks(&mut self, layout: Layout) -> Result<(), AllocFailed>;

    /// Allocates four blocks and frees each, newest first, between a mark and its restoration
    /// through `&self`.
    fn free_then_restore(&mut self, layout: Layout) -> Result<(), AllocFailed>;

    /// Enters a scope, allocates a block and leaves the scope.
    fn scope(&mut self, layout: Layout) -> Result<(), AllocFailed>;
}

macro_rules! alloc_block {
    ([$($generics:tt)*] $allocator:ty, $arena:ident, $layout:ident => $block:expr) => {
        impl<$($generics)*> AllocBlock for $allocator {
            #[inline(always)]
            fn alloc_block(&self, $layout: Layout) -> Result<LiveBlock<'_>, AllocFailed> {
                let $arena = self;
                let block = $block;
                // SAFETY: a fresh block of this layout, which its arena holds for the borrow.
                // Freeing needs `&mut`, or one of the calls below, which free only their own
                // blocks.
                Ok(unsafe { LiveBlock::new(block, $layout) })
            }
        }
    };
}

alloc_block!([S: ChunkSource] Arena<S>, arena, layout => arena.allocate(layout).map_err(|_| AllocFailed)?.cast());
alloc_block!([] &SharedArena, arena, layout => arena.allocate(layout).map_err(|_| AllocFailed)?.cast());
alloc_block!([] bumpalo::Bump, arena, layout => arena.try_alloc_layout(layout).map_err(|_| AllocFailed)?);
alloc_block!([] BumpScopeArena, arena, layout => arena.allocate_layout(layout));
alloc_block!([] BumpScope<'_, Global, Settings>, arena, layout => arena.allocate_layout(layout));
alloc_block!([] BlinkAlloc, arena, layout => arena.allocate(layout).map_err(|_| AllocFailed)?.cast());
alloc_block!([] &SyncBlinkAlloc, arena, layout => arena.allocate(layout).map_err(|_| AllocFailed)?.cast());
alloc_block!([] LocalBlinkAlloc<'_>, arena, layout => arena.allocate(layout).map_err(|_| AllocFailed)?.cast());

macro_rules! bump {
    ($($allocator:ty: $reset:ident),* $(,)?) => {$(
        impl Bump for $allocator {
            #[inline(always)]
            fn reset(&mut self) {
                self.$reset();
            }
        }
    )*};
}

bump!(Arena: reset, bumpalo::Bump: reset, BumpScopeArena: reset_to_start, BlinkAlloc: reset);

macro_rules! alloc_value {
    ($($allocator:ty, $reset:ident, |$arena:ident, $value:ident| $put:expr);* $(;)?) => {$(
        impl AllocValue for $allocator {
            #[inline(always)]
            fn alloc_value(&self, $value: [u64; 8]) -> Result<*mut [u64; 8], AllocFailed> {
                tally::allocated(size_of_val(&$value));
                let $arena = self;
                Ok($put)
            }

            #[inline(always)]
            fn reset(&mut self) {
                self.$reset();
            }
        }
    )*};
}

alloc_value! {
    Arena, reset, |arena, value| ArenaBox::leak(arena.alloc(value).map_err(|_| AllocFailed)?);
    bumpalo::Bump, reset, |arena, value| arena.try_alloc(value).map_err(|_| AllocFailed)?;
    BumpScopeArena, reset_to_start, |arena, value| BumpBox::leak(arena.alloc(value));
    Blink, reset, |arena, value| arena.put_no_drop(value);
}

impl WithMark for Arena {
    #[inline(always)]
    fn with_mark(
        &mut self,
        inside: impl FnOnce(&Self) -> Result<(), AllocFailed>,
    ) -> Result<(), AllocFailed> {
        let mark = self.mark().map_err(|_| AllocFailed)?;
        inside(self)?;
        self.restore_mut(mark).map_err(|_| AllocFailed)
    }
}

impl NestedMarks for Arena {
    #[inline(always)]
    fn nested_marks(&mut self, layout: Layout) -> Result<(), AllocFailed> {
        let outer = self.mark().map_err(|_| AllocFailed)?;
        self.alloc_block(layout)?.keep();
        let inner = self.mark().map_err(|_| AllocFailed)?;
        self.alloc_block(layout)?.keep();
        self.restore_mut(inner).map_err(|_| AllocFailed)?;
        self.restore_mut(outer).map_err(|_| AllocFailed)
    }

    #[inline(always)]
    fn free_then_restore(&mut self, layout: Layout) -> Result<(), AllocFailed> {
        let mark = self.mark().map_err(|_| AllocFailed)?;
        let blocks = [
            self.alloc_block(layout)?,
            self.alloc_block(layout)?,
            self.alloc_block(layout)?,
            self.alloc_block(layout)?,
        ];
        blocks.iter().for_each(LiveBlock::keep);
        for block in blocks.into_iter().rev() {
            tally::freed();
            // SAFETY: allocated from this arena above with this layout, live, and not used again.
            unsafe { self.deallocate(block.start(), block.layout()) };
        }
        self.restore(mark).map_err(|_| AllocFailed)
    }

    #[inline(always)]
    fn scope(&mut self, layout: Layout) -> Result<(), AllocFailed> {
        tally::allocated(layout.size());
        Arena::scope(self, |scope| {
            black_box(scope.allocate(layout).map_err(|_| AllocFailed)?.cast::<u8>());
            Ok(())
        })
    }
}

impl WithMark for BumpScopeArena {
    #[inline(always)]
    fn with_mark(
        &mut self,
        inside: impl FnOnce(&Self) -> Result<(), AllocFailed>,
    ) -> Result<(), AllocFailed> {
        let mark = self.checkpoint();
        inside(self)?;
        // SAFETY: the checkpoint is of this arena. `inside` had a shared borrow, so it neither
        // reset nor restored the arena, and none of its blocks outlives the call.
        unsafe { self.reset_to(mark) };
        Ok(())
    }
}

impl NestedMarks for BumpScopeArena {
    #[inline(always)]
    fn nested_marks(&mut self, layout: Layout) -> Result<(), AllocFailed> {
        let outer = self.checkpoint();
        self.alloc_block(layout)?.keep();
        let inner = self.checkpoint();
        self.alloc_block(layout)?.keep();
        // SAFETY: the checkpoint is of this arena, from above, and no later block is used.
        unsafe { self.reset_to(inner) };
        // SAFETY: the checkpoint is of this arena, from above, older than the restored one, and no
        // later block is used.
        unsafe { self.reset_to(outer) };
        Ok(())
    }

    #[inline(always)]
    fn free_then_restore(&mut self, layout: Layout) -> Result<(), AllocFailed> {
        let mark = self.checkpoint();
        let blocks = [
            self.alloc_block(layout)?,
            self.alloc_block(layout)?,
            self.alloc_block(layout)?,
            self.alloc_block(layout)?,
        ];
        blocks.iter().for_each(LiveBlock::keep);
        for block in blocks.into_iter().rev() {
            tally::freed();
            // SAFETY: allocated from this arena above with this layout, live, and not used again.
            unsafe { Allocator::deallocate(self, block.start(), block.layout()) };
        }
        // SAFETY: the checkpoint is of this arena, from above, and no later block is used.
        unsafe { self.reset_to(mark) };
        Ok(())
    }

    #[inline(always)]
    fn scope(&mut self, layout: Layout) -> Result<(), AllocFailed> {
        self.scoped(|scope| {
            scope.alloc_block(layout)?.keep();
            Ok(())
        })
    }
}
