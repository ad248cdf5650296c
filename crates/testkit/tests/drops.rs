//! Values in arenas are dropped once and in order, also if a destructor or a closure panics.

use arenite_alloc::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// A value that logs its number on drop; number 13 panics then.
struct Logged {
    number: usize,
    log: Arc<Mutex<Vec<usize>>>,
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.log.lock().expect("not poisoned").push(self.number);
        assert_ne!(self.number, 13, "a destructor that panics");
    }
}

#[derive(Default)]
struct Log(Arc<Mutex<Vec<usize>>>);

impl Log {
    fn entry(&self, number: usize) -> Logged {
        Logged { number, log: Arc::clone(&self.0) }
    }

    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

/// Returns whether `body` panics.
fn panics(body: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(body)).is_err()
}

#[test]
fn adopted_values_are_dropped_newest_first_and_once() {
    let log = Log::default();
    let mut arena = Arena::new();
    let _first = arena.alloc_with_drop(log.entry(1)).unwrap();
    let mark = arena.mark().unwrap();
    let _more = [arena.alloc_with_drop(log.entry(2)).unwrap(), arena.alloc_with_drop(log.entry(3)).unwrap()];
    assert_eq!(arena.restore(mark), Err(RestoreError::BlocksAlive { count: 2 }));
    assert_eq!(log.take(), []);
    arena.restore_mut(mark).unwrap();
    assert_eq!(log.take(), [3, 2]);
    arena.scope(|scope| {
        let _fourth = scope.alloc_with_drop(log.entry(4)).unwrap();
        scope.scope(|inner| inner.alloc_with_drop(log.entry(5)).map(drop).unwrap());
        assert_eq!(log.take(), [5]);
    });
    assert_eq!(log.take(), [4]);
    let _sixth = arena.alloc_with_drop(log.entry(6)).unwrap();
    drop(arena);
    assert_eq!(log.take(), [6, 1]);
}

#[test]
fn a_panicking_destructor_in_reset_loses_no_other_value_and_runs_once() {
    let log = Log::default();
    let mut arena = Arena::new();
    for number in [1, 2, 13, 4] {
        let _adopted = arena.alloc_with_drop(log.entry(number)).unwrap();
    }
    let in_use = arena.in_use();
    assert!(panics(|| arena.reset()));
    assert_eq!((log.take(), arena.in_use()), (vec![4, 13], in_use));
    arena.reset();
    assert_eq!((log.take(), arena.in_use()), (vec![2, 1], 0));
}

#[test]
fn a_panicking_destructor_in_a_scope_leaves_an_arena_that_works() {
    let log = Log::default();
    let mut arena = Arena::with_chunk_size(CountedGlobal::new(), 256);
    assert!(panics(|| {
        arena.scope(|scope| {
            [1, 13, 3].map(|number| scope.alloc_with_drop(log.entry(number)).map(drop).unwrap())
        });
    }));
    assert_eq!(log.take(), [3, 13]);
    let kept = arena.alloc_slice_copy(&[9u8; 100]).unwrap();
    assert_eq!(kept, [9; 100]);
    arena.reset();
    assert_eq!((log.take(), arena.in_use()), (vec![1], 0));
}

#[test]
fn a_panic_inside_a_scope_frees_what_the_scope_allocated() {
    let log = Log::default();
    let mut arena = Arena::new();
    let _below = arena.alloc_with_drop(log.entry(1)).unwrap();
    let before = arena.in_use();
    assert!(panics(|| {
        arena.scope(|scope| {
            let _adopted = scope.alloc_with_drop(log.entry(2)).unwrap();
            scope.scope(|inner| {
                let _owned = inner.alloc(log.entry(3)).unwrap();
                panic!("in the middle");
            });
        });
    }));
    assert_eq!((log.take(), arena.in_use()), (vec![3, 2], before));
}

#[test]
fn shared_arena_scope_drops_adopted_values_after_a_panic() {
    let log = Log::default();
    let mut arena = SharedArena::new();
    let _below = arena.alloc_with_drop(log.entry(1)).unwrap();
    let before = arena.in_use();
    assert!(panics(|| {
        arena.scope(|scope| {
            std::thread::scope(|threads| {
                threads.spawn(|| scope.alloc_with_drop(log.entry(2)).map(drop).unwrap());
            });
            panic!("in the middle");
        });
    }));
    assert_eq!((log.take(), arena.in_use()), (vec![2], before));
    drop(arena);
    assert_eq!(log.take(), [1]);
}

#[test]
fn boxes_drop_their_values() {
    let log = Log::default();
    let arena = Arena::new();
    drop(arena.alloc(log.entry(1)).unwrap());
    assert_eq!(log.take(), [1]);
    let moved = ArenaBox::into_inner(arena.alloc(log.entry(2)).unwrap());
    assert_eq!(log.take(), []);
    drop(moved);
    assert_eq!(log.take(), [2]);
    drop(arena.alloc_slice_fill_with(3, |n| log.entry(n + 10)).unwrap());
    assert_eq!(log.take(), [10, 11, 12]);
}

#[test]
fn leaked_values_are_not_dropped() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    let mut arena = Arena::new();
    let _leaked = ArenaBox::leak(arena.alloc(Counted).unwrap());
    arena.reset();
    drop(arena);
    assert_eq!(DROPS.load(Relaxed), 0);
}

#[test]
fn a_panic_while_filling_a_slice_drops_what_was_made() {
    let log = Log::default();
    let arena = Arena::new();
    assert!(panics(|| {
        let _never =
            arena.alloc_slice_fill_with(10, |n| if n < 4 { log.entry(n) } else { panic!("the fifth") });
    }));
    assert_eq!(log.take(), [0, 1, 2, 3]);
    let fine = arena.alloc_slice_fill_with(3, |n| n).unwrap();
    assert_eq!(*fine, [0, 1, 2]);
}

#[test]
fn slice_filling_closure_may_allocate_from_the_same_arena() {
    let arena = Arena::with_chunk_size(CountedGlobal::new(), 128);
    let mark = arena.mark().unwrap();
    let rows = arena
        .alloc_slice_fill_with(20, |n| {
            assert!(arena.restore(mark).is_err(), "the slice itself is alive");
            arena.alloc_slice_copy(&[n; 5]).unwrap()
        })
        .unwrap();
    assert!(rows.iter().enumerate().all(|(n, row)| **row == [n; 5]));
}
