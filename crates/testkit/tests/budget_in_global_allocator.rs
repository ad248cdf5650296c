//! A budget that the global allocator itself charges, so that the budget's own lists are charged
//! too.
//!
//! The global allocator of this test charges the requests of one thread. An error here shows as a
//! hang or a stack overflow.
#![expect(unsafe_code, reason = "implements a global allocator")]

use arenite_alloc::Budget;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static BUDGET: OnceLock<Budget> = OnceLock::new();

thread_local! {
    static CHARGING: Cell<bool> = const { Cell::new(false) };
}

struct ChargedSystem;

// SAFETY: every call goes to the system allocator or fails with null.
unsafe impl GlobalAlloc for ChargedSystem {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let charging = CHARGING.try_with(Cell::get).unwrap_or(false);
        let failed = charging && BUDGET.get().is_some_and(|budget| budget.charge(layout.size()).is_err());
        if failed {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promise: the layout has a size above zero.
        unsafe { System.alloc(layout) }
    }

    // Charges are not released here: the test releases them in one call.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: a live block of this layout, which came from the system
        // allocator.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static GLOBAL: ChargedSystem = ChargedSystem;

/// Runs `body` while the requests of this thread are charged.
fn with_charging<A>(body: impl FnOnce() -> A) -> A {
    CHARGING.set(true);
    let done = body();
    CHARGING.set(false);
    done
}

#[test]
fn u34_budget_in_the_global_allocator_may_allocate_for_its_own_lists() {
    let budget = BUDGET.get_or_init(|| Budget::new("all", 1 << 20)).clone();
    let full = || assert!(budget.charge(budget.available()).is_ok());
    // A full budget without a callback: the charge fails, and building the error must not fail
    // again.
    full();
    let failed =
        with_charging(|| budget.charge(100).map_err(|error| (error.path.is_empty(), error.largest.len())));
    assert_eq!(failed, Err((true, 0)), "no memory for the path");
    let explained = budget.charge(100).unwrap_err();
    assert_eq!((explained.path.as_str(), explained.requested), ("all", 100));
    assert!(with_charging(|| Vec::<u8>::new().try_reserve(100)).is_err());

    // Each of these calls allocates, exceeds the budget, and runs the callback that is already in
    // the list.
    let calls = std::sync::Arc::new(AtomicUsize::new(0));
    let (ran, all) = (std::sync::Arc::clone(&calls), budget.clone());
    budget.on_exhausted(move |lacking| {
        ran.fetch_add(1, Relaxed);
        // The callback releases no more than this, so the next request exceeds the budget too.
        all.release(lacking);
        lacking
    });
    let mut children = Vec::with_capacity(100);
    for number in 0..100 {
        full();
        children.push(with_charging(|| budget.child("child", 1000 + number)));
        full();
        with_charging(|| budget.on_exhausted(|_| 0));
        full();
        let stats = with_charging(|| budget.stats());
        assert_eq!(stats.len(), 2 + number);
        with_charging(|| drop(stats));
    }
    assert!(calls.load(Relaxed) >= 300, "{calls:?}");
    full();
    let error = with_charging(|| children[0].charge(2000)).unwrap_err();
    assert_eq!((error.node.as_str(), error.limit), ("child", 1000));
}
