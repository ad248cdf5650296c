//! Law 8: the numbers of a resource's state agree with what it lent.
//!
//! Rests on [`Lent`], which knows what was asked.

use super::Traits;
use crate::Lent;
use arenite_core::{Resource, ResourceState};

/// Whether the numbers of `state` agree with each other.
///
/// # Panics
/// If they do not.
pub(crate) fn coherent(state: &ResourceState) {
    assert!(state.held >= state.in_use, "law 8: held below in use: {state}");
    assert!(state.peak >= state.in_use, "law 8: peak below in use: {state}");
    assert!(state.limit.is_none_or(|limit| state.in_use <= limit), "law 8: in use above the limit: {state}");
}

/// Law 8: after each step the counts are what was lent and given back; the peak never falls.
///
/// # Panics
/// If the law is broken.
pub fn account(resource: &dyn Resource, traits: &Traits) {
    let start = resource.state();
    let mut seen = Seen { start, peak: start.peak, most: start.in_use };
    let mut lent = Lent::default();
    for layout in traits.mixed() {
        lent.take(resource, layout).unwrap_or_else(|error| panic!("law 8: {error}"));
        seen.look(resource, &lent, traits);
    }
    for index in 0..lent.len().min(10) {
        let layout = lent.layout(index);
        let half = Traits { max_size: layout.size() / 2, ..*traits };
        for size in [half.max_size, layout.size()] {
            let resized = lent.resize(resource, index, super::layout(size, layout.align()));
            assert!(resized.is_ok() || traits.max_live == lent.len(), "law 8: {resized:?}");
            seen.look(resource, &lent, traits);
        }
    }
    while !lent.is_empty() {
        lent.give(resource, (lent.len() * 5) % lent.len().max(1));
        seen.look(resource, &lent, traits);
    }
    let end = resource.state();
    if traits.own_counts && traits.frees_each {
        assert_eq!(end.in_use, start.in_use, "law 8: all is given back");
    }
}

/// What the state was so far.
struct Seen {
    start: ResourceState,
    peak: usize,
    most: usize,
}

impl Seen {
    fn look(&mut self, resource: &dyn Resource, lent: &Lent, traits: &Traits) {
        let state = resource.state();
        coherent(&state);
        if !traits.own_counts {
            return;
        }
        self.most = self.most.max(state.in_use);
        assert!(state.in_use >= self.start.in_use.min(lent.bytes()), "law 8: {state}");
        assert!(state.in_use >= lent.bytes(), "law 8: {} bytes are lent: {state}", lent.bytes());
        assert_eq!(state.live_blocks, self.start.live_blocks + lent.len(), "law 8: live blocks");
        assert!(state.peak >= self.peak && state.peak >= self.most, "law 8: the peak fell: {state}");
        self.peak = state.peak;
    }
}
