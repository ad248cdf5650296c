//! A pool for each tensor of a step: arenite without an arena.
//!
//! Rests on [`Pool`], whose checks are all on.
#![expect(unsafe_code, reason = "vouches for the blocks that pools lend")]

use crate::arenas::{Marked, Take};
use crate::failure::Refused;
use crate::live_blocks::Lent;
use arenite_alloc::Pool;
use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

/// One pool of one block for each layout, taken in turn.
#[derive(Debug)]
pub(crate) struct SizedPools {
    places: Vec<Place>,
    next: Cell<usize>,
}

#[derive(Debug)]
struct Place {
    pool: Pool,
    layout: Layout,
    lent: Cell<Option<NonNull<u8>>>,
}

impl SizedPools {
    pub(crate) fn new(layouts: &[Layout]) -> Result<Self, Refused> {
        let place = |&layout: &Layout| {
            let pool = Pool::with_alignment(layout.size(), layout.align(), 1).map_err(|_| Refused)?;
            Ok(Place { pool, layout, lent: Cell::new(None) })
        };
        let places = layouts.iter().map(place).collect::<Result<_, Refused>>()?;
        Ok(Self { places, next: Cell::new(0) })
    }
}

impl Take for SizedPools {
    #[inline(always)]
    fn take(&self, layout: Layout) -> Result<Lent<'_>, Refused> {
        let place = self.places.get(self.next.get()).filter(|place| place.layout == layout).ok_or(Refused)?;
        let block = place.pool.allocate_block().map_err(|_| Refused)?;
        place.lent.set(Some(block));
        self.next.set(self.next.get() + 1);
        // SAFETY: a fresh block of a pool of this layout, which is given back through `&mut self` alone.
        Ok(unsafe { Lent::new(block, layout) })
    }
}

impl Marked for SizedPools {
    #[inline(always)]
    fn marked(&mut self, inside: impl FnOnce(&Self) -> Result<(), Refused>) -> Result<(), Refused> {
        let kept = self.next.get();
        let done = inside(self);
        for place in self.places.get(kept..self.next.get()).unwrap_or_default().iter().rev() {
            if let Some(block) = place.lent.take() {
                place.pool.deallocate_block(block).map_err(|_| Refused)?;
            }
        }
        self.next.set(kept);
        done
    }
}
