//! A node of a tree of budgets.
//!
//! A charge is one exchange at the node and at each ancestor, each only if its limit allows. After
//! a failure the lower levels are uncharged. So no counter exceeds its limit for a moment, as long
//! as no level releases more than it charged.

use super::thread_usage_cache::Slot;
use crate::util::fallible_vec::{push_outside_lock, try_extend, try_extend_outside_lock, try_push};
use arenite_core::{Bytes, Label};
use arenite_pages::ForkSafeMutex;
use core::fmt;
use std::collections::TryReserveError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

pub(super) type Reclaimer = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// A limit on bytes, for a process, a job or an operator; children share their parent's limit.
///
/// Clones are handles of the same node. A node is dropped with its last handle, child and charge.
/// A charge is one exchange for each level, without a lock. Any thread may use any handle.
///
/// ```
/// use arenite_alloc::Budget;
/// let process = Budget::new("process", 1000);
/// let job = process.child("job", 800);
/// let (sort, join) = (job.child("sort", usize::MAX), job.child("join", usize::MAX));
/// let sorted = sort.reserve(500)?;
/// let joined = join.reserve(200)?;
/// let error = join.reserve(200).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "requested 200 B from `process/job/join`: `job` has 700 B of 800 B in use; \
///      largest: `sort` 500 B, `join` 200 B; \
///      free or spill some, or raise the limit"
/// );
/// drop(sorted);
/// assert_eq!((process.used(), process.peak(), joined.bytes()), (200, 700, 200));
/// # Ok::<(), arenite_alloc::BudgetError>(())
/// ```
#[derive(Clone)]
pub struct Budget(pub(super) Arc<Node>);

pub(super) struct Node {
    pub(super) label: Label,
    limit: AtomicUsize,
    used: AtomicUsize,
    peak: AtomicUsize,
    slot: Slot,
    parent: Option<Budget>,
    children: ForkSafeMutex<Vec<Weak<Node>>>,
    /// Callbacks that can free memory of this node, and whether it or a descendant has one.
    pub(super) reclaimers: ForkSafeMutex<Vec<Reclaimer>>,
    pub(super) has_reclaimer: AtomicBool,
}

/// Usage of a node, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetStats {
    /// Name of the node.
    pub label: Label,
    /// Bytes in use by the node and its descendants.
    pub used: usize,
    /// Maximum of `used` so far.
    pub peak: usize,
    /// Limit on `used`; `usize::MAX` if only the parent limits it.
    pub limit: usize,
    /// Levels below the node that `stats` was called on.
    pub depth: usize,
}

impl Budget {
    /// Makes the root of a tree, with a limit of `limit` bytes.
    #[must_use]
    pub fn new(label: impl Into<Label>, limit: usize) -> Self {
        Self::node(label.into(), limit, None)
    }

    fn node(label: Label, limit: usize, parent: Option<Self>) -> Self {
        Self(Arc::new(Node {
            label,
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            slot: Slot::next(),
            parent,
            children: ForkSafeMutex::new(Vec::new()),
            reclaimers: ForkSafeMutex::new(Vec::new()),
            has_reclaimer: AtomicBool::new(false),
        }))
    }

    /// Makes a child with a limit of `limit` bytes; `usize::MAX` leaves the limit to the ancestors.
    #[must_use]
    pub fn child(&self, label: impl Into<Label>, limit: usize) -> Self {
        let child = Self::node(label.into(), limit, Some(self.clone()));
        self.0.children.lock().retain(|child| child.strong_count() > 0);
        push_outside_lock(&self.0.children, Arc::downgrade(&child.0));
        child
    }

    /// Returns the node's name.
    #[must_use]
    pub fn label(&self) -> Label {
        self.0.label
    }

    /// Returns the parent, or `None` for a root.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.0.parent.as_ref()
    }

    /// Returns the bytes in use by this node and its descendants.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }

    /// Returns the maximum of [`Budget::used`] so far.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.0.peak.load(Relaxed)
    }

    /// Resets the peak to the bytes in use.
    pub fn reset_peak(&self) {
        self.0.peak.store(self.used(), Relaxed);
    }

    /// Returns the limit, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit.load(Relaxed)
    }

    /// Sets the limit. If it is below the bytes in use, every charge fails until enough is
    /// released.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Relaxed);
    }

    /// Returns the bytes that could be charged now: the minimum that this node and its ancestors
    /// have left.
    #[must_use]
    pub fn available(&self) -> usize {
        self.ancestors()
            .map(|node| node.limit.load(Relaxed).saturating_sub(node.used.load(Relaxed)))
            .min()
            .unwrap_or(0)
    }

    /// Returns this node and its ancestors, from the bottom up.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = &Node> {
        core::iter::successors(Some(&*self.0), |node| node.parent.as_ref().map(|parent| &*parent.0))
    }

    /// Registers a callback that frees memory before a charge of this node or an ancestor fails.
    ///
    /// `reclaimer` gets the number of missing bytes. It shrinks or spills something, releases the
    /// bytes to their budgets, and returns how many they were. It runs on the thread of the charge,
    /// without a lock of the budget; charges of its own call no reclaimer.
    ///
    /// If the global allocator has no memory for a list of reclaimers, only those of the exhausted
    /// nodes run, not those of their descendants.
    pub fn on_exhausted(&self, reclaimer: impl Fn(usize) -> usize + Send + Sync + 'static) {
        let reclaimer: Reclaimer = Arc::new(reclaimer);
        push_outside_lock(&self.0.reclaimers, reclaimer);
        for node in self.ancestors() {
            node.has_reclaimer.store(true, Relaxed);
        }
    }

    /// Charges bytes at this node and at each ancestor. Returns the exhausted node on failure.
    pub(super) fn charge_path(&self, bytes: usize) -> Result<(), &Self> {
        if self.0.parent.is_none() {
            let used = self.0.update_and_cache(|used| self.0.checked_add(used, bytes)).ok_or(self)?;
            self.0.update_peak(used);
            return Ok(());
        }
        let mut at = self;
        loop {
            let Some(used) = at.0.update_used(|used| at.0.checked_add(used, bytes)) else {
                self.uncharge_below(at, bytes);
                return Err(at);
            };
            match &at.0.parent {
                Some(parent) => at = parent,
                None => {
                    at.0.update_peak(used);
                    break;
                }
            }
        }
        // A charge that an ancestor refused must not change the peaks below.
        let top = at;
        at = self;
        while !core::ptr::eq(at, top) {
            at.0.update_peak(at.0.used.load(Relaxed));
            let Some(parent) = &at.0.parent else { break };
            at = parent;
        }
        Ok(())
    }

    /// Reverts the charge of the nodes below `end`.
    #[cold]
    fn uncharge_below(&self, end: &Self, bytes: usize) {
        let mut at = self;
        while !Arc::ptr_eq(&at.0, &end.0) {
            // Another thread may have released too much meanwhile.
            let _left: Option<usize> = at.0.update_used(|used| Some(used.saturating_sub(bytes)));
            let Some(parent) = &at.0.parent else { return };
            at = parent;
        }
    }

    /// Visits this node and its descendants with their depths, parents first and the largest child
    /// next.
    ///
    /// # Errors
    /// [`TryReserveError`] if there was no memory for the lists; not all were visited then.
    pub(super) fn descendants(&self, mut visit: impl FnMut(&Self, usize)) -> Result<(), TryReserveError> {
        visit(self, 0);
        let mut rest = Vec::new();
        let below = |rest: &mut Vec<(Self, usize)>, node: &Self, depth: usize| {
            let children = node.children_by_size()?;
            try_extend(rest, children.len(), children.into_iter().rev().map(|(_, child)| (child, depth)))
        };
        below(&mut rest, self, 1)?;
        while let Some((node, depth)) = rest.pop() {
            visit(&node, depth);
            below(&mut rest, &node, depth + 1)?;
        }
        Ok(())
    }

    /// Returns the children with their usage, the largest first.
    pub(super) fn children_by_size(&self) -> Result<Vec<(usize, Self)>, TryReserveError> {
        let mut children = Vec::new();
        let sized = |child| (0, Self(child));
        try_extend_outside_lock(&mut children, &self.0.children, |child| child.upgrade().map(sized))?;
        // The usage may change during the sort, so it is read once.
        children.iter_mut().for_each(|(used, child)| *used = child.used());
        // In place: a stable sort allocates.
        children.sort_unstable_by_key(|&(used, _)| core::cmp::Reverse(used));
        Ok(children)
    }

    /// Releases charged bytes. If the caller releases more than this node has, the node's counter
    /// stops at zero, and the ancestors release only what the node had.
    #[inline]
    pub fn release(&self, bytes: usize) {
        if self.0.update_speculative(|used| used.checked_sub(bytes)).is_none() {
            self.uncharge(bytes);
        }
    }

    #[inline(never)]
    fn uncharge(&self, bytes: usize) {
        if self.0.parent.is_none() {
            let _left: Option<usize> = self.0.update_and_cache(|used| Some(used.saturating_sub(bytes)));
            return;
        }
        let mut bytes = bytes;
        for node in self.ancestors() {
            let less = |used: usize| Some(used.saturating_sub(bytes));
            let before = node.used.fetch_update(Relaxed, Relaxed, less).unwrap_or_default();
            bytes = bytes.min(before);
        }
    }

    /// Returns the usage of this node and its descendants, parents first; fewer if there is no
    /// memory for all.
    #[must_use]
    pub fn stats(&self) -> Vec<BudgetStats> {
        let mut all = Vec::new();
        let _less: Result<(), _> = self.descendants(|node, depth| {
            let (label, used, peak, limit) = (node.label(), node.used(), node.peak(), node.limit());
            let _less: Result<(), _> = try_push(&mut all, BudgetStats { label, used, peak, limit, depth });
        });
        all
    }
}

impl Node {
    /// Returns `used` plus `bytes` if the limit allows it.
    #[inline(always)]
    fn checked_add(&self, used: usize, bytes: usize) -> Option<usize> {
        used.checked_add(bytes).filter(|&total| total <= self.limit.load(Relaxed))
    }

    /// Charges bytes at a root with one exchange, if this thread's cached counter is right and the
    /// limit allows it.
    #[inline(always)]
    pub(super) fn charge_speculative(&self, bytes: usize) -> bool {
        match self.update_speculative(|used| self.checked_add(used, bytes)) {
            Some(used) => {
                self.update_peak(used);
                true
            }
            None => false,
        }
    }

    /// Changes a root's counter with one exchange from this thread's cached value. Returns the new
    /// value.
    ///
    /// The cache pays at a root, where nothing lies between two exchanges. With several counters to
    /// change, the loads of one overlap with the exchange of another.
    #[inline(always)]
    fn update_speculative(&self, to: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        if self.parent.is_some() {
            return None;
        }
        let node = core::ptr::from_ref(self).addr();
        self.slot.try_speculative(node, |used| {
            let total = to(used)?;
            match self.used.compare_exchange(used, total, Relaxed, Relaxed) {
                Ok(_) => Some(total),
                Err(_) => {
                    self.slot.note_miss(node);
                    None
                }
            }
        })
    }

    /// Changes the counter. Returns its new value, or `None` if `to` returned `None`.
    #[inline(always)]
    fn update_used(&self, to: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let mut used = self.used.load(Relaxed);
        loop {
            let total = to(used)?;
            match self.used.compare_exchange_weak(used, total, Relaxed, Relaxed) {
                Ok(_) => return Some(total),
                Err(now) => used = now,
            }
        }
    }

    /// Changes a root's counter and caches its new value for this thread.
    fn update_and_cache(&self, to: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let total = self.update_used(to)?;
        self.slot.record(core::ptr::from_ref(self).addr(), total);
        Some(total)
    }

    #[inline(always)]
    fn update_peak(&self, used: usize) {
        if used > self.peak.load(Relaxed) {
            self.peak.fetch_max(used, Relaxed);
        }
    }
}

impl Drop for Node {
    /// Drops the ancestors one by one: a chain of nodes may be longer than the stack.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(Budget(node)) = parent {
            parent = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.stats()).finish()
    }
}

impl fmt::Display for Budget {
    /// Writes a line for each node, descendants indented.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stats in self.stats() {
            let (used, peak) = (Bytes(stats.used), Bytes(stats.peak));
            write!(out, "{:width$}{}: {used}, peak {peak}", "", stats.label, width = stats.depth * 2)?;
            if stats.limit < usize::MAX {
                write!(out, ", limit {}", Bytes(stats.limit))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releasing_too_much_takes_nothing_from_siblings() {
        let root = Budget::new("root", 1000);
        let group = root.child("group", usize::MAX);
        let (one, other) = (group.child("one", usize::MAX), group.child("other", usize::MAX));
        other.charge(500).unwrap();
        one.charge(100).unwrap();
        one.release(400);
        assert_eq!([one.used(), other.used(), group.used(), root.used()], [0, 500, 500, 500]);
        assert!(other.charge(501).is_err());
        other.release(usize::MAX);
        assert_eq!([other.used(), group.used(), root.used()], [0; 3]);
    }

    #[test]
    fn eight_threads_never_exceed_a_limit_by_a_byte() {
        const THREADS: usize = 8;
        const CHARGES: usize = 125_000;
        let process = Budget::new("process", 10_000);
        let jobs = [process.child("one", 7_001), process.child("two", usize::MAX)];
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..THREADS {
                let (process, jobs, over) = (&process, &jobs, &over);
                scope.spawn(move || {
                    let mut had = Vec::new();
                    for turn in 0..CHARGES {
                        let (job, bytes) = (&jobs[turn & 1], 1 + (turn * 37 + number) % 997);
                        if job.try_charge(bytes).is_ok() {
                            had.push((turn & 1, bytes));
                        }
                        let seen = (process.used(), jobs[0].used());
                        if seen.0 > 10_000 || seen.1 > 7_001 {
                            over.store(true, Relaxed);
                        }
                        if (had.len() > 12 || turn % 3 == 0)
                            && let Some((job, bytes)) = had.pop()
                        {
                            jobs[job].release(bytes);
                        }
                    }
                    had.into_iter().for_each(|(job, bytes)| jobs[job].release(bytes));
                });
            }
        });
        assert!(!over.load(Relaxed));
        assert_eq!((process.used(), jobs[0].used(), jobs[1].used()), (0, 0, 0));
        assert!(process.peak() <= 10_000 && process.peak() > 9_000, "{}", process.peak());
        assert!(jobs[0].peak() <= 7_001);
    }

    #[test]
    fn reclaimers_run_before_a_failure_the_largest_node_first() {
        let process = Budget::new("process", 1000);
        let (cache, scratch) = (process.child("cache", usize::MAX), process.child("scratch", usize::MAX));
        let kept =
            Arc::new(ForkSafeMutex::new(vec![cache.reserve(300).unwrap(), cache.reserve(300).unwrap()]));
        let (cached, requested) = (Arc::clone(&kept), Arc::new(AtomicUsize::new(0)));
        let said = Arc::clone(&requested);
        cache.on_exhausted(move |lacking| {
            said.store(lacking, Relaxed);
            cached.lock().pop().map_or(0, |gone| gone.bytes())
        });
        scratch.on_exhausted(|_| panic!("the cache has enough"));
        let block = scratch.reserve(600).unwrap();
        assert_eq!((requested.load(Relaxed), kept.lock().len(), process.used()), (200, 1, 900));
        // A charge inside a reclaimer calls no reclaimer.
        let inner = process.clone();
        let process_wide = process.child("inner", 0);
        process_wide.on_exhausted(move |_| usize::from(inner.charge(5000).is_ok()));
        assert!(process_wide.charge(1).is_err());
        drop(block);
        assert_eq!(process.used(), 300);
    }

    #[test]
    fn a_node_that_is_exhausted_after_another_was_reclaimed_is_reclaimed_too() {
        let process = Budget::new("process", 1000);
        let (cache, job) = (process.child("cache", usize::MAX), process.child("job", 500));
        let kept = Arc::new(ForkSafeMutex::new((cache.reserve(800).ok(), job.reserve(200).ok())));
        let (one, two) = (Arc::clone(&kept), Arc::clone(&kept));
        cache.on_exhausted(move |_| one.lock().0.take().map_or(0, |gone| gone.bytes()));
        job.on_exhausted(move |_| two.lock().1.take().map_or(0, |gone| gone.bytes()));
        assert_eq!(job.reserve(400).map(|had| had.bytes()), Ok(400));
        assert_eq!((cache.peak(), job.peak(), process.peak()), (800, 400, 1000));
        // A charge that an ancestor refused does not change the peak below, and cannot be released.
        let small = Budget::new("small", 100);
        let child = small.child("child", usize::MAX);
        assert!(child.charge(1000).is_err());
        assert_eq!((child.peak(), small.peak()), (0, 0));
        child.release(50);
        assert_eq!((child.used(), small.used(), child.charge(100).is_ok()), (0, 0, true));
    }

    #[test]
    fn a_chain_of_any_length_is_dropped() {
        let mut budget = Budget::new("root", 100);
        for _ in 0..200_000 {
            budget = budget.child("child", usize::MAX);
        }
        assert!(budget.charge(101).is_err() && budget.charge(100).is_ok());
        drop(budget);
    }

    #[test]
    fn overflowing_sums_and_limits_below_the_usage_fail() {
        let budget = Budget::new("all", usize::MAX);
        let some = budget.reserve(10).unwrap();
        assert_eq!(budget.charge(usize::MAX).unwrap_err().used, 10);
        budget.set_limit(5);
        assert!(budget.charge(0).is_err() && budget.available() == 0);
        drop(some);
        assert!(budget.charge(5).is_ok());
        budget.release(5);
        let gone = budget.child("gone", 1);
        drop(gone);
        assert_eq!(budget.stats().len(), 1);
    }
}
