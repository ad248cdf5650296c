//! A step touches the global allocator for its arrays and for the packing buffers of its matrix products, and for no more.
#![expect(unsafe_code, reason = "counts the calls of the global allocator")]

use arenite_tensor::Global;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use workloads::char_lm::{Config, Model, StepEstimate, Text};

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    CALLS.with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn step_allocates_only_arrays_and_packing_buffers() {
    let config = Config { width: 16, heads: 2, context: 12, batch: 3, ..Config::default() };
    let text = Text::new("the quick brown fox jumps over the lazy dog. ".repeat(20).as_bytes(), 12).unwrap();
    let estimate = StepEstimate::new(&config, text.vocabulary()).unwrap();
    let mut model = Model::<_>::new(config, text.vocabulary(), 3, Global).unwrap();
    for _ in 0..3 {
        let before = CALLS.get();
        model.train_step_observed(&text, Global, |_| {}).unwrap();
        assert_eq!(CALLS.get() - before, estimate.blocks + estimate.products);
    }
}
