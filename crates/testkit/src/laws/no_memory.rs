//! Law 5 where the global allocator has nothing left: what a resource keeps for itself, it asks for and does not insist on.
//!
//! Rests on [`with_blocks_left`]: a program that installs [`ThreadCounter`](crate::doubles::ThreadCounter). A resource that
//! insists ends the program here.

use super::Traits;
use crate::Lent;
use crate::doubles::with_blocks_left;
use arenite_core::Resource;

/// Law 5: with no memory for its lists, or with memory for a few of them, a resource serves a request or refuses it, and takes back
/// what it lent; afterwards it is as before.
///
/// # Panics
/// If the law is broken.
pub fn no_memory(resource: &dyn Resource, traits: &Traits) {
    let layouts: Vec<_> = traits.mixed().collect();
    let before = resource.state();
    let mut most = 0;
    for left in 0..10 {
        let mut lent = Lent::with_room(layouts.len());
        with_blocks_left(left, || {
            for &layout in &layouts {
                let before = resource.state();
                if lent.take(resource, layout).is_err() && traits.own_counts {
                    let after = resource.state();
                    assert_eq!(
                        (after.in_use, after.live_blocks),
                        (before.in_use, before.live_blocks),
                        "law 5"
                    );
                }
            }
        });
        lent.verify();
        if traits.own_counts && traits.frees_each {
            assert_eq!(
                resource.state().live_blocks - before.live_blocks,
                lent.len(),
                "law 5: after {left} blocks"
            );
        }
        most = most.max(lent.len());
        with_blocks_left(0, || lent.give_all(resource));
    }
    assert!(most > 0, "law 5: with memory for nine lists, nothing was served");
    if traits.own_counts && traits.frees_each {
        let after = resource.state();
        assert_eq!(
            (after.in_use, after.live_blocks),
            (before.in_use, before.live_blocks),
            "law 5: at the end"
        );
    }
    let served = layouts.iter().map(|&layout| resource.allocate(layout).map(|block| (block, layout)));
    let served: Vec<_> = served.map(|one| one.expect("law 5: memory again, and still refused")).collect();
    for (block, layout) in served {
        crate::live_blocks::give_back(resource, block.cast(), layout);
    }
}
