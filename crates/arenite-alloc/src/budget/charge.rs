//! Charges, and the callbacks that free memory before a charge fails.
//!
//! Reclaimers run on the thread of the charge, and no lock of the budget is held meanwhile.

use super::node::Reclaimer;
use super::{Budget, BudgetError};
use crate::util::fallible_vec::{try_extend, try_extend_outside_lock, try_push};
use core::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::LocalKey;

thread_local! {
    /// Whether a reclaimer runs on this thread: its own charges call no reclaimers.
    static RECLAIMING: Cell<bool> = const { Cell::new(false) };
    /// Whether a failure is being diagnosed on this thread.
    static DIAGNOSING: Cell<bool> = const { Cell::new(false) };
}

/// A guard against reentrant work on one thread.
struct ReentrancyGuard(&'static LocalKey<Cell<bool>>);

impl ReentrancyGuard {
    /// Sets the flag. Returns `None` if it was set already.
    fn begin(flag: &'static LocalKey<Cell<bool>>) -> Option<Self> {
        (!flag.replace(true)).then(|| Self(flag))
    }
}

impl Drop for ReentrancyGuard {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Budget {
    /// Charges bytes until [`Budget::release`]; [`Budget::reserve`] returns an owner that releases
    /// them.
    ///
    /// # Errors
    /// [`BudgetError`] if the limit of this node or an ancestor does not allow them, after the
    /// reclaimers ran.
    #[inline]
    pub fn charge(&self, bytes: usize) -> Result<(), BudgetError> {
        if self.0.charge_speculative(bytes) { Ok(()) } else { self.charge_or_report(bytes) }
    }

    #[inline(never)]
    fn charge_or_report(&self, bytes: usize) -> Result<(), BudgetError> {
        self.charge_path(bytes)
            .or_else(|_| self.charge_with_reclaim(bytes))
            .map_err(|node| self.diagnose(node, bytes))
    }

    /// Charges bytes. Returns the exhausted node on failure, without a message.
    #[inline]
    pub(super) fn try_charge(&self, bytes: usize) -> Result<(), &Self> {
        if self.0.charge_speculative(bytes) {
            return Ok(());
        }
        self.charge_path(bytes).or_else(|_| self.charge_with_reclaim(bytes))
    }

    #[cold]
    fn charge_with_reclaim(&self, bytes: usize) -> Result<(), &Self> {
        let mut exhausted = match self.charge_path(bytes) {
            Ok(()) => return Ok(()),
            Err(node) => node,
        };
        if !exhausted.0.has_reclaimer.load(Relaxed) {
            return Err(exhausted);
        }
        let Some(_running) = ReentrancyGuard::begin(&RECLAIMING) else { return Err(exhausted) };
        let (mut called, mut last) = (Vec::new(), None);
        while let Some(reclaimers) = exhausted.reclaimers() {
            // Each reclaimer is called once. After it, another node may be exhausted that has
            // others.
            let new = |one: &Reclaimer| called.iter().all(|other| !Arc::ptr_eq(one, other));
            let Some(reclaimer) = reclaimers.into_iter().find(new) else { return Err(exhausted) };
            exhausted.reclaim_with(&reclaimer, bytes);
            let listed = try_push(&mut called, Arc::clone(&reclaimer));
            match self.charge_path(bytes) {
                Ok(()) => return Ok(()),
                Err(node) => exhausted = node,
            }
            if listed.is_err() {
                last = Some(reclaimer);
                break;
            }
        }
        let was_called = |one: &Reclaimer| called.iter().chain(&last).any(|other| Arc::ptr_eq(one, other));
        self.reclaim_without_lists(exhausted, bytes, was_called)
    }

    /// Calls the reclaimers of the exhausted nodes only, except those already called. Used when
    /// there is no memory for lists.
    fn reclaim_without_lists<'a>(
        &'a self,
        mut exhausted: &'a Self,
        bytes: usize,
        called: impl Fn(&Reclaimer) -> bool,
    ) -> Result<(), &'a Self> {
        // Number of reclaimers tried or skipped of each exhausted node. There are few such nodes,
        // with few reclaimers.
        let mut progress: [(Option<&Self>, usize); 8] = [(None, 0); 8];
        loop {
            let is_own = |of: Option<&Self>| of.is_none_or(|of| core::ptr::eq(of, exhausted));
            let Some((of, number)) = progress.iter_mut().find(|(of, _)| is_own(*of)) else {
                return Err(exhausted);
            };
            *of = Some(exhausted);
            let reclaimer = exhausted.0.reclaimers.lock().get(*number).cloned();
            let Some(reclaimer) = reclaimer else { return Err(exhausted) };
            *number += 1;
            if called(&reclaimer) {
                continue;
            }
            exhausted.reclaim_with(&reclaimer, bytes);
            match self.charge_path(bytes) {
                Ok(()) => return Ok(()),
                Err(node) => exhausted = node,
            }
        }
    }

    /// Calls a reclaimer with the bytes that a charge of this node lacks, if any.
    fn reclaim_with(&self, reclaimer: &Reclaimer, bytes: usize) {
        let lacking = self.used().saturating_add(bytes).saturating_sub(self.limit());
        if lacking > 0 {
            reclaimer(lacking);
        }
    }

    /// Returns the reclaimers of this node and its descendants, those of the largest first, or
    /// `None` if there is no memory for the list.
    fn reclaimers(&self) -> Option<Vec<Reclaimer>> {
        let (mut found, mut complete) = (Vec::new(), true);
        let visited = self.descendants(|node, _| {
            complete &= try_extend_outside_lock(&mut found, &node.0.reclaimers, |reclaimer| {
                Some(Arc::clone(reclaimer))
            })
            .is_ok();
        });
        (visited.is_ok() && complete).then_some(found)
    }

    #[cold]
    fn diagnose(&self, node: &Self, requested: usize) -> BudgetError {
        let bare = BudgetError {
            node: node.label(),
            path: String::new(),
            requested,
            used: node.used(),
            limit: node.limit(),
            largest: Vec::new(),
        };
        // The global allocator may charge this budget: a failure inside a diagnosis is not
        // diagnosed.
        let Some(_guard) = ReentrancyGuard::begin(&DIAGNOSING) else { return bare };
        let children = node.children_by_size().unwrap_or_default();
        let sized = children.iter().map(|(used, child)| (child.label(), *used)).filter(|&(_, used)| used > 0);
        let mut largest = Vec::new();
        let _none: Result<(), _> = try_extend(&mut largest, children.len().min(5), sized);
        BudgetError { path: self.path(), largest, ..bare }
    }

    /// Returns the names from the root to this node, or an empty string if there is no memory.
    fn path(&self) -> String {
        let (mut path, mut len) = (Vec::new(), 0);
        self.ancestors().for_each(|node| len += node.label.as_str().len() + 1);
        if path.try_reserve(len).is_err() {
            return String::new();
        }
        path.resize(len, b'/');
        // Filled from the end, because the iteration leads to the root.
        let mut end = len;
        for node in self.ancestors() {
            let name = node.label.as_str().as_bytes();
            let begin = end - name.len();
            path[begin..end].copy_from_slice(name);
            end = begin - 1;
        }
        // Each name has a slash before it, also the first.
        path.remove(0);
        String::from_utf8(path).unwrap_or_default()
    }
}
