//! Laws 5 and 9: a refused request changes nothing, and says with numbers what was there.
//!
//! Rests on requests that no machine serves, so nothing has to be exhausted first.

use super::{Traits, layout};
use crate::Lent;
use crate::doubles::allocations_of_this_thread;
use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::fmt::{self, Write as _};

/// Layouts that exist and that nobody can serve: up to the last byte of what a layout can say.
fn vast() -> impl Iterator<Item = Layout> {
    let most = isize::MAX.unsigned_abs();
    let near = [0usize, 1, 7, 8, 15, 63, 64, 4095, 4096];
    let bytes = near.into_iter().map(move |less| layout(most - less, 1));
    let aligned = (0..62).map(move |shift: u32| layout(most - ((1usize << shift) - 1), 1 << shift));
    bytes.chain(aligned).chain([
        layout(1 << 62, 64),
        layout(1 << 60, 8),
        layout(0, 1 << 62),
        layout(1, 1 << 61),
    ])
}

fn refuse(resource: &dyn Resource, layout: Layout, zeroed: bool) -> Option<AllocError> {
    let asked = if zeroed { resource.allocate_zeroed(layout) } else { resource.allocate(layout) };
    match asked {
        Err(error) => Some(error),
        // A block of no bytes at a vast alignment costs nothing where addresses are enough.
        Ok(block) if layout.size() == 0 => {
            assert!(block.cast::<u8>().addr().get().is_multiple_of(layout.align()), "law 1: {layout:?}");
            give_back(resource, block.cast(), layout);
            None
        }
        Ok(_) => panic!("law 5: {layout:?} was served"),
    }
}

fn give_back(resource: &dyn Resource, block: core::ptr::NonNull<u8>, layout: Layout) {
    crate::live_blocks::give_back(resource, block, layout);
}

/// Law 5: requests that cannot be served are refused without a panic, and the state is as it was: fresh, and with blocks.
///
/// # Panics
/// If the law is broken.
pub fn refusal(resource: &dyn Resource, traits: &Traits) {
    let mut lent = Lent::default();
    for round in 0..2 {
        for layout in vast() {
            let before = resource.state();
            for zeroed in [false, true] {
                if refuse(resource, layout, zeroed).is_some() && traits.own_counts {
                    assert_eq!(resource.state(), before, "law 5: after {layout:?} was refused");
                }
                lent.verify();
            }
        }
        if round == 0 {
            for layout in traits.mixed().take(traits.max_live.min(8)) {
                lent.take(resource, layout).unwrap_or_else(|error| panic!("law 5: {error}"));
            }
        }
    }
    lent.give_all(resource);
}

/// Law 9: the error names what was asked, the state and a label, and neither making nor writing it allocates.
///
/// # Panics
/// If the law is broken.
pub fn errors(resource: &dyn Resource, traits: &Traits) {
    for layout in vast() {
        // A list that grows on the way to the refusal stays grown: the second time it does not.
        let _grown = refuse(resource, layout, false);
        let before = allocations_of_this_thread();
        let Some(error) = refuse(resource, layout, false) else { continue };
        let mut text = Text { bytes: [0; 1024], len: 0 };
        let written = write!(text, "{error}");
        assert_eq!(allocations_of_this_thread(), before, "law 9: {layout:?}");
        assert!(written.is_ok() && text.len > 0, "law 9: the text of {error:?}");
        assert_eq!((error.size, error.align), (layout.size(), layout.align()), "law 9: {error}");
        assert!(!error.label.is_empty(), "law 9: no label in {error}");
        if traits.own_counts {
            // Who refused may be an upstream, whose limit is another: never a lower one than the whole has.
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

/// Text of a fixed length, because a `String` would allocate.
struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
