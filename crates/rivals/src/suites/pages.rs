//! The suite `pages`: what memory costs that comes from the kernel now: addresses, backing, the first touch, a ring.
//!
//! Rests on the lenders of [`mappings`](crate::mappings) and [`moves`](crate::page_moves), and on the crates that make rings by mapping memory
//! twice. Memory is fresh in every turn, but where it is moved: that goes to and fro.

use super::{Case, made};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side, unmeasured};
use crate::failure::{Failure, Refused};
use crate::mappings::{Committed, Fresh, Mapping, PAGE, Reservation, Reserve};
use crate::page_moves::{Copying, Move, Regions, Remapping};
use crate::report::Row;
use crate::measurement::{Reading, Stamp};
use crate::tally;
use arenite_core::Trim;
use arenite_pages::{KeptRings, Region, ring_buffer};
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

/// What is touched.
const TOUCHED: usize = 64 << 20;
/// Its OS pages.
const PAGES: u32 = 16 << 10;
const _: () = assert!(TOUCHED == PAGES as usize * PAGE, "the units are what is touched");

fn touched<M: Fresh>(
    name: &'static str,
    side: Side,
    make: impl Fn() -> Result<M, Refused> + 'static,
) -> Contestant<'static> {
    Contestant::timed(name, side, move |turns| {
        (0..turns).try_for_each(|_| {
            make()?.touch();
            Ok(())
        })
    })
}

fn first_touch(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: PAGES, metrics: &[Metric::Cpu, Metric::Faults], rounds_of: RoundsOf::OneTurn };
    let contestants = vec![
        touched("arenite", Side::Ours, || Committed::new(TOUCHED, true)),
        touched("without huge pages", Side::Variant, || Committed::new(TOUCHED, false)),
        touched("mmap", Side::Rival, || Mapping::new(TOUCHED, false)),
        touched("mmap, populated", Side::Rival, || Mapping::new(TOUCHED, true)),
    ];
    bench.compare(case, plan, contestants)
}

/// What is committed at a time.
const STEP: usize = 64 << 10;
/// How often.
const STEPS: u32 = 256;

/// Commits `turns` reservations, which are made before and released after the measured time.
fn stepped<R: Reserve>(turns: u64) -> Result<Reading, Refused> {
    let len = STEPS as usize * STEP;
    let reserved = (0..turns).map(|_| R::reserve(len)).collect::<Result<Vec<R>, Refused>>()?;
    let reserved = black_box(reserved);
    let before = Stamp::now();
    for reserved in &reserved {
        // what a lender knows of its memory it reads at each step, as where other work lies between two
        (0..len).step_by(STEP).try_for_each(|at| black_box(reserved).commit(at, STEP))?;
    }
    Ok(before.elapsed())
}

fn commit(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: STEPS, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(4) };
    fn contestant<R: Reserve>(name: &'static str, side: Side) -> Contestant<'static> {
        Contestant::reading(name, side, |turns| {
            stepped::<R>(unmeasured(turns))?;
            stepped::<R>(turns)
        })
    }
    let contestants =
        vec![contestant::<Region>("arenite", Side::Ours), contestant::<Reservation>("mprotect", Side::Rival)];
    bench.compare(case, plan, contestants)
}

fn reserve(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn contestant<R: Reserve>(name: &'static str, side: Side) -> Contestant<'static> {
        Contestant::timed(name, side, |turns| {
            (0..turns).try_for_each(|_| R::reserve(1 << 30).map(|reserved| drop(black_box(reserved))))
        })
    }
    let contestants =
        vec![contestant::<Region>("arenite", Side::Ours), contestant::<Reservation>("mmap", Side::Rival)];
    bench.compare(case, PLAN, contestants)
}

const PLAN: Plan = Plan { units: 1, metrics: &[Metric::CpuMicros], rounds_of: RoundsOf::Time(4) };

fn moving(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn contestant(name: &'static str, side: Side, mut memory: impl Move + 'static) -> Contestant<'static> {
        Contestant::timed(name, side, move |turns| (0..turns).try_for_each(|_| memory.shift()))
    }
    let plan = Plan { rounds_of: RoundsOf::OneTurn, ..PLAN };
    let contestants = vec![
        contestant("arenite", Side::Ours, made(case, "arenite", Regions::new(TOUCHED, true))?),
        contestant(
            "without huge pages",
            Side::Variant,
            made(case, "without huge pages", Regions::new(TOUCHED, false))?,
        ),
        contestant("copy", Side::Rival, made(case, "copy", Copying::new(TOUCHED))?),
        contestant("mremap", Side::Rival, made(case, "mremap", Remapping::new(TOUCHED))?),
    ];
    bench.compare(case, plan, contestants)
}

/// The bytes of a ring.
const RING: usize = 64 << 10;

fn rings<R: 'static>(
    name: &'static str,
    side: Side,
    make: impl Fn() -> Result<R, Refused> + 'static,
    len: fn(&R) -> usize,
) -> Contestant<'static> {
    Contestant::timed(name, side, move |turns| {
        (0..turns).try_for_each(|_| {
            let ring = black_box(make()?);
            tally::lent(len(&ring));
            drop(ring);
            tally::freed();
            Ok(())
        })
    })
}

fn ring(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let contestants = vec![
        rings(
            "arenite",
            Side::Ours,
            || ring_buffer::<u8>(RING).map_err(|_| Refused),
            |(producer, _)| producer.capacity(),
        ),
        // what a ring costs that does not find the memory of the one before
        rings(
            "keeping none",
            Side::Variant,
            || {
                KeptRings.trim(0);
                ring_buffer::<u8>(RING).map_err(|_| Refused)
            },
            |(producer, _)| producer.capacity(),
        ),
        rings("magic-buffer", Side::Rival, || MagicBuffer::new(RING).map_err(|_| Refused), MagicBuffer::len),
        rings(
            "slice-ring-buffer",
            Side::Rival,
            || Ok(SliceRingBuffer::<u8>::with_capacity(RING)),
            SliceRingBuffer::capacity,
        ),
    ];
    bench.compare(case, PLAN, contestants)
}
