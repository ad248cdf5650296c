//! The lenders that free all at once: arenite's arenas, bumpalo, bump-scope, blink-alloc.
//!
//! Rests on each library's own best public call, which the table in the crate's documentation names.
#![expect(
    unsafe_code,
    reason = "vouches for the blocks that arenas lend, and calls what the rivals declare unsafe"
)]

use crate::failure::Refused;
use crate::live_blocks::Lent;
use crate::tally;
use arenite_alloc::{Arena, ArenaBox, SharedArena, Store};
use arenite_core::Resource;
use blink_alloc::{Blink, BlinkAlloc, LocalBlinkAlloc, SyncBlinkAlloc};
use bump_scope::alloc::{Allocator, Global};
use bump_scope::settings::BumpSettings;
use bump_scope::traits::BumpAllocatorTyped;
use bump_scope::{BumpBox, BumpScope};

use std::alloc::Layout;
use std::hint::black_box;

/// bump-scope's settings that were fastest here: alignment 8 at least (as arenite's), downwards, allocated from the start, not
/// claimable.
type Settings = BumpSettings<8, false, true, false>;

/// The arena of bump-scope.
pub(crate) type BumpScopeArena = bump_scope::Bump<Global, Settings>;

/// Lends blocks.
pub(crate) trait Take {
    fn take(&self, layout: Layout) -> Result<Lent<'_>, Refused>;
}

/// Takes all blocks back at once.
pub(crate) trait Bump: Take {
    fn reset(&mut self);
}

/// Lends a place for a value, through a typed call.
pub(crate) trait Put {
    /// Moves `value` in and returns where it lies.
    fn put(&self, value: [u64; 8]) -> Result<*mut [u64; 8], Refused>;

    fn reset(&mut self);
}

/// Takes back what was lent since a mark.
pub(crate) trait Marked: Take {
    /// Takes a mark, runs `inside`, restores the mark.
    fn marked(&mut self, inside: impl FnOnce(&Self) -> Result<(), Refused>) -> Result<(), Refused>;
}

/// What else arenas with marks are measured by.
pub(crate) trait Marks: Marked {
    /// A mark, a block, a mark, a block, both marks restored.
    fn nested(&mut self, layout: Layout) -> Result<(), Refused>;

    /// Four blocks taken and given back one by one, newest first, between a mark and its restoration through `&self`.
    fn given_back(&mut self, layout: Layout) -> Result<(), Refused>;

    /// Enters a scope, takes a block, leaves it.
    fn scope(&mut self, layout: Layout) -> Result<(), Refused>;
}

macro_rules! take {
    ([$($generics:tt)*] $lender:ty, $arena:ident, $layout:ident => $block:expr) => {
        impl<$($generics)*> Take for $lender {
            #[inline(always)]
            fn take(&self, $layout: Layout) -> Result<Lent<'_>, Refused> {
                let $arena = self;
                let block = $block;
                // SAFETY: a fresh block of this layout, which its arena keeps for the borrow: freeing needs `&mut`, or one
                // of the calls below, which free what they themselves took.
                Ok(unsafe { Lent::new(block, $layout) })
            }
        }
    };
}

take!([S: Store] Arena<S>, arena, layout => arena.allocate(layout).map_err(|_| Refused)?.cast());
take!([] &SharedArena, arena, layout => arena.allocate(layout).map_err(|_| Refused)?.cast());
take!([] bumpalo::Bump, arena, layout => arena.try_alloc_layout(layout).map_err(|_| Refused)?);
take!([] BumpScopeArena, arena, layout => arena.allocate_layout(layout));
take!([] BumpScope<'_, Global, Settings>, arena, layout => arena.allocate_layout(layout));
take!([] BlinkAlloc, arena, layout => arena.allocate(layout).map_err(|_| Refused)?.cast());
take!([] &SyncBlinkAlloc, arena, layout => arena.allocate(layout).map_err(|_| Refused)?.cast());
take!([] LocalBlinkAlloc<'_>, arena, layout => arena.allocate(layout).map_err(|_| Refused)?.cast());

macro_rules! bump {
    ($($lender:ty: $reset:ident),* $(,)?) => {$(
        impl Bump for $lender {
            #[inline(always)]
            fn reset(&mut self) {
                self.$reset();
            }
        }
    )*};
}

bump!(Arena: reset, bumpalo::Bump: reset, BumpScopeArena: reset_to_start, BlinkAlloc: reset);

macro_rules! put {
    ($($lender:ty, $reset:ident, |$arena:ident, $value:ident| $put:expr);* $(;)?) => {$(
        impl Put for $lender {
            #[inline(always)]
            fn put(&self, $value: [u64; 8]) -> Result<*mut [u64; 8], Refused> {
                tally::lent(size_of_val(&$value));
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

put! {
    Arena, reset, |arena, value| ArenaBox::leak(arena.alloc(value).map_err(|_| Refused)?);
    bumpalo::Bump, reset, |arena, value| arena.try_alloc(value).map_err(|_| Refused)?;
    BumpScopeArena, reset_to_start, |arena, value| BumpBox::leak(arena.alloc(value));
    Blink, reset, |arena, value| arena.put_no_drop(value);
}

impl Marked for Arena {
    #[inline(always)]
    fn marked(&mut self, inside: impl FnOnce(&Self) -> Result<(), Refused>) -> Result<(), Refused> {
        let mark = self.mark().map_err(|_| Refused)?;
        inside(self)?;
        self.restore_mut(mark).map_err(|_| Refused)
    }
}

impl Marks for Arena {
    #[inline(always)]
    fn nested(&mut self, layout: Layout) -> Result<(), Refused> {
        let outer = self.mark().map_err(|_| Refused)?;
        self.take(layout)?.keep();
        let inner = self.mark().map_err(|_| Refused)?;
        self.take(layout)?.keep();
        self.restore_mut(inner).map_err(|_| Refused)?;
        self.restore_mut(outer).map_err(|_| Refused)
    }

    #[inline(always)]
    fn given_back(&mut self, layout: Layout) -> Result<(), Refused> {
        let mark = self.mark().map_err(|_| Refused)?;
        let blocks = [self.take(layout)?, self.take(layout)?, self.take(layout)?, self.take(layout)?];
        blocks.iter().for_each(Lent::keep);
        for block in blocks.into_iter().rev() {
            tally::freed();
            // SAFETY: taken from this arena above with this layout, live, and not used again.
            unsafe { self.deallocate(block.start(), block.layout()) };
        }
        self.restore(mark).map_err(|_| Refused)
    }

    #[inline(always)]
    fn scope(&mut self, layout: Layout) -> Result<(), Refused> {
        tally::lent(layout.size());
        Arena::scope(self, |scope| {
            black_box(scope.allocate(layout).map_err(|_| Refused)?.cast::<u8>());
            Ok(())
        })
    }
}

impl Marked for BumpScopeArena {
    #[inline(always)]
    fn marked(&mut self, inside: impl FnOnce(&Self) -> Result<(), Refused>) -> Result<(), Refused> {
        let mark = self.checkpoint();
        inside(self)?;
        // SAFETY: the checkpoint was taken from this arena above, which `inside` has neither reset nor restored, as it had a
        // shared borrow; nothing that it took outlives its call.
        unsafe { self.reset_to(mark) };
        Ok(())
    }
}

impl Marks for BumpScopeArena {
    #[inline(always)]
    fn nested(&mut self, layout: Layout) -> Result<(), Refused> {
        let outer = self.checkpoint();
        self.take(layout)?.keep();
        let inner = self.checkpoint();
        self.take(layout)?.keep();
        // SAFETY: taken from this arena above, and nothing taken since is used.
        unsafe { self.reset_to(inner) };
        // SAFETY: taken from this arena above, older than what was restored, and nothing taken since is used.
        unsafe { self.reset_to(outer) };
        Ok(())
    }

    #[inline(always)]
    fn given_back(&mut self, layout: Layout) -> Result<(), Refused> {
        let mark = self.checkpoint();
        let blocks = [self.take(layout)?, self.take(layout)?, self.take(layout)?, self.take(layout)?];
        blocks.iter().for_each(Lent::keep);
        for block in blocks.into_iter().rev() {
            tally::freed();
            // SAFETY: taken from this arena above with this layout, live, and not used again.
            unsafe { Allocator::deallocate(self, block.start(), block.layout()) };
        }
        // SAFETY: taken from this arena above, and nothing taken since is used.
        unsafe { self.reset_to(mark) };
        Ok(())
    }

    #[inline(always)]
    fn scope(&mut self, layout: Layout) -> Result<(), Refused> {
        self.scoped(|scope| {
            scope.take(layout)?.keep();
            Ok(())
        })
    }
}
