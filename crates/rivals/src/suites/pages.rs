//! The suite `pages`: the cost of memory from the kernel: address space, backing, the first touch,
//! moves and rings.
//!
//! Memory is fresh in every turn, except in the case that moves it, where it alternates between
//! two addresses.

use super::case::{Case, require};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side, warm_up_turns};
use crate::failure::{AllocFailed, Failure};
use crate::mappings::{Committed, Mapping, PAGE, Reservation, Reserve, Writable};
use crate::measurement::{Measurement, Stopwatch};
use crate::page_moves::{Copying, MovePages, Regions, Remapping};
use crate::report::Row;
use crate::tally;
use arenite_core::Trim;
use arenite_pages::{Region, RingCache, ring_buffer};
use magic_buffer::MagicBuffer;
use slice_ring_buffer::SliceRingBuffer;
use std::hint::black_box;

pub(super) const CASES: &[Case] = &[
    ("map, touch once and release 64 MiB, per 4 KiB", first_touch),
    ("commit 16 MiB in steps of 64 KiB, per step", commit),
    ("reserve and release 1 GiB", reserve),
    ("move 64 MiB", moving),
    ("ring of 64 KiB, make and drop", ring),
];

/// Number of bytes touched.
const TOUCHED: usize = 64 << 20;
/// Number of OS pages in them.
const PAGES: u32 = 16 << 10;
const _: () = assert!(TOUCHED == PAGES as usize * PAGE, "the units are what is touched");

fn touched<M: Writable>(
    name: &'static str,
    side: Side,
    make: impl Fn() -> Result<M, AllocFailed> + 'static,
) -> Competitor<'static> {
    Competitor::timed(name, side, move |turns| {
        (0..turns).try_for_each(|_| {
            make()?.touch();
            Ok(())
        })
    })
}

fn first_touch(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan =
        Plan { units: PAGES, metrics: &[Metric::Cpu, Metric::PageFaults], rounds_of: RoundsOf::OneTurn };
    let competitors = vec![
        touched("arenite", Side::Ours, || Committed::new(TOUCHED, true)),
        touched("without huge pages", Side::Variant, || Committed::new(TOUCHED, false)),
        touched("mmap", Side::Rival, || Mapping::new(TOUCHED, false)),
        touched("mmap, populated", Side::Rival, || Mapping::new(TOUCHED, true)),
    ];
    bench.compare(case, plan, competitors)
}

/// Number of bytes per commit.
const STEP: usize = 64 << 10;
/// Number of commits.
const STEPS: u32 = 256;

/// Commits `turns` reservations, which are created before and released after the measured time.
fn stepped<R: Reserve>(turns: u64) -> Result<Measurement, AllocFailed> {
    let len = STEPS as usize * STEP;
    let reserved = (0..turns).map(|_| R::reserve(len)).collect::<Result<Vec<R>, AllocFailed>>()?;
    let reserved = black_box(reserved);
    let before = Stopwatch::start();
    for reserved in &reserved {
        // The adapter reloads its state at each step, as if other work ran in between.
        (0..len).step_by(STEP).try_for_each(|at| black_box(reserved).commit(at, STEP))?;
    }
    Ok(before.elapsed())
}

fn commit(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: STEPS, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(4) };
    fn competitor<R: Reserve>(name: &'static str, side: Side) -> Competitor<'static> {
        Competitor::self_timed(name, side, |turns| {
            stepped::<R>(warm_up_turns(turns))?;
            stepped::<R>(turns)
        })
    }
    let competitors =
        vec![competitor::<Region>("arenite", Side::Ours), competitor::<Reservation>("mprotect", Side::Rival)];
    bench.compare(case, plan, competitors)
}

fn reserve(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn competitor<R: Reserve>(name: &'static str, side: Side) -> Competitor<'static> {
        Competitor::timed(name, side, |turns| {
            (0..turns).try_for_each(|_| R::reserve(1 << 30).map(|reserved| drop(black_box(reserved))))
        })
    }
    let competitors =
        vec![competitor::<Region>("arenite", Side::Ours), competitor::<Reservation>("mmap", Side::Rival)];
    bench.compare(case, PLAN, competitors)
}

const PLAN: Plan = Plan { units: 1, metrics: &[Metric::CpuMicros], rounds_of: RoundsOf::Time(4) };

fn moving(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn competitor(
        name: &'static str,
        side: Side,
        mut memory: impl MovePages + 'static,
    ) -> Competitor<'static> {
        Competitor::timed(name, side, move |turns| (0..turns).try_for_each(|_| memory.move_pages()))
    }
    let plan = Plan { rounds_of: RoundsOf::OneTurn, ..PLAN };
    let competitors = vec![
        competitor("arenite", Side::Ours, require(case, "arenite", Regions::new(TOUCHED, true))?),
        competitor(
            "without huge pages",
            Side::Variant,
            require(case, "without huge pages", Regions::new(TOUCHED, false))?,
        ),
        competitor("copy", Side::Rival, require(case, "copy", Copying::new(TOUCHED))?),
        competitor("mremap", Side::Rival, require(case, "mremap", Remapping::new(TOUCHED))?),
    ];
    bench.compare(case, plan, competitors)
}

/// Number of bytes of a ring.
const RING: usize = 64 << 10;

fn rings<R: 'static>(
    name: &'static str,
    side: Side,
    make: impl Fn() -> Result<R, AllocFailed> + 'static,
    len: fn(&R) -> usize,
) -> Competitor<'static> {
    Competitor::timed(name, side, move |turns| {
        (0..turns).try_for_each(|_| {
            let ring = black_box(make()?);
            tally::allocated(len(&ring));
            drop(ring);
            tally::freed();
            Ok(())
        })
    })
}

fn ring(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let competitors = vec![
        rings(
            "arenite",
            Side::Ours,
            || ring_buffer::<u8>(RING).map_err(|_| AllocFailed),
            |(producer, _)| producer.capacity(),
        ),
        // This variant finds no cached ring memory.
        rings(
            "keeping none",
            Side::Variant,
            || {
                RingCache.trim(0);
                ring_buffer::<u8>(RING).map_err(|_| AllocFailed)
            },
            |(producer, _)| producer.capacity(),
        ),
        rings(
            "magic-buffer",
            Side::Rival,
            || MagicBuffer::new(RING).map_err(|_| AllocFailed),
            MagicBuffer::len,
        ),
        rings(
            "slice-ring-buffer",
            Side::Rival,
            || Ok(SliceRingBuffer::<u8>::with_capacity(RING)),
            SliceRingBuffer::capacity,
        ),
    ];
    bench.compare(case, PLAN, competitors)
}
