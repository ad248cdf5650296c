//! Statistics of a heap: in use, held, resident, class by class.
//!
//! Nothing is counted while blocks are allocated and freed; a query sums up the segments'
//! metadata.

use crate::heap::Heap;
use crate::heap::central::central::{Central, State};
use crate::heap::classes::{SIZE_CLASS_COUNT, SizeClasses};
use crate::heap::geometry::{UNIT, UNITS_PER_SEGMENT};
use crate::heap::owner::{NO_HOLDER, SPAN};
use crate::heap::segment::segment::{HEADER_UNITS, Segment};
use crate::heap::slab::slab::Slab;
use crate::util::sync::plain::Ordering;
use arenite_core::ResourceState;
use core::ops::Range;

/// The blocks of one size class. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Size of a block.
    pub size: usize,
    /// Number of slabs.
    pub slab_count: usize,
    /// Allocated blocks.
    pub live_blocks: usize,
    /// Blocks that the slabs can hold.
    pub capacity: usize,
    /// Allocated blocks when the heap's peak was sampled.
    pub blocks_at_peak: usize,
}

/// What a heap holds, and for what. Sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub struct HeapStats {
    /// In use, held, and the peak in use.
    pub state: ResourceState,
    /// Most bytes held.
    pub peak_held: usize,
    /// Segments: 256 MiB of addresses each.
    pub segments: usize,
    /// Allocated blocks above 64 KiB.
    pub large_blocks: usize,
    /// Size of these blocks.
    pub large_bytes: usize,
    /// Free blocks above 16 MiB that are cached for reuse.
    pub cached_large_bytes: usize,
    /// Held by slabs, allocated or free.
    pub slab_bytes: usize,
    /// Purged inside slabs: free, without memory.
    pub purged_bytes: usize,
    /// Longest run of free units: addresses that a block can have without another segment. Their
    /// memory may not be committed yet.
    pub largest_free: usize,
    classes: [ClassStats; SIZE_CLASS_COUNT],
    count: usize,
}

impl HeapStats {
    /// Returns each size class, from the smallest.
    #[must_use]
    pub fn classes(&self) -> &[ClassStats] {
        &self.classes[..self.count]
    }

    /// Returns the fraction of held memory that is not in use, 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a fraction needs no more digits")]
    pub fn fragmentation(&self) -> f64 {
        let unused = self.state.held.saturating_sub(self.state.in_use);
        if self.state.held == 0 { 0.0 } else { unused as f64 / self.state.held as f64 }
    }
}

/// Sums over all slabs of a heap.
struct Totals {
    in_use: usize,
    live: usize,
    slab_bytes: usize,
    classes: [ClassStats; SIZE_CLASS_COUNT],
}

impl State {
    /// Returns the bytes obtained from the system. O(segments).
    pub(crate) fn held(&self) -> usize {
        let mut held = self.large_bytes - self.span_bytes + self.large_cache.bytes;
        self.for_each_segment(|segment| held += segment.committed_bytes());
        held
    }

    fn totals(&self, classes: SizeClasses) -> Totals {
        let mut totals = Totals {
            in_use: self.large_bytes,
            live: self.large_blocks,
            slab_bytes: 0,
            classes: [ClassStats::default(); SIZE_CLASS_COUNT],
        };
        // Cached blocks and unposted remote frees count as allocated in their slabs, so they are
        // subtracted. They are counted first: a thread that flushes meanwhile makes a sum too small
        // for a moment, not a peak too large for ever. `blocks_at_peak` holds them for now, because
        // a copy may not fit a small stack.
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
                totals.slab_bytes += usize::from(slab.units.get()) * UNIT;
                let class = &mut totals.classes[usize::from(slab.class.get())];
                class.slab_count += 1;
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

    /// Records the sums if more is in use than ever.
    fn note_peak_in_use(&mut self, totals: &Totals) {
        if totals.in_use > self.peaks.in_use {
            self.peaks.in_use = totals.in_use;
            for (seen, class) in self.peaks.blocks.iter_mut().zip(&totals.classes) {
                *seen = u32::try_from(class.live_blocks).unwrap_or(u32::MAX);
            }
        }
    }
}

/// Visits every slab of a segment, with the number of its blocks that other threads freed.
fn for_each_slab(segment: &Segment, mut visit: impl FnMut(&Slab, u32)) {
    for unit in HEADER_UNITS..UNITS_PER_SEGMENT {
        let owner = segment.owner(unit);
        if owner.tag().slab_offset() == 0 && !matches!(owner.holder(), NO_HOLDER | SPAN) {
            visit(&segment.slabs[unit], segment.remote_count(unit));
        }
    }
}

impl Central {
    /// Updates the peaks. Sums up what is in use when the heap has grown by a sixteenth since the
    /// last time.
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

    /// Returns the peak in use after `in_use` bytes were seen. Runs under the heap's lock, so a
    /// load and a store suffice.
    fn note_peak(&self, in_use: usize) -> usize {
        let peak = self.peak.load(Ordering::Relaxed);
        if in_use > peak {
            self.peak.store(in_use, Ordering::Relaxed);
        }
        in_use.max(peak)
    }

    /// Sums up what is in use and held. O(units of all segments), no system call.
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
            slab_bytes: totals.slab_bytes,
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

    /// Collects the address ranges of the heap into the vector's capacity. Returns how many there
    /// are.
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
    fn zero() -> Self {
        Self {
            state: ResourceState::default(),
            peak_held: 0,
            segments: 0,
            large_blocks: 0,
            large_bytes: 0,
            cached_large_bytes: 0,
            slab_bytes: 0,
            purged_bytes: 0,
            largest_free: 0,
            classes: [ClassStats::default(); SIZE_CLASS_COUNT],
            count: 0,
        }
    }
}

impl Heap {
    /// Returns what the heap holds, and for what. O(units of all segments), without a system call
    /// or an allocation.
    ///
    /// The peak in use is sampled when the heap grows by a sixteenth and at each query, so peaks
    /// within free blocks may be missed.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// use arenite_core::{AllocError, Block};
    /// let heap = Heap::new();
    /// let blocks: Vec<_> = (0..100)
    ///     .map(|_| Block::new_in(arenite_core::layout(1000, 8)?, &heap))
    ///     .collect::<Result<_, AllocError>>()?;
    /// let stats = heap.stats();
    /// let class = stats.classes().iter().find(|class| class.size == 1024).unwrap();
    /// assert_eq!((class.live_blocks, class.slab_count), (100, 2));
    /// assert!(stats.fragmentation() > 0.5); // two slabs of 64 KiB and 2 MiB committed for 100 KiB
    /// # Ok::<(), AllocError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> HeapStats {
        self.central().map_or(HeapStats::zero(), Central::stats)
    }

    /// Returns the resident bytes of the heap, as the kernel counts them. Reads page tables:
    /// microseconds to milliseconds.
    ///
    /// # Errors
    /// [`std::io::Error`] if the kernel does not report them.
    pub fn resident(&self) -> std::io::Result<usize> {
        let Some(central) = self.central() else { return Ok(0) };
        let mut ranges = Vec::new();
        loop {
            // no allocation under the lock: this heap may be the global allocator
            let count = central.collect_ranges(&mut ranges);
            if count <= ranges.capacity() {
                break;
            }
            ranges.clear();
            ranges.reserve(count + 4);
        }
        ranges.into_iter().map(arenite_pages::resident_bytes).sum()
    }
}
