//! What is kept of dropped rings is used again, and by no two processes at once.
#![expect(unsafe_code, reason = "forks, and leaves a child without running its parent's destructors")]

use arenite_core::Trim;
use arenite_pages::{Consumer, KeptRings, Producer, ring_buffer};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};

const SIZE: usize = 64 << 10;

type Ring = (Producer<u8>, Consumer<u8>);

/// Writes over all of the ring's memory, without putting anything in.
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

/// Runs `child` in a child and `parent` here; each has an end to from the other and one to to. Whether the child ended and was right.
fn forked(
    child: impl FnOnce(&mut PipeReader, &mut PipeWriter) -> bool,
    parent: impl FnOnce(&mut PipeReader, &mut PipeWriter) -> bool,
) -> std::io::Result<bool> {
    let (mut of_parent, mut to_child) = pipe()?;
    let (mut of_child, mut to_parent) = pipe()?;
    // SAFETY: the test's only thread that uses rings forks; the child leaves by `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            // so that it hears the end of a parent that ended without a word
            drop((to_child, of_child));
            let right = child(&mut of_parent, &mut to_parent);
            // SAFETY: ends the child here.
            unsafe { libc::_exit(if right { 7 } else { 1 }) };
        }
        pid => {
            drop((of_parent, to_parent));
            let right = parent(&mut of_child, &mut to_child);
            drop(to_child);
            let mut status = 0;
            // SAFETY: writes the status of this process's own child.
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
    assert_eq!(KeptRings::held(), SIZE);
    let mut again = ring();
    assert_eq!((address(&mut again), KeptRings::held()), (at, 0));
    drop(again);

    // what is kept when the process forks is neither side's afterwards
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
            // both have one now, and each has written over all of it
            let filled = signal(to) && wait_for(from) && is_full_of(&mut own, 3);
            fill(&mut own, 4);
            filled && signal(to)
        },
    );
    assert!(right.unwrap());
    KeptRings.trim(0);

    // nor is a ring that lived when the process forked kept on either side
    let mut alive = Some(ring());
    let right = forked(
        |from, _| {
            let signalled = wait_for(from);
            fill(alive.as_mut().unwrap(), 4);
            alive = None;
            signalled && KeptRings::held() == 0
        },
        |_, to| signal(to),
    );
    assert!(right.unwrap());
    drop(alive);
    assert_eq!(KeptRings::held(), 0);
    drop(ring());
    assert_eq!((KeptRings.trim(0), KeptRings::held()), (SIZE, 0));
}
