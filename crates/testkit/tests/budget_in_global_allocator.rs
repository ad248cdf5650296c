//! A budget that the global allocator itself charging: what the budget needs for its own lists comes back to it.
//!
//! Rests on a global allocator of this test, which charging what one thread asks for. What goes wrong here hangs, or ends the stack.
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

// SAFETY: forwards to the system's, or refuses.
unsafe impl GlobalAlloc for ChargedSystem {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let charging = CHARGING.try_with(Cell::get).unwrap_or(false);
        let failed = charging && BUDGET.get().is_some_and(|budget| budget.charge(layout.size()).is_err());
        if failed {
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
static GLOBAL: ChargedSystem = ChargedSystem;

/// With what this thread asks for charged.
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
    // a full budget with nobody to relieve it: a refusal, and no refusal of what its explanation needs
    full();
    let failed =
        with_charging(|| budget.charge(100).map_err(|error| (error.path.is_empty(), error.largest.len())));
    assert_eq!(failed, Err((true, 0)), "no memory for the path");
    let explained = budget.charge(100).unwrap_err();
    assert_eq!((explained.path.as_str(), explained.asked), ("all", 100));
    assert!(with_charging(|| Vec::<u8>::new().try_reserve(100)).is_err());

    // each of these needs memory, is refused, and is relieved by one that is in the list
    let calls = std::sync::Arc::new(AtomicUsize::new(0));
    let (ran, all) = (std::sync::Arc::clone(&calls), budget.clone());
    budget.on_refusal(move |lacking| {
        ran.fetch_add(1, Relaxed);
        // no more than that, so that the next request is refused, too
        all.release(lacking);
        lacking
    });
    let mut children = Vec::with_capacity(100);
    for number in 0..100 {
        full();
        children.push(with_charging(|| budget.child("child", 1000 + number)));
        full();
        with_charging(|| budget.on_refusal(|_| 0));
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
