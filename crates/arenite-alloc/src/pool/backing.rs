//! The memory of a pool: its blocks, and behind them a table with one entry for each block.
//!
//! The memory is a region that is committed as the pool grows, or one chunk of any upstream.
//! Blocks and table are one allocation, so that all of a pool lies in the memory that its caller
//! chose.
#![expect(unsafe_code, reason = "frees its chunk")]

use arenite_core::{AllocError, AllocErrorKind, Label, Resource, ResourceState};
use arenite_pages::{HUGE_PAGE, Region, page_size};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Minimum number of bytes that are committed at once.
const MIN_COMMIT_BYTES: usize = 64 << 10;

/// Source of a pool's memory.
#[derive(Debug)]
enum Source<R> {
    /// A reserved region. The blocks start `lead` bytes into it, on their alignment.
    Region {
        region: Region,
        lead: usize,
        committed: usize,
    },
    Upstream {
        upstream: R,
        layout: Layout,
    },
}

/// `blocks` bytes for blocks, then `table` bytes, zeroed and always committed.
#[derive(Debug)]
pub(crate) struct Backing<R: Resource> {
    base: NonNull<u8>,
    blocks: usize,
    table: usize,
    source: Source<R>,
}

// SAFETY: this value alone owns the bytes; sending it sends the upstream, which is `Send`.
unsafe impl<R: Resource + Send> Send for Backing<R> {}

impl<R: Resource> Backing<R> {
    /// Reserves one range, whose blocks are committed on demand.
    pub(crate) fn reserve(
        blocks: usize,
        table: usize,
        align: usize,
        label: Label,
    ) -> Result<Self, AllocError> {
        let alloc_error = |cause| AllocError {
            kind: cause,
            size: blocks.saturating_add(table),
            align,
            state: ResourceState::default(),
            label,
        };
        let blocks =
            blocks.checked_next_multiple_of(page_size()).ok_or(alloc_error(AllocErrorKind::BadLayout))?;
        let table =
            table.checked_next_multiple_of(page_size()).ok_or(alloc_error(AllocErrorKind::BadLayout))?;
        // A region starts on 2 MiB; with a larger alignment the blocks start later.
        let slack = if align > HUGE_PAGE { align } else { 0 };
        let all = blocks.checked_add(table).and_then(|all| all.checked_add(slack));
        let all = all.ok_or(alloc_error(AllocErrorKind::BadLayout))?;
        let region = Region::reserve(all, label).map_err(|error| alloc_error(error.alloc_kind()))?;
        let lead = region.as_ptr().addr().get().wrapping_neg() & (align - 1);
        region.commit(lead + blocks, table).map_err(|error| alloc_error(error.alloc_kind()))?;
        // SAFETY: `lead` is below `slack`, so the start lies inside the region.
        let base = unsafe { region.as_ptr().add(lead) };
        Ok(Self { base, blocks, table, source: Source::Region { region, lead, committed: 0 } })
    }

    /// Allocates one chunk of `upstream`.
    pub(crate) fn allocate_from(
        upstream: R,
        blocks: usize,
        table: usize,
        align: usize,
        label: Label,
    ) -> Result<Self, AllocError> {
        let blocks = blocks.checked_next_multiple_of(align.max(8));
        let all = blocks.and_then(|blocks| blocks.checked_add(table));
        let (Some(blocks), Some(all)) = (blocks, all) else {
            return Err(AllocError::bad_layout(usize::MAX, align, ResourceState::default(), label));
        };
        let layout = arenite_core::layout(all, align.max(8))
            .map_err(|error| error.with_context(upstream.state(), label))?;
        let base = upstream.allocate(layout)?.cast::<u8>();
        // SAFETY: inside the chunk, which ends `table` bytes later.
        let start = unsafe { base.add(blocks) };
        // SAFETY: the table's bytes, which have no other user.
        unsafe { start.write_bytes(0, table) };
        Ok(Self { base, blocks, table, source: Source::Upstream { upstream, layout } })
    }

    pub(crate) const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Returns the first byte of the table.
    pub(crate) fn slot_table(&self) -> NonNull<u8> {
        // SAFETY: inside the allocation, which ends `table` bytes later.
        unsafe { self.base.add(self.blocks) }
    }

    /// Returns the number of committed bytes of blocks.
    pub(crate) const fn committed(&self) -> usize {
        match &self.source {
            Source::Region { committed, .. } => *committed,
            Source::Upstream { .. } => self.blocks,
        }
    }

    /// Commits the blocks' first `end` bytes, and a little more if possible. Returns the number of
    /// committed bytes.
    pub(crate) fn commit_to(&mut self, end: usize) -> Result<usize, AllocErrorKind> {
        let blocks = self.blocks;
        if let Source::Region { region, lead, committed } = &mut self.source
            && end > *committed
        {
            let target = end.max(*committed + MIN_COMMIT_BYTES.max(*committed / 8));
            let target =
                target.checked_next_multiple_of(page_size()).map_or(blocks, |target| target.min(blocks));
            region.commit(*lead + *committed, target - *committed).map_err(|error| error.alloc_kind())?;
            *committed = target;
        }
        Ok(self.committed())
    }

    /// Decommits the blocks from `keep` on. Returns the number of decommitted bytes.
    ///
    /// # Safety
    /// No block at or after `keep` is live, and none is allocated before [`Backing::commit_to`]
    /// commits it again.
    pub(crate) unsafe fn decommit_from(&mut self, keep: usize) -> usize {
        let Source::Region { region, lead, committed } = &mut self.source else { return 0 };
        let keep = keep.checked_next_multiple_of(page_size()).unwrap_or(*committed);
        if keep >= *committed {
            return 0;
        }
        let released = *committed - keep;
        // SAFETY: the caller's guarantees are the same.
        if unsafe { region.decommit(*lead + keep, released) }.is_err() {
            return 0;
        }
        *committed = keep;
        released
    }

    /// Returns the bytes held: the committed bytes of a region, or the size of the chunk.
    pub(crate) const fn held(&self) -> usize {
        match &self.source {
            Source::Region { committed, .. } => *committed + self.table,
            Source::Upstream { layout, .. } => layout.size(),
        }
    }
}

impl<R: Resource> Drop for Backing<R> {
    fn drop(&mut self) {
        if let Source::Upstream { upstream, layout } = &self.source {
            // SAFETY: the chunk came from this upstream with this layout, and its only owner is
            // dropped.
            unsafe { upstream.deallocate(self.base, *layout) }
        }
    }
}
