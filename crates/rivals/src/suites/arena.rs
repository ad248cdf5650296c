//! The suite `arena`: small blocks of a warm arena, marks and scopes; `fill` and `shared_arena`
//! have the other cases.
//!
//! The system's malloc frees its blocks one by one from a list, as a program without an arena
//! does.

use super::case::{Case, require};
use super::{fill, shared_arena};
use crate::arenas::{AllocValue, Bump, BumpScopeArena, NestedMarks, WithMark};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::heaps::{Listed, SystemMalloc};
use crate::report::Row;
use arenite_alloc::Arena;
use blink_alloc::{Blink, BlinkAlloc};
use std::alloc::Layout;
use std::hint::black_box;

pub(super) const CASES: &[Case] = &[
    ("64 B, layout known, reset every 100", known_layout),
    ("64 B, layout unknown, reset every 100", unknown_layout),
    ("[u64; 8] typed, reset every 100", typed),
    ("mark, 4 × 64 B, restore (exclusive)", marks),
    ("mark, 4 × 64 B given back, restore (shared, counted)", freed_then_restored),
    ("two nested marks, a block in each", nested_marks),
    ("scope: enter, 64 B, leave", scopes),
    ("fresh arena, 64 MiB in 4 KiB blocks, a word each", fill::fresh),
    ("the same arena again after reset", fill::again),
    ("shared arena, 64 B, 1 thread", shared_arena::one),
    ("shared arena, 64 B, 2 threads", shared_arena::two),
    ("an arena per thread on a shared one, 64 B, 2 threads", shared_arena::fronts),
];

/// Number of blocks between resets.
const BATCH: u32 = 100;
const BLOCK: Layout = Layout::new::<[u64; 8]>();

const fn plan(units: u32) -> Plan {
    Plan { units, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) }
}

/// Creates a competitor that runs `$body` on `$allocator`.
macro_rules! on {
    ($name:literal, $side:ident, $allocator:expr, $body:path) => {{
        let mut allocator = $allocator;
        Competitor::timed($name, Side::$side, move |turns| $body(&mut allocator, turns))
    }};
}

/// Creates the competitors of all arenas; `$blink` is the type that blink-alloc uses for `$body`.
macro_rules! arenas {
    ($body:path, $blink:ty) => {
        vec![
            on!("arenite", Ours, Arena::new(), $body),
            on!("bumpalo", Rival, bumpalo::Bump::new(), $body),
            on!("bump-scope", Rival, BumpScopeArena::new(), $body),
            on!("blink-alloc", Rival, <$blink>::new(), $body),
            on!("system", Rival, Listed::<SystemMalloc>::new(), $body),
        ]
    };
}

/// Creates the competitors of the arenas that have marks.
macro_rules! marked_arenas {
    ($case:ident, $body:path) => {
        vec![
            on!("arenite", Ours, with_base_block($case, "arenite", Arena::new())?, $body),
            on!("bump-scope", Rival, with_base_block($case, "bump-scope", BumpScopeArena::new())?, $body),
        ]
    };
}

fn known_layout(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(allocator: &mut impl Bump, turns: u64) -> Result<(), AllocFailed> {
        let allocator = black_box(allocator);
        for _ in 0..turns {
            for _ in 0..BATCH {
                allocator.alloc_block(BLOCK)?.keep();
            }
            allocator.reset();
        }
        Ok(())
    }
    bench.compare(case, plan(BATCH), arenas!(body, BlinkAlloc))
}

fn unknown_layout(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(allocator: &mut impl Bump, turns: u64) -> Result<(), AllocFailed> {
        let allocator = black_box(allocator);
        for _ in 0..turns {
            let layout = black_box(BLOCK);
            for _ in 0..BATCH {
                allocator.alloc_block(layout)?.keep();
            }
            allocator.reset();
        }
        Ok(())
    }
    bench.compare(case, plan(BATCH), arenas!(body, BlinkAlloc))
}

fn typed(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(allocator: &mut impl AllocValue, turns: u64) -> Result<(), AllocFailed> {
        let allocator = black_box(allocator);
        let value = black_box([1u64; 8]);
        for _ in 0..turns {
            for _ in 0..BATCH {
                black_box(allocator.alloc_value(value)?);
            }
            allocator.reset();
        }
        Ok(())
    }
    bench.compare(case, plan(BATCH), arenas!(body, Blink))
}

/// Allocates a block below the marks, as in a program whose weights are there.
fn with_base_block<L: WithMark>(case: &str, name: &'static str, allocator: L) -> Result<L, Failure> {
    require(case, name, allocator.alloc_block(BLOCK).map(|block| block.keep()))?;
    Ok(allocator)
}

fn marks(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(allocator: &mut impl WithMark, turns: u64) -> Result<(), AllocFailed> {
        let allocator = black_box(allocator);
        for _ in 0..turns {
            allocator.with_mark(|allocator| {
                for _ in 0..4 {
                    allocator.alloc_block(BLOCK)?.keep();
                }
                Ok(())
            })?;
        }
        Ok(())
    }
    let mut competitors = marked_arenas!(case, body);
    competitors.push(on!(
        "system",
        Rival,
        with_base_block(case, "system", Listed::<SystemMalloc>::new())?,
        body
    ));
    bench.compare(case, plan(1), competitors)
}

fn freed_then_restored(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(allocator: &mut impl NestedMarks, turns: u64) -> Result<(), AllocFailed> {
        let allocator = black_box(allocator);
        (0..turns).try_for_each(|_| allocator.free_then_restore(BLOCK))
    }
    bench.compare(case, plan(1), marked_arenas!(case, body))
}

fn nested_marks(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(allocator: &mut impl NestedMarks, turns: u64) -> Result<(), AllocFailed> {
        let allocator = black_box(allocator);
        (0..turns).try_for_each(|_| allocator.nested_marks(BLOCK))
    }
    bench.compare(case, plan(1), marked_arenas!(case, body))
}

fn scopes(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(allocator: &mut impl NestedMarks, turns: u64) -> Result<(), AllocFailed> {
        let allocator = black_box(allocator);
        (0..turns).try_for_each(|_| allocator.scope(BLOCK))
    }
    bench.compare(case, plan(1), marked_arenas!(case, body))
}
