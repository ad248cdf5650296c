//! Law 8: the counts in a resource's state match its live blocks.

use super::traits::{Traits, layout};
use crate::LiveBlocks;
use arenite_core::{Resource, ResourceState};

/// Asserts that the numbers of `state` agree with each other.
///
/// # Panics
/// If they do not.
pub(crate) fn assert_coherent(state: &ResourceState) {
    assert!(state.held >= state.in_use, "law 8: held below in use: {state}");
    assert!(state.peak >= state.in_use, "law 8: peak below in use: {state}");
    assert!(state.limit.is_none_or(|limit| state.in_use <= limit), "law 8: in use above the limit: {state}");
}

/// Checks law 8: after each step the counts match the live blocks, and the peak never falls.
///
/// # Panics
/// If the law is broken.
pub fn accounting(resource: &dyn Resource, traits: &Traits) {
    let start = resource.state();
    let mut observed = Observed { start, peak: start.peak, max_in_use: start.in_use };
    let mut live = LiveBlocks::default();
    for layout in traits.mixed() {
        live.allocate(resource, layout).unwrap_or_else(|error| panic!("law 8: {error}"));
        observed.check(resource, &live, traits);
    }
    for index in 0..live.len().min(10) {
        let old = live.layout(index);
        let half = Traits { max_size: old.size() / 2, ..*traits };
        for size in [half.max_size, old.size()] {
            let resized = live.resize(resource, index, layout(size, old.align()));
            assert!(resized.is_ok() || traits.max_live == live.len(), "law 8: {resized:?}");
            observed.check(resource, &live, traits);
        }
    }
    while !live.is_empty() {
        live.deallocate(resource, (live.len() * 5) % live.len().max(1));
        observed.check(resource, &live, traits);
    }
    let end = resource.state();
    if traits.own_counts && traits.frees_each {
        assert_eq!(end.in_use, start.in_use, "law 8: after freeing all");
    }
}

/// The state at the start and the maxima observed since.
struct Observed {
    start: ResourceState,
    peak: usize,
    max_in_use: usize,
}

impl Observed {
    fn check(&mut self, resource: &dyn Resource, live: &LiveBlocks, traits: &Traits) {
        let state = resource.state();
        assert_coherent(&state);
        if !traits.own_counts {
            return;
        }
        self.max_in_use = self.max_in_use.max(state.in_use);
        assert!(state.in_use >= self.start.in_use.min(live.bytes()), "law 8: {state}");
        assert!(state.in_use >= live.bytes(), "law 8: {} bytes are live: {state}", live.bytes());
        assert_eq!(state.live_blocks, self.start.live_blocks + live.len(), "law 8: live blocks");
        assert!(state.peak >= self.peak && state.peak >= self.max_in_use, "law 8: the peak fell: {state}");
        self.peak = state.peak;
    }
}
