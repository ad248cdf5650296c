//! Laws 1 to 4: blocks are large enough, aligned, disjoint and stable, and zero-size blocks work.

use super::traits::{Traits, layout};
use crate::LiveBlocks;
use arenite_core::Resource;
use std::boxed::Box;

/// Checks law 1 for every size at every alignment: each block is allocated, checked and freed.
///
/// # Panics
/// If the law is broken.
pub fn fit(resource: &dyn Resource, traits: &Traits) {
    for align in traits.aligns() {
        let mut live = LiveBlocks::default();
        for size in traits.sizes().filter(|&size| align <= 65_536 || size <= 4096) {
            if live.len() == traits.max_live {
                live.deallocate_all(resource);
            }
            live.allocate(resource, layout(size, align)).unwrap_or_else(|error| panic!("law 1: {error}"));
        }
        live.verify();
        live.deallocate_all(resource);
    }
}

/// Checks law 2: many live blocks, freed and allocated in changing order, stay disjoint after each
/// step.
///
/// # Panics
/// If the law is broken.
pub fn disjoint(resource: &dyn Resource, traits: &Traits) {
    let mut live = LiveBlocks::default();
    for layout in traits.mixed() {
        live.allocate(resource, layout).unwrap_or_else(|error| panic!("law 2: {error}"));
        live.verify();
    }
    for (round, layout) in traits.mixed().enumerate() {
        live.deallocate(resource, (round * 7) % live.len());
        live.verify();
        if round % 3 != 0 {
            live.allocate(resource, layout).unwrap_or_else(|error| panic!("law 2: {error}"));
            live.verify();
        }
    }
    live.deallocate_all(resource);
}

/// Checks law 3: blocks keep their bytes while others come and go and while the resource moves.
///
/// # Panics
/// If the law is broken.
pub fn stay<R: Resource>(resource: R, traits: &Traits) {
    let mut live = LiveBlocks::default();
    for layout in traits.mixed().take(traits.max_live.div_ceil(2)) {
        live.allocate(&resource, layout).unwrap_or_else(|error| panic!("law 3: {error}"));
    }
    let moved = Box::new(resource);
    live.verify();
    let mut others = LiveBlocks::default();
    for layout in traits.mixed().take(traits.max_live / 2) {
        others.allocate(&moved, layout).unwrap_or_else(|error| panic!("law 3: {error}"));
    }
    live.verify();
    others.deallocate_all(&moved);
    live.verify();
    let moved_again = *moved;
    live.verify();
    live.deallocate_all(&moved_again);
}

/// Checks law 4: zero-size blocks are aligned, can coexist, grow and shrink, and are freed once
/// each.
///
/// # Panics
/// If the law is broken.
pub fn zero_size(resource: &dyn Resource, traits: &Traits) {
    let mut live = LiveBlocks::default();
    for align in traits.aligns().take(traits.max_live) {
        let before = resource.state().live_blocks;
        live.allocate(resource, layout(0, align)).unwrap_or_else(|error| panic!("law 4: {error}"));
        if traits.own_counts {
            assert_eq!(resource.state().live_blocks, before + 1, "law 4: a block of no bytes counts as one");
        }
    }
    live.deallocate_all(resource);
    live.allocate_zeroed(resource, layout(0, 8)).unwrap_or_else(|error| panic!("law 4: {error}"));
    let size = traits.max_size.min(100);
    for size in [size, 0, 0, 1] {
        let resized = live.resize(resource, 0, layout(size, 8));
        assert!(resized.is_ok(), "law 4: to {size} bytes: {resized:?}");
        live.verify();
    }
    live.deallocate_all(resource);
}
