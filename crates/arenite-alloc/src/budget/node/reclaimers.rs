//! What is done before a charge is refused: others give back.
//!
//! Rests on the tree of nodes. Reliefs run on the thread that asked, and no lock is held meanwhile.

use super::{Budget, Relief};
use crate::util::fallible_vec::{try_extend_of_locked, try_push};
use core::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::LocalKey;

thread_local! {
    /// A relief runs on this thread: charges that it needs are not to call reliefs in turn.
    static RELIEVING: Cell<bool> = const { Cell::new(false) };
    /// A refusal is explained on this thread.
    pub(super) static EXPLAINING: Cell<bool> = const { Cell::new(false) };
}

/// What is done on a thread and not begun again meanwhile.
pub(super) struct Once(&'static LocalKey<Cell<bool>>);

impl Once {
    /// `None`: it is being done.
    pub(super) fn begin(flag: &'static LocalKey<Cell<bool>>) -> Option<Self> {
        (!flag.replace(true)).then(|| Self(flag))
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Budget {
    #[cold]
    pub(super) fn charge_slowly(&self, bytes: usize) -> Result<(), &Self> {
        let mut refused = match self.take(bytes) {
            Ok(()) => return Ok(()),
            Err(node) => node,
        };
        if !refused.0.relievable.load(Relaxed) {
            return Err(refused);
        }
        let Some(_running) = Once::begin(&RELIEVING) else { return Err(refused) };
        let (mut asked, mut last) = (Vec::new(), None);
        while let Some(reliefs) = refused.reliefs() {
            // each is asked once; another node may refuse after one is relieved, and has others
            let new = |one: &Relief| asked.iter().all(|had| !Arc::ptr_eq(one, had));
            let Some(relief) = reliefs.into_iter().find(new) else { return Err(refused) };
            refused.relieve_by(&relief, bytes);
            let remembered = try_push(&mut asked, Arc::clone(&relief));
            match self.take(bytes) {
                Ok(()) => return Ok(()),
                Err(node) => refused = node,
            }
            if remembered.is_err() {
                last = Some(relief);
                break;
            }
        }
        let had = |one: &Relief| asked.iter().chain(&last).any(|had| Arc::ptr_eq(one, had));
        self.charge_without_lists(refused, bytes, had)
    }

    /// Where there is no memory for lists: the reliefs of the refusing nodes themselves, but for those that were asked.
    fn charge_without_lists<'a>(
        &'a self,
        mut refused: &'a Self,
        bytes: usize,
        asked: impl Fn(&Relief) -> bool,
    ) -> Result<(), &'a Self> {
        // how many of its own each of them has had a look at; those that refuse are few of few
        let mut looked: [(Option<&Self>, usize); 8] = [(None, 0); 8];
        loop {
            let is_its = |of: Option<&Self>| of.is_none_or(|of| core::ptr::eq(of, refused));
            let Some((of, number)) = looked.iter_mut().find(|(of, _)| is_its(*of)) else {
                return Err(refused);
            };
            *of = Some(refused);
            let relief = refused.0.reliefs.lock().get(*number).cloned();
            let Some(relief) = relief else { return Err(refused) };
            *number += 1;
            if asked(&relief) {
                continue;
            }
            refused.relieve_by(&relief, bytes);
            match self.take(bytes) {
                Ok(()) => return Ok(()),
                Err(node) => refused = node,
            }
        }
    }

    /// Has a relief make room for a charge of this node, if it lacks some.
    fn relieve_by(&self, relief: &Relief, bytes: usize) {
        let lacking = self.used().saturating_add(bytes).saturating_sub(self.limit());
        if lacking > 0 {
            relief(lacking);
        }
    }

    /// The reliefs of this node and of those below it, those that have the most first. `None`: there is no memory for the list.
    fn reliefs(&self) -> Option<Vec<Relief>> {
        let (mut found, mut whole) = (Vec::new(), true);
        let visited = self.down(|node, _| {
            whole &=
                try_extend_of_locked(&mut found, &node.0.reliefs, |relief| Some(Arc::clone(relief))).is_ok();
        });
        (visited.is_ok() && whole).then_some(found)
    }
}
