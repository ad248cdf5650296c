//! A resource for tests over the global allocator: fills fresh blocks with garbage, records every
//! call and fails on request.
#![expect(unsafe_code, reason = "implements an unsafe trait")]

use arenite_core::{AllocError, AllocErrorKind, Label, Resource, ResourceState};
use arenite_tensor::Global;
use core::alloc::Layout;
use core::ptr::NonNull;
use std::cell::{Cell, RefCell};

/// A resource that counts, records and fails; a reference to it is its handle.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    state: Cell<ResourceState>,
    /// The value of fresh bytes.
    garbage: u8,
    /// Number of calls until one fails; `None` never fails.
    remaining: Cell<Option<usize>>,
    /// Size of each allocated block, and of each freed block as a negative number.
    log: RefCell<Vec<isize>>,
}

impl Probe {
    /// Creates a probe whose fresh blocks are filled with this byte.
    pub(crate) fn new(garbage: u8) -> Self {
        Self { garbage, ..Self::default() }
    }

    /// Sets the number of calls that succeed before one fails; `None` means no failure.
    pub(crate) fn fail_after(&self, calls: Option<usize>) {
        self.remaining.set(calls);
    }

    /// Returns the sizes allocated (positive) and freed (negative) since the last call, and clears
    /// the log.
    pub(crate) fn take_log(&self) -> Vec<isize> {
        self.log.take()
    }

    fn change(&self, size: isize) {
        let mut state = self.state.get();
        state.in_use = state.in_use.checked_add_signed(size).expect("more freed than allocated");
        state.held = state.in_use;
        state.peak = state.peak.max(state.in_use);
        state.live_blocks = if size < 0 { state.live_blocks - 1 } else { state.live_blocks + 1 };
        self.state.set(state);
        self.log.borrow_mut().push(size);
    }
}

/// Returns a layout's size, which is at most `isize::MAX`.
fn signed(layout: Layout) -> isize {
    isize::try_from(layout.size()).expect("a layout is at most isize::MAX")
}

// SAFETY: the blocks are those of `Global`, which obeys the laws; counting and filling move none.
unsafe impl Resource for Probe {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match self.remaining.get() {
            Some(0) => {
                self.remaining.set(None);
                return Err(AllocError::new(
                    AllocErrorKind::Injected,
                    layout,
                    self.state(),
                    Label::new("probe"),
                ));
            }
            Some(remaining) => self.remaining.set(Some(remaining - 1)),
            None => {}
        }
        let block = Global.allocate(layout)?;
        // SAFETY: a fresh block, which has no other user and is valid for writes of its length.
        unsafe { block.cast::<u8>().write_bytes(self.garbage, block.len()) };
        self.change(signed(layout));
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise: the block came from `allocate` above, so from `Global`,
        // with this layout.
        unsafe { Global.deallocate(block, layout) };
        self.change(-signed(layout));
    }

    fn state(&self) -> ResourceState {
        self.state.get()
    }
}
