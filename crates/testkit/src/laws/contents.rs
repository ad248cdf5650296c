//! Laws 6 and 7: zeroed bytes are zero, kept bytes are kept.
//!
//! Rests on [`Lent`], which looks at zeroed blocks before it fills them and at prefixes after each resize.

use super::{Traits, layout};
use crate::Lent;
use arenite_core::Resource;

/// Law 6: zeroed blocks are zero also where others wrote before.
///
/// # Panics
/// If the law is broken.
pub fn zeroed(resource: &dyn Resource, traits: &Traits) {
    for _ in 0..3 {
        let mut lent = Lent::default();
        for layout in traits.mixed() {
            lent.take(resource, layout).unwrap_or_else(|error| panic!("law 6: {error}"));
        }
        // Newest first, so that an arena has the bytes back, too.
        while !lent.is_empty() {
            lent.give(resource, lent.len() - 1);
        }
        for layout in traits.mixed() {
            lent.take_zeroed(resource, layout).unwrap_or_else(|error| panic!("law 6: {error}"));
        }
        lent.verify();
        lent.give_all(resource);
    }
}

/// Law 7: growing and shrinking keep the prefix, of the last block and of blocks below, to another alignment, too; a refused
/// one leaves the block as it was.
///
/// # Panics
/// If the law is broken.
pub fn prefix(resource: &dyn Resource, traits: &Traits) {
    if traits.max_live < 3 {
        return;
    }
    let mut lent = Lent::default();
    for _ in 0..2 {
        lent.take(resource, layout(1, 8)).unwrap_or_else(|error| panic!("law 7: {error}"));
    }
    // A pool whose only free block is needed for the move may refuse; nothing else may.
    let sizes = traits.sizes().chain(traits.sizes().collect::<Vec<_>>().into_iter().rev());
    for size in sizes {
        for index in 0..lent.len() {
            let resized = lent.resize(resource, index, layout(size, 8));
            assert!(resized.is_ok(), "law 7: to {size} bytes: {resized:?}");
            lent.verify();
        }
    }
    for align in traits.aligns().filter(|&align| align <= 4096) {
        for (index, size) in [(0, traits.max_size.min(600)), (1, 5), (0, 300.min(traits.max_size)), (1, 50)] {
            let resized = lent.resize(resource, index, layout(size.min(traits.max_size), align));
            assert!(resized.is_ok(), "law 7: to {size} bytes at {align}: {resized:?}");
            lent.verify();
        }
    }
    realigned(resource, &mut lent, traits);
    for index in 0..lent.len() {
        let state = resource.state();
        let vast = layout(1 << 62, lent.layout(index).align());
        assert!(lent.resize(resource, index, vast).is_err(), "2^62 bytes are to be had");
        lent.verify();
        if traits.own_counts {
            assert_eq!(resource.state(), state, "law 5: after a refused growth");
        }
    }
    lent.give_all(resource);
}

/// The newest block grows and shrinks to an alignment that it does not have by chance.
fn realigned(resource: &dyn Resource, lent: &mut Lent, traits: &Traits) {
    for align in traits.aligns().filter(|&align| align <= 65_536) {
        for size in [9, 1, 100].map(|size| traits.max_size.min(size)) {
            while lent.len() > 1 {
                lent.give(resource, lent.len() - 1);
            }
            for _ in 0..2 {
                lent.take(resource, layout(1, 1)).unwrap_or_else(|error| panic!("law 7: {error}"));
            }
            for size in [size, size / 2] {
                let resized = lent.resize(resource, lent.len() - 1, layout(size, align));
                assert!(resized.is_ok(), "law 7: to {size} bytes at {align}: {resized:?}");
                lent.verify();
            }
        }
    }
}
