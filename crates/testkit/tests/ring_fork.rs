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

/// Runs `child` in a child, which waits for the parent's word before; whether it ended and was right.
fn forked(
    child: impl FnOnce(&mut PipeReader) -> bool,
    parent: impl FnOnce(&mut PipeWriter),
) -> std::io::Result<bool> {
    let (mut reader, mut writer) = pipe()?;
    // SAFETY: the test's only thread that uses rings forks; the child leaves by `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            let right = child(&mut reader);
            // SAFETY: ends the child here.
            unsafe { libc::_exit(if right { 7 } else { 1 }) };
        }
        pid => {
            parent(&mut writer);
            let mut status = 0;
            // SAFETY: writes the status of this process's own child.
            let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            Ok(ended == pid && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7)
        }
    }
}

fn heard(word: &mut PipeReader) -> bool {
    word.read_exact(&mut [0]).is_ok()
}

#[test]
fn n24_memory_of_dropped_rings_is_used_again_but_never_by_two_processes() {
    let ring = || ring_buffer::<u8>(SIZE).unwrap();
    let say = |word: &mut PipeWriter| word.write_all(&[0]).unwrap();
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
        |word| {
            let heard = heard(word);
            let mut own = ring();
            fill(&mut own, 2);
            heard && is_full_of(&mut own, 2)
        },
        |word| {
            let mut own = ring();
            fill(&mut own, 3);
            say(word);
            // the child ends while this ring lives: what it wrote is not in here
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert!(is_full_of(&mut own, 3));
        },
    );
    assert!(right.unwrap());
    KeptRings.trim(0);

    // nor is a ring that lived when the process forked kept on either side
    let mut alive = Some(ring());
    let right = forked(
        |word| {
            let heard = heard(word);
            fill(alive.as_mut().unwrap(), 4);
            alive = None;
            heard && KeptRings::held() == 0
        },
        say,
    );
    assert!(right.unwrap());
    drop(alive);
    assert_eq!(KeptRings::held(), 0);
    drop(ring());
    assert_eq!((KeptRings.trim(0), KeptRings::held()), (SIZE, 0));
}
