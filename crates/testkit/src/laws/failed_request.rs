//! Laws 5 and 9: a failed request changes nothing, and its error carries the layout and the state.
//!
//! The requests exceed every machine, so nothing has to be exhausted first.

use super::traits::{Traits, layout};
use crate::LiveBlocks;
use crate::doubles::allocations_of_this_thread;
use crate::live_blocks::deallocate;
use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::fmt::{self, Write as _};

/// Returns valid layouts that no resource can serve, up to the largest valid size and alignment.
fn unservable_layouts() -> impl Iterator<Item = Layout> {
    let max_size = isize::MAX.unsigned_abs();
    let near = [0usize, 1, 7, 8, 15, 63, 64, 4095, 4096];
    let bytes = near.into_iter().map(move |less| layout(max_size - less, 1));
    let aligned = (0..62).map(move |shift: u32| layout(max_size - ((1usize << shift) - 1), 1 << shift));
    bytes.chain(aligned).chain([
        layout(1 << 62, 64),
        layout(1 << 60, 8),
        layout(0, 1 << 62),
        layout(1, 1 << 61),
    ])
}

fn expect_failure(resource: &dyn Resource, layout: Layout, zeroed: bool) -> Option<AllocError> {
    let result = if zeroed { resource.allocate_zeroed(layout) } else { resource.allocate(layout) };
    match result {
        Err(error) => Some(error),
        // A zero-size block at a vast alignment may succeed: it needs only an address.
        Ok(block) if layout.size() == 0 => {
            assert!(block.cast::<u8>().addr().get().is_multiple_of(layout.align()), "law 1: {layout:?}");
            deallocate(resource, block.cast(), layout);
            None
        }
        Ok(_) => panic!("law 5: {layout:?} was allocated"),
    }
}

/// Checks law 5: an impossible request fails without a panic and leaves the state as it was, with
/// and without live blocks.
///
/// # Panics
/// If the law is broken.
pub fn failed_request(resource: &dyn Resource, traits: &Traits) {
    let mut live = LiveBlocks::default();
    for round in 0..2 {
        for layout in unservable_layouts() {
            let before = resource.state();
            for zeroed in [false, true] {
                if expect_failure(resource, layout, zeroed).is_some() && traits.own_counts {
                    assert_eq!(resource.state(), before, "law 5: after {layout:?} failed");
                }
                live.verify();
            }
        }
        if round == 0 {
            for layout in traits.mixed().take(traits.max_live.min(8)) {
                live.allocate(resource, layout).unwrap_or_else(|error| panic!("law 5: {error}"));
            }
        }
    }
    live.deallocate_all(resource);
}

/// Checks law 9: the error carries the layout, the state and a label, and neither creating nor
/// formatting it allocates.
///
/// # Panics
/// If the law is broken.
pub fn errors(resource: &dyn Resource, traits: &Traits) {
    for layout in unservable_layouts() {
        // A list may grow on the way to the first failure; the second failure needs no growth.
        let _grown = expect_failure(resource, layout, false);
        let before = allocations_of_this_thread();
        let Some(error) = expect_failure(resource, layout, false) else { continue };
        let mut text = Text { bytes: [0; 1024], len: 0 };
        let written = write!(text, "{error}");
        assert_eq!(allocations_of_this_thread(), before, "law 9: {layout:?}");
        assert!(written.is_ok() && text.len > 0, "law 9: the text of {error:?}");
        assert_eq!((error.size, error.align), (layout.size(), layout.align()), "law 9: {error}");
        assert!(!error.label.is_empty(), "law 9: no label in {error}");
        if traits.own_counts {
            // The failing resource may be an upstream with its own limit, which is never below the
            // limit of the resource under test.
            let state = resource.state();
            assert_eq!(
                (error.state.in_use, error.state.live_blocks),
                (state.in_use, state.live_blocks),
                "law 9: {error}"
            );
            assert!(
                state.limit.is_none() || error.state.limit.is_none_or(|limit| Some(limit) >= state.limit),
                "law 9: {error}"
            );
        }
    }
}

/// A text buffer of fixed length, because a `String` would allocate.
struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let target = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        target.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
