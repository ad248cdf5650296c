//! Law 5 when the global allocator is exhausted: a resource may request memory for its own lists,
//! but must handle failure.
//!
//! The test program installs [`ThreadCounter`](crate::doubles::ThreadCounter). A resource that
//! does not handle the failure aborts the program.

use super::traits::Traits;
use crate::LiveBlocks;
use crate::doubles::with_blocks_left;
use arenite_core::Resource;

/// Checks law 5 with no memory, or little memory, for a resource's own lists.
///
/// Each request succeeds or fails cleanly, and every block can be freed. Afterwards the resource
/// works as before.
///
/// # Panics
/// If the law is broken.
pub fn no_memory(resource: &dyn Resource, traits: &Traits) {
    let layouts: Vec<_> = traits.mixed().collect();
    let before = resource.state();
    let mut max_live = 0;
    for left in 0..10 {
        let mut live = LiveBlocks::with_capacity_for(layouts.len());
        with_blocks_left(left, || {
            for &layout in &layouts {
                let before = resource.state();
                if live.allocate(resource, layout).is_err() && traits.own_counts {
                    let after = resource.state();
                    assert_eq!(
                        (after.in_use, after.live_blocks),
                        (before.in_use, before.live_blocks),
                        "law 5"
                    );
                }
            }
        });
        live.verify();
        if traits.own_counts && traits.frees_each {
            assert_eq!(
                resource.state().live_blocks - before.live_blocks,
                live.len(),
                "law 5: after {left} blocks"
            );
        }
        max_live = max_live.max(live.len());
        with_blocks_left(0, || live.deallocate_all(resource));
    }
    assert!(max_live > 0, "law 5: with memory for nine lists, nothing was allocated");
    if traits.own_counts && traits.frees_each {
        let after = resource.state();
        assert_eq!(
            (after.in_use, after.live_blocks),
            (before.in_use, before.live_blocks),
            "law 5: at the end"
        );
    }
    let served = layouts.iter().map(|&layout| resource.allocate(layout).map(|block| (block, layout)));
    let served: Vec<_> =
        served.map(|one| one.expect("law 5: a request failed although memory is available")).collect();
    for (block, layout) in served {
        crate::live_blocks::deallocate(resource, block.cast(), layout);
    }
}
