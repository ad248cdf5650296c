//! The list of regions under a global allocator that itself reserves a region for each request.
//!
//! An error here shows as a hang: the list's lock must not be held while the allocator runs.
#![expect(unsafe_code, reason = "implements a global allocator")]

use arenite_pages::{Region, regions, stats};
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::sync::mpsc;
use std::time::Duration;

thread_local! {
    static RESERVING: Cell<bool> = const { Cell::new(false) };
}

struct ReservingSystem;

// SAFETY: every call goes to the system allocator.
unsafe impl GlobalAlloc for ReservingSystem {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if RESERVING.try_with(|reserving| reserving.replace(false)).unwrap_or(false) {
            drop(Region::reserve(1 << 20, "of the allocator"));
            RESERVING.set(true);
        }
        // SAFETY: the caller's promise: the layout has a size above zero.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: a live block of this layout, which came from the system
        // allocator.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static GLOBAL: ReservingSystem = ReservingSystem;

#[test]
fn regions_are_listed_while_the_allocator_reserves_one() {
    let region = Region::reserve(1 << 20, "listed").unwrap();
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        RESERVING.set(true);
        let (listed, total) = (regions(), stats());
        RESERVING.set(false);
        done.send((listed, total.map(|total| total.reserved))).unwrap();
    });
    let Ok((listed, total)) = finished.recv_timeout(Duration::from_secs(20)) else {
        let _leaked = core::mem::ManuallyDrop::new(region); // its drop would wait for the lock, too
        panic!("regions() hangs");
    };
    assert!(listed.iter().any(|entry| entry.base == region.as_ptr().addr().get()));
    assert!(total.unwrap() >= 1 << 20);
}
