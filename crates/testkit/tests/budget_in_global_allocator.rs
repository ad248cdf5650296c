//! A budget that the global allocator itself charges: what the budget needs for its own lists comes back to it.
//!
//! Rests on a global allocator of this test, which charges what one thread asks for. What goes wrong here hangs, or ends the stack.
#![expect(unsafe_code, reason = "is a global allocator")]

use arenite_alloc::Budget;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static BUDGET: OnceLock<Budget> = OnceLock::new();

thread_local! {
    static CHARGES: Cell<bool> = const { Cell::new(false) };
}

struct Charged;

// SAFETY: forwards to the system's, or refuses.
unsafe impl GlobalAlloc for Charged {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let charges = CHARGES.try_with(Cell::get).unwrap_or(false);
        let refused = charges && BUDGET.get().is_some_and(|budget| budget.charge(layout.size()).is_err());
        if refused {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    // What was charged stays charged: the test gives it back as a whole.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; it came from there.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static GLOBAL: Charged = Charged;

/// With what this thread asks for charged.
fn charging<A>(body: impl FnOnce() -> A) -> A {
    CHARGES.set(true);
    let done = body();
    CHARGES.set(false);
    done
}

#[test]
fn u34_a_budget_of_the_global_allocator_may_need_memory_for_its_own_lists() {
    let budget = BUDGET.get_or_init(|| Budget::new("all", 1 << 20)).clone();
    let full = || assert!(budget.charge(budget.available()).is_ok());
    // a full budget with nobody to relieve it: a refusal, and no refusal of what its explanation needs
    full();
    let refused =
        charging(|| budget.charge(100).map_err(|error| (error.path.is_empty(), error.largest.len())));
    assert_eq!(refused, Err((true, 0)), "there was no memory for the path");
    let explained = budget.charge(100).unwrap_err();
    assert_eq!((explained.path.as_str(), explained.asked), ("all", 100));
    assert!(charging(|| Vec::<u8>::new().try_reserve(100)).is_err());

    // each of these needs memory, is refused, and is relieved by one that is in the list
    let reliefs = std::sync::Arc::new(AtomicUsize::new(0));
    let (ran, all) = (std::sync::Arc::clone(&reliefs), budget.clone());
    budget.on_refusal(move |lacking| {
        ran.fetch_add(1, Relaxed);
        // no more than that, so that the next request is refused, too
        all.release(lacking);
        lacking
    });
    let mut children = Vec::with_capacity(100);
    for number in 0..100 {
        full();
        children.push(charging(|| budget.child("child", 1000 + number)));
        full();
        charging(|| budget.on_refusal(|_| 0));
        full();
        let stats = charging(|| budget.stats());
        assert_eq!(stats.len(), 2 + number);
        charging(|| drop(stats));
    }
    assert!(reliefs.load(Relaxed) >= 300, "{reliefs:?}");
    full();
    let error = charging(|| children[0].charge(2000)).unwrap_err();
    assert_eq!((error.node.as_str(), error.limit), ("child", 1000));
}
