//! A resource for tests: fills fresh blocks with garbage, counts and records every call, and fails where it is told.
//!
//! Rests on the global allocator. Its handle is a reference, like that of an arena.
#![expect(unsafe_code, reason = "implements an unsafe trait")]

use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState};
use arenite_tensor::Global;
use core::alloc::Layout;
use core::ptr::NonNull;
use std::cell::{Cell, RefCell};

/// Counts and records; see the module.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    state: Cell<ResourceState>,
    /// What fresh blocks are filled with.
    garbage: u8,
    /// The calls left until one fails.
    left: Cell<Option<usize>>,
    /// The size of each block asked, and of each given back (negative).
    log: RefCell<Vec<isize>>,
}

impl Probe {
    /// A probe whose fresh blocks hold this byte.
    pub(crate) fn new(garbage: u8) -> Self {
        Self { garbage, ..Self::default() }
    }

    /// Lets `calls` succeed and the one after them fail; `None` lets all succeed.
    pub(crate) fn fail_after(&self, calls: Option<usize>) {
        self.left.set(calls);
    }

    /// The sizes asked (positive) and given back (negative) since the last call of this.
    pub(crate) fn take_log(&self) -> Vec<isize> {
        self.log.take()
    }

    fn change(&self, size: isize) {
        let mut state = self.state.get();
        state.in_use = state.in_use.checked_add_signed(size).expect("no more is given back than was lent");
        state.held = state.in_use;
        state.peak = state.peak.max(state.in_use);
        state.live_blocks = if size < 0 { state.live_blocks - 1 } else { state.live_blocks + 1 };
        self.state.set(state);
        self.log.borrow_mut().push(size);
    }
}

/// A layout's size, which is never above `isize::MAX`.
fn signed(layout: Layout) -> isize {
    isize::try_from(layout.size()).expect("a layout is no larger")
}

// SAFETY: the blocks are those of `Global`; counting and filling them moves none.
unsafe impl Resource for Probe {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match self.left.get() {
            Some(0) => {
                self.left.set(None);
                return Err(AllocError::new(AllocCause::Injected, layout, self.state(), Label::new("probe")));
            }
            Some(left) => self.left.set(Some(left - 1)),
            None => {}
        }
        let block = Global.allocate(layout)?;
        // SAFETY: the block is new, ours alone, and valid for writes of its length.
        unsafe { block.cast::<u8>().write_bytes(self.garbage, block.len()) };
        self.change(signed(layout));
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise: the block came from `allocate` above, so from `Global`, with this layout.
        unsafe { Global.deallocate(block, layout) };
        self.change(-signed(layout));
    }

    fn state(&self) -> ResourceState {
        self.state.get()
    }
}
