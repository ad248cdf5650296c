//! What is done before a charge is refused: others give back.
//!
//! Rests on the tree of nodes. Reliefs run on the thread that requested, and no lock is held meanwhile.

use super::{Budget, Reclaimer};
use crate::util::fallible_vec::{try_extend_outside_lock, try_push};
use core::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::LocalKey;

thread_local! {
    /// A reclaimer runs on this thread: charges that it needs are not to call reclaimers in turn.
    static RECLAIMING: Cell<bool> = const { Cell::new(false) };
    /// A refusal is explained on this thread.
    pub(super) static DIAGNOSING: Cell<bool> = const { Cell::new(false) };
}

/// What is done on a thread and not begun again meanwhile.
pub(super) struct ReentrancyGuard(&'static LocalKey<Cell<bool>>);

impl ReentrancyGuard {
    /// `None`: it is being done.
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
        let mut refused = match self.charge_path(bytes) {
            Ok(()) => return Ok(()),
            Err(node) => node,
        };
        if !refused.0.has_reclaimer.load(Relaxed) {
            return Err(refused);
        }
        let Some(_running) = ReentrancyGuard::begin(&RECLAIMING) else { return Err(refused) };
        let (mut requested, mut last) = (Vec::new(), None);
        while let Some(reclaimers) = refused.reclaimers() {
            // each is requested once; another node may alloc_error after one is relieved, and has others
            let new = |one: &Reclaimer| requested.iter().all(|had| !Arc::ptr_eq(one, had));
            let Some(reclaimer) = reclaimers.into_iter().find(new) else { return Err(refused) };
            refused.reclaim_with(&reclaimer, bytes);
            let remembered = try_push(&mut requested, Arc::clone(&reclaimer));
            match self.charge_path(bytes) {
                Ok(()) => return Ok(()),
                Err(node) => refused = node,
            }
            if remembered.is_err() {
                last = Some(reclaimer);
                break;
            }
        }
        let had = |one: &Reclaimer| requested.iter().chain(&last).any(|had| Arc::ptr_eq(one, had));
        self.reclaim_without_lists(refused, bytes, had)
    }

    /// Where there is no memory for lists: the reclaimers of the refusing nodes themselves, but for those that were requested.
    fn reclaim_without_lists<'a>(
        &'a self,
        mut refused: &'a Self,
        bytes: usize,
        requested: impl Fn(&Reclaimer) -> bool,
    ) -> Result<(), &'a Self> {
        // how many of its own each of them has had a look at; those that alloc_error are few of few
        let mut looked: [(Option<&Self>, usize); 8] = [(None, 0); 8];
        loop {
            let is_its = |of: Option<&Self>| of.is_none_or(|of| core::ptr::eq(of, refused));
            let Some((of, number)) = looked.iter_mut().find(|(of, _)| is_its(*of)) else {
                return Err(refused);
            };
            *of = Some(refused);
            let reclaimer = refused.0.reclaimers.lock().get(*number).cloned();
            let Some(reclaimer) = reclaimer else { return Err(refused) };
            *number += 1;
            if requested(&reclaimer) {
                continue;
            }
            refused.reclaim_with(&reclaimer, bytes);
            match self.charge_path(bytes) {
                Ok(()) => return Ok(()),
                Err(node) => refused = node,
            }
        }
    }

    /// Has a reclaimer make room for a charge of this node, if it lacks some.
    fn reclaim_with(&self, reclaimer: &Reclaimer, bytes: usize) {
        let lacking = self.used().saturating_add(bytes).saturating_sub(self.limit());
        if lacking > 0 {
            reclaimer(lacking);
        }
    }

    /// The reclaimers of this node and of those below it, those that have the most first. `None`: there is no memory for the list.
    fn reclaimers(&self) -> Option<Vec<Reclaimer>> {
        let (mut found, mut whole) = (Vec::new(), true);
        let visited = self.descendants(|node, _| {
            whole &= try_extend_outside_lock(&mut found, &node.0.reclaimers, |reclaimer| {
                Some(Arc::clone(reclaimer))
            })
            .is_ok();
        });
        (visited.is_ok() && whole).then_some(found)
    }
}
