//! A range populated before its use, by many threads, each on the NUMA node that it fills.
//!
//! The kernel clears each OS page that it populates, so one thread is limited by one core's
//! bandwidth. An OS page lies on the node of the thread that populates it. So the thread must run
//! on the node where the OS page is used.

use super::Region;
use crate::error::RegionError;
use crate::huge_pages::HUGE_PAGE;
use crate::machine::Numa;
use crate::os;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Options with which a range is populated.
///
/// ```
/// use arenite_pages::{Prefetch, Region};
/// let region = Region::reserve(64 << 20, "weights")?;
/// region.commit(0, 64 << 20)?;
/// let progress = |done: usize, all: usize| println!("{done} of {all} bytes");
/// Prefetch::new().with_threads(2).with_progress(&progress).run(&region, 0..64 << 20)?;
/// assert_eq!(region.query(0)?.resident, 64 << 20);
/// # Ok::<(), arenite_pages::RegionError>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Prefetch<'a> {
    threads: usize,
    nodes: &'a [usize],
    progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

/// Bytes that a thread populates per call.
const CHUNK: usize = 8 * HUGE_PAGE;

impl<'a> Prefetch<'a> {
    /// Makes options with one thread, the calling one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of threads; 0 and 1 mean only the calling thread.
    #[must_use]
    pub const fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Splits the range into as many parts as there are nodes here, in this order, and fills each
    /// by threads on its node. A node without processors is filled by threads on any node: bind its
    /// part first, with [`bind_range`](crate::bind_range).
    #[must_use]
    pub const fn with_nodes(mut self, nodes: &'a [usize]) -> Self {
        self.nodes = nodes;
        self
    }

    /// Calls `progress` from the threads with the bytes done and the total bytes.
    #[must_use]
    pub const fn with_progress(mut self, progress: &'a (dyn Fn(usize, usize) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Populates every OS page of `range` (offsets in `region`, multiples of the OS page,
    /// committed).
    ///
    /// # Errors
    /// As [`Region::prefetch`]; OS pages populated before stay.
    pub fn run(self, region: &Region, range: Range<usize>) -> Result<(), RegionError> {
        let size = range.end.saturating_sub(range.start);
        if self.threads <= 1 && self.nodes.is_empty() {
            let done = AtomicUsize::new(0);
            let mut steps = ChunkIter::new(range);
            for step in steps.by_ref() {
                self.step(region, step, &done, size)?;
            }
            // an empty range is an error, as for `Region::prefetch`
            return if size == 0 { region.prefetch(steps.at, 0) } else { Ok(()) };
        }
        self.run_parallel(region, range, size)
    }

    fn step(
        &self,
        region: &Region,
        step: Range<usize>,
        done: &AtomicUsize,
        all: usize,
    ) -> Result<(), RegionError> {
        region.prefetch(step.start, step.len())?;
        let done = done.fetch_add(step.len(), Ordering::Relaxed) + step.len();
        if let Some(progress) = self.progress {
            progress(done, all);
        }
        Ok(())
    }

    fn run_parallel(&self, region: &Region, range: Range<usize>, size: usize) -> Result<(), RegionError> {
        let parts = self.split_by_node(region, &range)?;
        // more threads than chunks would have nothing to do
        let threads_per_part = (self.threads / parts.len()).clamp(1, size.div_ceil(CHUNK).max(1));
        let (done, failed) = (AtomicUsize::new(0), Mutex::new(None::<(usize, RegionError)>));
        // The lock of a part is released before its chunk is populated.
        let next = |part: &Mutex<ChunkIter>| lock(part).next();
        let fill = |part: &Mutex<ChunkIter>| {
            // A chunk that was taken is populated even if another failed meanwhile. So the first
            // chunk of a part that fails is the one reported.
            while lock(&failed).is_none() {
                let Some(step) = next(part) else { return };
                let start = step.start;
                if let Err(error) = self.step(region, step, &done, size) {
                    let mut failed = lock(&failed);
                    if failed.as_ref().is_none_or(|&(first, _)| start < first) {
                        *failed = Some((start, error));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for (cpus, part) in &parts {
                for _ in 0..threads_per_part {
                    let work = || {
                        if !cpus.is_empty() {
                            // a thread that cannot be pinned fills from the node it runs on
                            let _pinned: Result<(), _> = os::pin_thread(cpus);
                        }
                        fill(part);
                    };
                    if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                        break; // no more threads are available: the existing ones do the rest
                    }
                }
            }
        });
        // the rest, if no thread could be started
        parts.iter().for_each(|(_, part)| fill(part));
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Splits a range into parts, each with the processors that fill it (none: any).
    fn split_by_node(&self, region: &Region, range: &Range<usize>) -> Result<Vec<Part>, RegionError> {
        let _checked =
            region.range(crate::RegionOp::Prefetch, range.start, range.end.saturating_sub(range.start))?;
        if self.nodes.is_empty() {
            return Ok(vec![(Vec::new(), Mutex::new(ChunkIter::new(range.clone())))]);
        }
        let numa = Numa::read();
        let cpus = |node: usize| numa.node(node).map(|node| node.cpus.clone()).unwrap_or_default();
        let parts = split_range(range, self.nodes.len());
        Ok(self
            .nodes
            .iter()
            .zip(parts)
            .map(|(&node, share)| (cpus(node), Mutex::new(ChunkIter::new(share))))
            .collect())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Splits `range` into `count` parts; all but the last are multiples of the huge page.
pub(crate) fn split_range(range: &Range<usize>, count: usize) -> Vec<Range<usize>> {
    let each = range.len().div_ceil(count.max(1)).next_multiple_of(HUGE_PAGE);
    let at = |part: usize| range.start.saturating_add(part.saturating_mul(each)).min(range.end);
    (0..count).map(|part| at(part)..at(part + 1)).collect()
}

/// Part of a range, with the processors that fill it (none: any).
type Part = (Vec<usize>, Mutex<ChunkIter>);

/// The chunks of one part.
#[derive(Debug)]
struct ChunkIter {
    at: usize,
    end: usize,
}

impl ChunkIter {
    fn new(range: Range<usize>) -> Self {
        Self { at: range.start, end: range.end }
    }
}

impl Iterator for ChunkIter {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.at = start.saturating_add(CHUNK).min(self.end).max(start);
        (start < self.at).then_some(start..self.at)
    }
}

impl fmt::Debug for Prefetch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Prefetch");
        out.field("threads", &self.threads).field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RegionErrorKind, page_size};
    use std::time::{Duration, Instant};

    #[test]
    fn n19_every_page_is_populated_by_any_number_of_threads() {
        for (threads, nodes) in [(0, &[][..]), (3, &[]), (200_000, &[]), (2, &[0]), (4, &[0, 77])] {
            let len = 5 * CHUNK / 2 + page_size();
            let region = Region::reserve(len, "found").unwrap();
            region.commit(0, len).unwrap();
            let seen = AtomicUsize::new(0);
            let progress = |done: usize, all: usize| {
                assert!(done <= all && all == len);
                seen.fetch_max(done, Ordering::Relaxed);
            };
            Prefetch::new()
                .with_threads(threads)
                .with_nodes(nodes)
                .with_progress(&progress)
                .run(&region, 0..len)
                .unwrap();
            assert_eq!(
                (region.query(0).unwrap().resident, seen.into_inner()),
                (len, len),
                "{threads} {nodes:?}"
            );
        }
    }

    #[test]
    fn n19_threads_populate_at_once() {
        let len = 8 * CHUNK;
        let region = Region::reserve(len, "at once").unwrap();
        region.commit(0, len).unwrap();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // Each call waits for another thread, until two threads have met.
        let progress = |_: usize, _: usize| {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let begin = Instant::now();
            while most.load(Ordering::SeqCst) < 2 && begin.elapsed() < Duration::from_secs(5) {
                std::thread::yield_now();
            }
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        Prefetch::new().with_threads(2).with_progress(&progress).run(&region, 0..len).unwrap();
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn n19_prefetch_fails_on_uncommitted_memory() {
        let region = Region::reserve(64 << 20, "holes").unwrap();
        region.commit(0, 1 << 20).unwrap();
        for threads in [1, 2, 3, 4].repeat(25) {
            let error = Prefetch::new().with_threads(threads).run(&region, 0..64 << 20).unwrap_err();
            assert_eq!(error.kind, RegionErrorKind::Inaccessible { at: 1 << 20 }, "{error}");
            let error = Prefetch::new().with_threads(threads).run(&region, 0..0).unwrap_err();
            assert_eq!(error.kind, RegionErrorKind::BadSize);
        }
    }

    #[test]
    fn n19_split_range_covers_the_range() {
        for (len, count) in [(1, 3), (64 << 20, 3), (7 << 20, 2), (4096, 1)] {
            let parts = split_range(&(10..10 + len), count);
            assert_eq!((parts.len(), parts[0].start, parts[count - 1].end), (count, 10, 10 + len));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
