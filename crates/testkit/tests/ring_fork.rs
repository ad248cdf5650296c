//! The memory of dropped rings is cached and reused, and never by two processes at once.
#![expect(unsafe_code, reason = "forks, and leaves a child without running its parent's destructors")]

use arenite_core::Trim;
use arenite_pages::{Consumer, Producer, RingCache, ring_buffer};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};

const SIZE: usize = 64 << 10;

type Ring = (Producer<u8>, Consumer<u8>);

/// Overwrites all of the ring's memory without publishing anything.
fn fill(ring: &mut Ring, byte: u8) {
    let slots = ring.0.reserve(SIZE);
    slots.into_iter().for_each(|mut slots| slots.as_mut_slice().fill(byte));
}

fn is_full_of(ring: &mut Ring, byte: u8) -> bool {
    let slots = ring.0.reserve(SIZE);
    slots.is_some_and(|mut slots| slots.as_mut_slice().iter().all(|&other| other == byte))
}

fn address(ring: &mut Ring) -> Option<usize> {
    Some(ring.0.reserve(1)?.as_uninit().as_ptr().addr())
}

/// Runs `child` in a child process and `parent` here, each with a pipe from and a pipe to the
/// other.
///
/// Returns whether both succeeded and the child exited normally.
fn forked(
    child: impl FnOnce(&mut PipeReader, &mut PipeWriter) -> bool,
    parent: impl FnOnce(&mut PipeReader, &mut PipeWriter) -> bool,
) -> std::io::Result<bool> {
    let (mut of_parent, mut to_child) = pipe()?;
    let (mut of_child, mut to_parent) = pipe()?;
    // SAFETY: only this thread of the test uses rings; the child leaves by `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            // The child must see the end of the pipe if the parent exits early.
            drop((to_child, of_child));
            let right = child(&mut of_parent, &mut to_parent);
            // SAFETY: ends the child here, without the parent's destructors.
            unsafe { libc::_exit(if right { 7 } else { 1 }) };
        }
        pid => {
            drop((of_parent, to_parent));
            let right = parent(&mut of_child, &mut to_child);
            drop(to_child);
            let mut status = 0;
            // SAFETY: the pointer is valid for the write of the status of this process's own child.
            let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            Ok(right && ended == pid && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7)
        }
    }
}

fn wait_for(word: &mut PipeReader) -> bool {
    word.read_exact(&mut [0]).is_ok()
}

fn signal(word: &mut PipeWriter) -> bool {
    word.write_all(&[0]).is_ok()
}

#[test]
fn n24_cached_rings_are_reused_but_never_by_two_processes() {
    let ring = || ring_buffer::<u8>(SIZE).unwrap();
    let mut first = ring();
    fill(&mut first, 1);
    let at = address(&mut first);
    drop(first);
    assert_eq!(RingCache::held(), SIZE);
    let mut again = ring();
    assert_eq!((address(&mut again), RingCache::held()), (at, 0));
    drop(again);

    // Neither side reuses a ring that was cached at the time of the fork.
    let right = forked(
        |from, to| {
            let signalled = wait_for(from);
            let mut own = ring();
            fill(&mut own, 2);
            signalled && signal(to) && wait_for(from) && is_full_of(&mut own, 2)
        },
        |from, to| {
            let mut own = ring();
            fill(&mut own, 3);
            // Both sides have a ring now, and each has overwritten all of it.
            let filled = signal(to) && wait_for(from) && is_full_of(&mut own, 3);
            fill(&mut own, 4);
            filled && signal(to)
        },
    );
    assert!(right.unwrap());
    RingCache.trim(0);

    // Neither side caches a ring that was alive at the time of the fork.
    let mut alive = Some(ring());
    let right = forked(
        |from, _| {
            let signalled = wait_for(from);
            fill(alive.as_mut().unwrap(), 4);
            alive = None;
            signalled && RingCache::held() == 0
        },
        |_, to| signal(to),
    );
    assert!(right.unwrap());
    drop(alive);
    assert_eq!(RingCache::held(), 0);
    drop(ring());
    assert_eq!((RingCache.trim(0), RingCache::held()), (SIZE, 0));
}
