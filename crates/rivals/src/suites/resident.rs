//! Cases of the suite `heap` that count memory and not time.
//!
//! Rests on `fork`: each round is a process of its own, which has used no heap before, and ends with its figure. All contestants get
//! the same sequence.
#![expect(unsafe_code, reason = "forks, and reads a figure from a pipe")]

use super::heap::{Enter, Sequence, all};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::heaps::{AnyBlock, AnyBlocks, Heap};
use crate::report::Row;
use crate::measurement::Reading;
use std::alloc::Layout;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

/// MiB of blocks before most are freed.
const FULL: usize = if cfg!(debug_assertions) { 8 } else { 200 };
/// One block in so many stays.
const STAYS: usize = 10;
/// Live blocks while they come and go.
const LIVE: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
/// How often one goes and another comes.
const STEPS: usize = if cfg!(debug_assertions) { 10_000 } else { 1_000_000 };

/// A number of KiB in `/proc/self/status`, in bytes.
fn status(name: &str) -> Result<u64, Refused> {
    let text = std::fs::read_to_string("/proc/self/status").map_err(|_| Refused)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or(Refused)?;
    let number = line.trim_start_matches(':').split_whitespace().next().ok_or(Refused)?;
    number.parse::<u64>().map(|kibibytes| kibibytes * 1024).map_err(|_| Refused)
}

/// The figure that `work` comes to in a process of its own.
fn apart(work: impl Fn() -> Result<u64, Refused>) -> Result<u64, Refused> {
    let mut ends = [0; 2];
    // SAFETY: the call writes two file descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Refused);
    }
    // SAFETY: a descriptor that was just made and is nobody's.
    let from = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let to = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    // SAFETY: the child does what its parent would, and leaves by `_exit`. A case's process has one thread, so it is whole.
    match unsafe { libc::fork() } {
        -1 => Err(Refused),
        0 => {
            // SAFETY: ends this child if a lock was held when it was made, as may be in a process of several threads.
            let _before = unsafe { libc::alarm(120) };
            let wrote = work()
                .and_then(|figure| File::from(to).write_all(&figure.to_ne_bytes()).map_err(|_| Refused));
            // SAFETY: ends the child, without what its parent would still do.
            unsafe { libc::_exit(i32::from(wrote.is_err())) }
        }
        child => {
            drop(to);
            let mut figure = [0; 8];
            let read = File::from(from).read_exact(&mut figure);
            let mut ended = 0;
            // SAFETY: waits for this process's own child.
            let waited = unsafe { libc::waitpid(child, &raw mut ended, 0) };
            if waited != child || read.is_err() { Err(Refused) } else { Ok(u64::from_ne_bytes(figure)) }
        }
    }
}

/// A block, every byte of which is written.
fn written<H: Heap>(layout: Layout) -> Result<AnyBlock<H>, Refused> {
    let block = AnyBlocks::<H>::new().take(layout)?;
    block.fill();
    Ok(block)
}

/// MiB of those that stay, from the sequence that every contestant gets.
fn live() -> u32 {
    let mut sequence = Sequence(7);
    let mut sizes = Vec::new();
    let mut bytes = 0;
    while bytes < FULL << 20 {
        sizes.push(sequence.layout().size());
        bytes += sizes[sizes.len() - 1];
    }
    let stays: usize = sizes.into_iter().filter(|_| sequence.next().is_multiple_of(STAYS)).sum();
    u32::try_from(stays >> 20).unwrap_or(1).max(1)
}

fn after_trim<H: Heap>() -> Result<u64, Refused> {
    let before = status("VmRSS")?;
    let (mut sequence, mut bytes, mut blocks) = (Sequence(7), 0, Vec::new());
    while bytes < FULL << 20 {
        let layout = sequence.layout();
        blocks.push(written::<H>(layout)?);
        bytes += layout.size();
    }
    let mut kept = Vec::new();
    for block in blocks {
        if sequence.next().is_multiple_of(STAYS) {
            kept.push(block);
        } else {
            AnyBlocks::<H>::new().give(block);
        }
    }
    H::trim();
    let after = status("VmRSS")?;
    Ok(after.saturating_sub(before))
}

fn at_most<H: Heap>() -> Result<u64, Refused> {
    let before = status("VmRSS")?;
    let mut sequence = Sequence(11);
    let mut live = (0..LIVE).map(|_| written::<H>(sequence.layout())).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..STEPS {
        let at = sequence.next() % live.len();
        AnyBlocks::<H>::new().give(live.swap_remove(at));
        live.push(written::<H>(sequence.layout())?);
    }
    Ok(status("VmHWM")?.saturating_sub(before))
}

struct AfterTrim;

impl Enter for AfterTrim {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        Contestant::reading(H::NAME, side, |_| {
            Ok(Reading { bytes: apart(after_trim::<H>)?, ..Reading::default() })
        })
    }
}

struct AtMost;

impl Enter for AtMost {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        Contestant::reading(H::NAME, side, |_| {
            Ok(Reading { bytes: apart(at_most::<H>)?, ..Reading::default() })
        })
    }
}

/// What is in memory after nine in ten blocks were freed and the heap was trimmed, for each byte that is live.
pub(super) fn trimmed(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: live(), metrics: &[Metric::PerLive], rounds_of: RoundsOf::OneTurn };
    bench.few().compare(case, plan, all(AfterTrim))
}

/// The most that is in memory while blocks of all sizes come and go.
pub(super) fn churned(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Resident], rounds_of: RoundsOf::OneTurn };
    bench.few().compare(case, plan, all(AtMost))
}
