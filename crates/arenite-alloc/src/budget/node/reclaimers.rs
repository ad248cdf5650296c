//! Callbacks that free memory before a charge fails.
//!
//! Reclaimers run on the thread of the charge, and no lock is held meanwhile.

use super::{Budget, Reclaimer};
use crate::util::fallible_vec::{try_extend_outside_lock, try_push};
use core::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::LocalKey;

thread_local! {
    /// Whether a reclaimer runs on this thread: its own charges call no reclaimers.
    static RECLAIMING: Cell<bool> = const { Cell::new(false) };
    /// Whether a failure is being diagnosed on this thread.
    pub(super) static DIAGNOSING: Cell<bool> = const { Cell::new(false) };
}

/// A guard against reentrant work on one thread.
pub(super) struct ReentrancyGuard(&'static LocalKey<Cell<bool>>);

impl ReentrancyGuard {
    /// Sets the flag. Returns `None` if it was set already.
    pub(super) fn begin(flag: &'static LocalKey<Cell<bool>>) -> Option<Self> {
        (!flag.replace(true)).then(|| Self(flag))
    }
}

impl Drop for ReentrancyGuard {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Budget {
    #[cold]
    pub(super) fn charge_with_reclaim(&self, bytes: usize) -> Result<(), &Self> {
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
        // Number of reclaimers called of each exhausted node. There are few such nodes, with few
        // reclaimers.
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
}
