//! A child of `fork` uses the heap although other threads of its parent were using it.
#![expect(unsafe_code, reason = "forks, and leaves a child without running its parent's destructors")]

use arenite_alloc::Heap;
use arenite_core::{Block, Resource, Trim};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: Heap = Heap::new();

static SECOND: Heap = Heap::new();

/// Allocates small, medium and large blocks of both heaps, and creates and drops a heap. Returns
/// whether all succeeded.
///
/// `threads` also starts a thread. The standard library has its own locks around thread creation,
/// which a child may find locked.
fn work(seed: usize, threads: bool) -> bool {
    let lists: Vec<Vec<usize>> = (0..300).map(|count| vec![seed; 1 + (count * 37) % 5_000]).collect();
    let sizes = [100, 70_000, 17 << 20];
    let allocate =
        || sizes.map(|size| arenite_core::layout(size, 16).and_then(|layout| Block::new_in(layout, &SECOND)));
    let blocks = allocate();
    let own = Heap::new();
    let in_own = arenite_core::layout(1000, 8).and_then(|layout| Block::new_in(layout, &own)).is_ok();
    let threaded =
        !threads || std::thread::spawn(move || vec![seed; 1000].len()).join().is_ok_and(|len| len == 1000);
    SECOND.trim(0);
    blocks.iter().all(Result::is_ok)
        && in_own
        && threaded
        && lists.iter().all(|list| list.iter().all(|&number| number == seed))
}

/// Returns the exit code of a child, or `None` if it hangs.
fn wait_for_exit(child: libc::pid_t) -> Option<i32> {
    let end = Instant::now() + Duration::from_secs(20);
    let mut status = 0;
    while Instant::now() < end {
        // SAFETY: the pointer is valid for the write of the status of this process's own child.
        if unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child {
            return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    // SAFETY: the signal goes to this process's own child.
    unsafe { libc::kill(child, libc::SIGKILL) };
    None
}

#[test]
fn n08_forked_child_allocates_when_parent_threads_held_the_locks() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let busy: Vec<_> = (0..3)
        .map(|seed| {
            std::thread::spawn(move || {
                while !STOP.load(Ordering::Relaxed) {
                    assert!(work(seed, true));
                }
            })
        })
        .collect();
    for turn in 0..200 {
        // SAFETY: the child runs code that is sound in one thread, and leaves by `_exit`.
        match unsafe { libc::fork() } {
            0 => {
                let fine = work(turn, false) && HEAP.state().live_blocks > 0;
                // SAFETY: ends the child here, without the parent's destructors.
                unsafe { libc::_exit(if fine { 7 } else { 1 }) };
            }
            child => assert_eq!(wait_for_exit(child), Some(7), "child {turn}"),
        }
    }
    STOP.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| assert!(thread.join().is_ok()));
}
