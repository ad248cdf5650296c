//! Laws 6 and 7: zeroed bytes are zero, and a resize preserves the common prefix.

use super::traits::{Traits, layout};
use crate::LiveBlocks;
use arenite_core::Resource;

/// Checks law 6: zeroed blocks are zero, also where earlier blocks were written.
///
/// # Panics
/// If the law is broken.
pub fn zeroed(resource: &dyn Resource, traits: &Traits) {
    for _ in 0..3 {
        let mut live = LiveBlocks::default();
        for layout in traits.mixed() {
            live.allocate(resource, layout).unwrap_or_else(|error| panic!("law 6: {error}"));
        }
        // An arena reuses the bytes only if the newest block is freed first.
        while !live.is_empty() {
            live.deallocate(resource, live.len() - 1);
        }
        for layout in traits.mixed() {
            live.allocate_zeroed(resource, layout).unwrap_or_else(|error| panic!("law 6: {error}"));
        }
        live.verify();
        live.deallocate_all(resource);
    }
}

/// Checks law 7: `grow` and `shrink` preserve the prefix, for the newest and for older blocks, and
/// to other alignments.
///
/// A failed resize leaves the block as it was.
///
/// # Panics
/// If the law is broken.
pub fn grow_keeps_prefix(resource: &dyn Resource, traits: &Traits) {
    if traits.max_live < 3 {
        return;
    }
    let mut live = LiveBlocks::default();
    for _ in 0..2 {
        live.allocate(resource, layout(1, 8)).unwrap_or_else(|error| panic!("law 7: {error}"));
    }
    // A pool may fail if the move needs its only free block; no other resource may.
    let sizes = traits.sizes().chain(traits.sizes().collect::<Vec<_>>().into_iter().rev());
    for size in sizes {
        for index in 0..live.len() {
            let resized = live.resize(resource, index, layout(size, 8));
            assert!(resized.is_ok(), "law 7: to {size} bytes: {resized:?}");
            live.verify();
        }
    }
    for align in traits.aligns().filter(|&align| align <= 4096) {
        for (index, size) in [(0, traits.max_size.min(600)), (1, 5), (0, 300.min(traits.max_size)), (1, 50)] {
            let resized = live.resize(resource, index, layout(size.min(traits.max_size), align));
            assert!(resized.is_ok(), "law 7: to {size} bytes at {align}: {resized:?}");
            live.verify();
        }
    }
    realign_newest(resource, &mut live, traits);
    for index in 0..live.len() {
        let state = resource.state();
        let vast = layout(1 << 62, live.layout(index).align());
        assert!(live.resize(resource, index, vast).is_err(), "2^62 bytes were allocated");
        live.verify();
        if traits.own_counts {
            assert_eq!(resource.state(), state, "law 5: after a failed growth");
        }
    }
    live.deallocate_all(resource);
}

/// Resizes the newest block to alignments that its address need not have.
fn realign_newest(resource: &dyn Resource, live: &mut LiveBlocks, traits: &Traits) {
    for align in traits.aligns().filter(|&align| align <= 65_536) {
        for size in [9, 1, 100].map(|size| traits.max_size.min(size)) {
            while live.len() > 1 {
                live.deallocate(resource, live.len() - 1);
            }
            for _ in 0..2 {
                live.allocate(resource, layout(1, 1)).unwrap_or_else(|error| panic!("law 7: {error}"));
            }
            for size in [size, size / 2] {
                let resized = live.resize(resource, live.len() - 1, layout(size, align));
                assert!(resized.is_ok(), "law 7: to {size} bytes at {align}: {resized:?}");
                live.verify();
            }
        }
    }
}
