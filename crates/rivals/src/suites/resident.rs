//! The cases of the suite `heap` that measure memory instead of time.
//!
//! Each round is a forked process that has used no heap before and ends with its value. All
//! competitors get the same sequence.
#![expect(unsafe_code, reason = "forks, and reads a value from a pipe")]

use super::sequence::Sequence;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::heaps::{AnyBlock, AnyBlocks, Heap, PerHeap, all_heaps};
use crate::measurement::Measurement;
use crate::report::Row;
use std::alloc::Layout;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

/// MiB of blocks before most are freed.
const FILL_MIB: usize = if cfg!(debug_assertions) { 8 } else { 200 };
/// One in this many blocks stays.
const KEEP_ONE_IN: usize = 10;
/// Number of live blocks during the churn.
const LIVE_BLOCKS: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
/// Number of replaced blocks during the churn.
const CHURN_STEPS: usize = if cfg!(debug_assertions) { 10_000 } else { 1_000_000 };

/// Returns a size in `/proc/self/status`, in bytes.
fn read_status(name: &str) -> Result<u64, AllocFailed> {
    let text = std::fs::read_to_string("/proc/self/status").map_err(|_| AllocFailed)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or(AllocFailed)?;
    let number = line.trim_start_matches(':').split_whitespace().next().ok_or(AllocFailed)?;
    number.parse::<u64>().map(|kibibytes| kibibytes * 1024).map_err(|_| AllocFailed)
}

/// Runs `work` in a child process and returns its value.
fn in_child_process(work: impl Fn() -> Result<u64, AllocFailed>) -> Result<u64, AllocFailed> {
    let mut ends = [0; 2];
    // SAFETY: the array has space for the two file descriptors that the call writes.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(AllocFailed);
    }
    // SAFETY: a descriptor that was just created and has no other owner.
    let from = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: a descriptor that was just created and has no other owner.
    let to = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    // SAFETY: the child runs the work that its parent would, and leaves by `_exit`. A case's
    // process has one thread, so no other thread's state is lost.
    match unsafe { libc::fork() } {
        -1 => Err(AllocFailed),
        0 => {
            // SAFETY: a timer for this child only. It ends a child that was forked while another
            // thread held a lock.
            let _before = unsafe { libc::alarm(120) };
            let wrote = work()
                .and_then(|value| File::from(to).write_all(&value.to_ne_bytes()).map_err(|_| AllocFailed));
            // SAFETY: ends the child, without the parent's destructors.
            unsafe { libc::_exit(i32::from(wrote.is_err())) }
        }
        child => {
            drop(to);
            let mut value = [0; 8];
            let read = File::from(from).read_exact(&mut value);
            let mut ended = 0;
            // SAFETY: the pointer is valid for the write of the status of this process's own child.
            let waited = unsafe { libc::waitpid(child, &raw mut ended, 0) };
            if waited != child || read.is_err() { Err(AllocFailed) } else { Ok(u64::from_ne_bytes(value)) }
        }
    }
}

/// Allocates a block and writes every byte of it.
fn alloc_filled<H: Heap>(layout: Layout) -> Result<AnyBlock<H>, AllocFailed> {
    let block = AnyBlocks::<H>::new().alloc_touched(layout)?;
    block.fill();
    Ok(block)
}

/// Returns the MiB of the blocks that stay, computed from the common sequence.
fn live_mib() -> u32 {
    let mut sequence = Sequence(7);
    let mut sizes = Vec::new();
    let mut bytes = 0;
    while bytes < FILL_MIB << 20 {
        sizes.push(sequence.layout().size());
        bytes += sizes[sizes.len() - 1];
    }
    let kept_bytes: usize = sizes.into_iter().filter(|_| sequence.next().is_multiple_of(KEEP_ONE_IN)).sum();
    u32::try_from(kept_bytes >> 20).unwrap_or(1).max(1)
}

fn after_trim<H: Heap>() -> Result<u64, AllocFailed> {
    let before = read_status("VmRSS")?;
    let (mut sequence, mut bytes, mut blocks) = (Sequence(7), 0, Vec::new());
    while bytes < FILL_MIB << 20 {
        let layout = sequence.layout();
        blocks.push(alloc_filled::<H>(layout)?);
        bytes += layout.size();
    }
    let mut kept = Vec::new();
    for block in blocks {
        if sequence.next().is_multiple_of(KEEP_ONE_IN) {
            kept.push(block);
        } else {
            AnyBlocks::<H>::new().free(block);
        }
    }
    H::trim();
    let after = read_status("VmRSS")?;
    Ok(after.saturating_sub(before))
}

fn peak_resident<H: Heap>() -> Result<u64, AllocFailed> {
    let before = read_status("VmRSS")?;
    let mut sequence = Sequence(11);
    let mut live =
        (0..LIVE_BLOCKS).map(|_| alloc_filled::<H>(sequence.layout())).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..CHURN_STEPS {
        let at = sequence.next() % live.len();
        AnyBlocks::<H>::new().free(live.swap_remove(at));
        live.push(alloc_filled::<H>(sequence.layout())?);
    }
    Ok(read_status("VmHWM")?.saturating_sub(before))
}

struct AfterTrim;

impl PerHeap<'static> for AfterTrim {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        Competitor::self_timed(H::NAME, side, |_| {
            Ok(Measurement { bytes: in_child_process(after_trim::<H>)?, ..Measurement::default() })
        })
    }
}

struct PeakResident;

impl PerHeap<'static> for PeakResident {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        Competitor::self_timed(H::NAME, side, |_| {
            Ok(Measurement { bytes: in_child_process(peak_resident::<H>)?, ..Measurement::default() })
        })
    }
}

/// Measures the resident bytes per live byte after nine in ten blocks are freed and the heap is
/// trimmed.
pub(super) fn trimmed(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: live_mib(), metrics: &[Metric::PerLive], rounds_of: RoundsOf::OneTurn };
    bench.with_few_rounds().compare(case, plan, all_heaps(&AfterTrim))
}

/// Measures the peak of resident memory while blocks of all sizes come and go.
pub(super) fn churned(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Resident], rounds_of: RoundsOf::OneTurn };
    bench.with_few_rounds().compare(case, plan, all_heaps(&PeakResident))
}
