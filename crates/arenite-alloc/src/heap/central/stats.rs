//! What a heap knows of itself: in use, held, resident, class by class.
//!
//! Rests on the arenas' tables. Nothing is counted while blocks come and go; who asks pays for the sum.

use crate::heap::Heap;
use crate::heap::central::central::{Central, State};
use crate::heap::classes::{SIZE_CLASS_COUNT, SizeClasses};
use crate::heap::geometry::{UNIT, UNITS_PER_SEGMENT};
use crate::heap::owner::{NO_HOLDER, SPAN};
use crate::heap::segment::segment::{HEADER_UNITS, Segment};
use crate::heap::slab::slab::Slab;
use crate::sync::plain::Ordering;
use arenite_core::ResourceState;
use core::ops::Range;

/// The blocks of one size class. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// The size of a block.
    pub size: usize,
    /// Slabs of such blocks.
    pub slabs: usize,
    /// Blocks that are lent.
    pub live_blocks: usize,
    /// Blocks that the slabs have room for.
    pub capacity: usize,
    /// Blocks that were lent when the heap's peak was seen.
    pub blocks_at_peak: usize,
}

/// What a heap holds, and for what. Sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub struct HeapStats {
    /// In use, held, the peak of what was in use.
    pub state: ResourceState,
    /// The most that was held.
    pub peak_held: usize,
    /// Arenas of 256 MiB of addresses.
    pub segments: usize,
    /// Blocks above 64 KiB that are lent.
    pub large_blocks: usize,
    /// Their size.
    pub large_bytes: usize,
    /// Large blocks that are kept for the next request.
    pub cached_large_bytes: usize,
    /// Held by slabs, lent or not.
    pub slabs: usize,
    /// Inside slabs, given back to the system.
    pub purged_bytes: usize,
    /// Free units in a row that a block may lie in without another arena; addresses, whose memory may still be to come.
    pub largest_free: usize,
    classes: [ClassStats; SIZE_CLASS_COUNT],
    count: usize,
}

impl HeapStats {
    /// Each size class, from the smallest.
    #[must_use]
    pub fn classes(&self) -> &[ClassStats] {
        &self.classes[..self.count]
    }

    /// The share of what is held that is not in use, 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share, for people")]
    pub fn fragmentation(&self) -> f64 {
        let unused = self.state.held.saturating_sub(self.state.in_use);
        if self.state.held == 0 { 0.0 } else { unused as f64 / self.state.held as f64 }
    }
}

/// The sums over all slabs of a heap.
struct Totals {
    in_use: usize,
    live: usize,
    slabs: usize,
    classes: [ClassStats; SIZE_CLASS_COUNT],
}

impl State {
    /// Bytes taken from the system. O(arenas).
    pub(crate) fn held(&self) -> usize {
        let mut held = self.large_bytes - self.span_bytes + self.large_cache.bytes;
        self.for_each_segment(|segment| held += segment.committed_bytes());
        held
    }

    fn totals(&self, classes: SizeClasses) -> Totals {
        let mut totals = Totals {
            in_use: self.large_bytes,
            live: self.large_blocks,
            slabs: 0,
            classes: [ClassStats::default(); SIZE_CLASS_COUNT],
        };
        // Blocks that wait, for the next request or until their owner is told, are lent for their slabs alone. They are counted first: a
        // thread that gives them to their slabs meanwhile makes the sum too small for a moment, and not the peak too large for ever.
        // (Nothing else stands in their place here: a thread with a small stack may come by.)
        self.for_each_thread(|thread| {
            for (class, found) in totals.classes.iter_mut().enumerate() {
                found.blocks_at_peak += thread.cached(class) + thread.remote_cache[class].pending() as usize;
            }
        });
        self.for_each_segment(|segment| {
            for_each_slab(segment, |slab, remote| {
                let blocks = slab.used().saturating_sub(remote) as usize;
                totals.live += blocks;
                totals.in_use += blocks * slab.block.get() as usize;
                totals.slabs += usize::from(slab.units.get()) * UNIT;
                let class = &mut totals.classes[usize::from(slab.class.get())];
                class.slabs += 1;
                class.live_blocks += blocks;
                class.capacity += slab.capacity() as usize;
            })
        });
        for (class, found) in totals.classes.iter_mut().enumerate() {
            let cached = core::mem::take(&mut found.blocks_at_peak).min(found.live_blocks);
            if cached > 0 {
                found.live_blocks -= cached;
                totals.live -= cached;
                totals.in_use -= cached * classes.size_of(class);
            }
        }
        totals
    }

    /// Remembers a state of most in use.
    fn note_peak_in_use(&mut self, totals: &Totals) {
        if totals.in_use > self.peaks.in_use {
            self.peaks.in_use = totals.in_use;
            for (seen, class) in self.peaks.blocks.iter_mut().zip(&totals.classes) {
                *seen = u32::try_from(class.live_blocks).unwrap_or(u32::MAX);
            }
        }
    }
}

/// Every slab of an arena, with the number of its blocks that other threads gave back.
fn for_each_slab(segment: &Segment, mut visit: impl FnMut(&Slab, u32)) {
    for unit in HEADER_UNITS..UNITS_PER_SEGMENT {
        let owner = segment.owner(unit);
        if owner.tag().slab_offset() == 0 && !matches!(owner.holder(), NO_HOLDER | SPAN) {
            visit(&segment.slabs[unit], segment.remote_count(unit));
        }
    }
}

impl Central {
    /// Sees whether more is held than ever; sums up what is in use when it grew by a sixteenth since that was last done.
    pub(crate) fn note_held(&self, state: &mut State) {
        let held = state.held();
        if held > state.peaks.held {
            state.peaks.held = held;
            if held > state.peaks.sampled + state.peaks.sampled / 16 {
                state.peaks.sampled = held;
                let totals = state.totals(self.classes);
                state.note_peak_in_use(&totals);
                self.note_peak(totals.in_use);
            }
        }
        self.note_peak(state.large_bytes);
    }

    /// So many bytes are in use; the most that were. Under the heap's lock, so that looking is enough where they are not more than ever.
    fn note_peak(&self, in_use: usize) -> usize {
        let peak = self.peak.load(Ordering::Relaxed);
        if in_use > peak {
            self.peak.store(in_use, Ordering::Relaxed);
        }
        in_use.max(peak)
    }

    /// Sums up what is lent and held. O(units of all arenas), no call to the system.
    pub(crate) fn state(&self) -> ResourceState {
        self.totals().0
    }

    fn totals(&self) -> (ResourceState, Totals) {
        let mut state = self.lock();
        let totals = state.totals(self.classes);
        state.note_peak_in_use(&totals);
        let held = state.held();
        let peak = self.note_peak(totals.in_use);
        let (in_use, live_blocks) = (totals.in_use, totals.live);
        (ResourceState { in_use, held, peak, live_blocks, largest_free: None, limit: None }, totals)
    }

    fn stats(&self) -> HeapStats {
        let (summed, totals) = self.totals();
        let state = self.lock();
        let mut stats = HeapStats {
            state: summed,
            peak_held: state.peaks.held.max(summed.held),
            large_blocks: state.large_blocks,
            large_bytes: state.large_bytes,
            cached_large_bytes: state.large_cache.bytes,
            slabs: totals.slabs,
            classes: totals.classes,
            count: self.classes.count(),
            ..HeapStats::zero()
        };
        state.for_each_segment(|segment| {
            stats.segments += 1;
            stats.purged_bytes += segment.purged_bytes.load(Ordering::Relaxed);
            stats.largest_free = stats.largest_free.max(segment.longest_free_run() * UNIT);
        });
        for (class, found) in stats.classes.iter_mut().enumerate().take(stats.count) {
            found.size = self.classes.size_of(class);
            found.blocks_at_peak = state.peaks.blocks[class] as usize;
        }
        stats.state.largest_free = Some(stats.largest_free);
        stats
    }

    /// The address ranges that memory of the heap lies in, as many as there is room for; how many there are.
    fn collect_ranges(&self, into: &mut Vec<Range<usize>>) -> usize {
        let state = self.lock();
        let mut count = 0;
        let mut add = |range| {
            count += 1;
            if into.len() < into.capacity() {
                into.push(range);
            }
        };
        state.for_each_segment(|segment| add(segment.address_range()));
        state.live_large.for_each(|large| add(large.address_range()));
        state.large_cache.for_each(|large| add(large.address_range()));
        count
    }
}

impl HeapStats {
    const fn zero() -> Self {
        let state =
            ResourceState { in_use: 0, held: 0, peak: 0, live_blocks: 0, largest_free: None, limit: None };
        let class = ClassStats { size: 0, slabs: 0, live_blocks: 0, capacity: 0, blocks_at_peak: 0 };
        Self {
            state,
            peak_held: 0,
            segments: 0,
            large_blocks: 0,
            large_bytes: 0,
            cached_large_bytes: 0,
            slabs: 0,
            purged_bytes: 0,
            largest_free: 0,
            classes: [class; SIZE_CLASS_COUNT],
            count: 0,
        }
    }
}

impl Heap {
    /// What the heap holds, and for what. O(units of all arenas), no call to the system, no allocation.
    ///
    /// The peak of what was in use is seen when the heap grows by a sixteenth and when somebody asks, so between those moments it may
    /// be missed by what free blocks had room for.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// use arenite_core::{AllocError, Block};
    /// let heap = Heap::new();
    /// let blocks: Vec<_> =
    ///     (0..100).map(|_| Block::new_in(AllocError::layout(1000, 8)?, &heap)).collect::<Result<_, AllocError>>()?;
    /// let stats = heap.stats();
    /// let class = stats.classes().iter().find(|class| class.size == 1024).unwrap();
    /// assert_eq!((class.live_blocks, class.slabs), (100, 2));
    /// assert!(stats.fragmentation() > 0.5); // two slabs of 64 KiB and 2 MiB committed for 100 KiB
    /// # Ok::<(), AllocError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> HeapStats {
        self.central().map_or(HeapStats::zero(), Central::stats)
    }

    /// How many bytes of the heap are in memory, as the kernel counts them. Reads page tables: microseconds to milliseconds.
    ///
    /// # Errors
    /// [`std::io::Error`] where the kernel does not tell.
    pub fn resident(&self) -> std::io::Result<usize> {
        let Some(central) = self.central() else { return Ok(0) };
        let mut ranges = Vec::new();
        loop {
            // before the lock: this heap may be the one that vectors come from
            let enabled = central.collect_ranges(&mut ranges);
            if enabled <= ranges.capacity() {
                break;
            }
            ranges.clear();
            ranges.reserve(enabled + 4);
        }
        ranges.into_iter().map(arenite_pages::resident_bytes).sum()
    }
}
