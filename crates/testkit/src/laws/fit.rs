//! Laws 1 to 4: blocks are large enough, aligned, apart, and stay.
//!
//! Rests on [`Lent`], which looks at each block as it comes and at all of them after each step.

use super::{Traits, layout};
use crate::Lent;
use arenite_core::Resource;
use std::boxed::Box;

/// Law 1: every size at every alignment, each block held, looked at and given back.
///
/// # Panics
/// If the law is broken.
pub fn fit(resource: &dyn Resource, traits: &Traits) {
    for align in traits.aligns() {
        let mut lent = Lent::default();
        for size in traits.sizes().filter(|&size| align <= 65_536 || size <= 4096) {
            if lent.len() == traits.max_live {
                lent.give_all(resource);
            }
            lent.take(resource, layout(size, align)).unwrap_or_else(|error| panic!("law 1: {error}"));
        }
        lent.verify();
        lent.give_all(resource);
    }
}

/// Law 2: many blocks at once, given back and taken in changing order; all are looked at after each step.
///
/// # Panics
/// If the law is broken.
pub fn disjoint(resource: &dyn Resource, traits: &Traits) {
    let mut lent = Lent::default();
    for layout in traits.mixed() {
        lent.take(resource, layout).unwrap_or_else(|error| panic!("law 2: {error}"));
        lent.verify();
    }
    for (round, layout) in traits.mixed().enumerate() {
        lent.give(resource, (round * 7) % lent.len());
        lent.verify();
        if round % 3 != 0 {
            lent.take(resource, layout).unwrap_or_else(|error| panic!("law 2: {error}"));
            lent.verify();
        }
    }
    lent.give_all(resource);
}

/// Law 3: blocks keep their bytes while others come and go and while the resource moves.
///
/// # Panics
/// If the law is broken.
pub fn stay<R: Resource>(resource: R, traits: &Traits) {
    let mut lent = Lent::default();
    for layout in traits.mixed().take(traits.max_live.div_ceil(2)) {
        lent.take(&resource, layout).unwrap_or_else(|error| panic!("law 3: {error}"));
    }
    let moved = Box::new(resource);
    lent.verify();
    let mut others = Lent::default();
    for layout in traits.mixed().take(traits.max_live / 2) {
        others.take(&moved, layout).unwrap_or_else(|error| panic!("law 3: {error}"));
    }
    lent.verify();
    others.give_all(&moved);
    lent.verify();
    let moved_again = *moved;
    lent.verify();
    lent.give_all(&moved_again);
}

/// Law 4: blocks of no bytes come aligned, several at once, grow, shrink, and are given back once each.
///
/// # Panics
/// If the law is broken.
pub fn zero_size(resource: &dyn Resource, traits: &Traits) {
    let mut lent = Lent::default();
    for align in traits.aligns().take(traits.max_live) {
        let before = resource.state().live_blocks;
        lent.take(resource, layout(0, align)).unwrap_or_else(|error| panic!("law 4: {error}"));
        if traits.own_counts {
            assert_eq!(resource.state().live_blocks, before + 1, "law 4: a block of no bytes counts as one");
        }
    }
    lent.give_all(resource);
    lent.take_zeroed(resource, layout(0, 8)).unwrap_or_else(|error| panic!("law 4: {error}"));
    let size = traits.max_size.min(100);
    for size in [size, 0, 0, 1] {
        let resized = lent.resize(resource, 0, layout(size, 8));
        assert!(resized.is_ok(), "law 4: to {size} bytes: {resized:?}");
        lent.verify();
    }
    lent.give_all(resource);
}
