//! The suite `arena`: small blocks from a warm arena, marks, scopes; filling and sharing are in their own files.
//!
//! Rests on the lenders of [`arenas`](crate::arenas). The system's malloc frees one by one from a list, as a program without an
//! arena must.

use super::{Case, fill, shared_arena};
use crate::arenas::{Bump, BumpScopeArena, Marked, Marks, Put};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::heaps::{Listed, SystemMalloc};
use crate::report::Row;
use arenite_alloc::Arena;
use blink_alloc::{Blink, BlinkAlloc};
use std::alloc::Layout;
use std::hint::black_box;

pub(super) const CASES: &[Case] = &[
    ("64 B, layout known, reset every 100", known),
    ("64 B, layout unknown, reset every 100", unknown),
    ("[u64; 8] typed, reset every 100", typed),
    ("mark, 4 × 64 B, restore (exclusive)", marks),
    ("mark, 4 × 64 B given back, restore (shared, counted)", given_back),
    ("two nested marks, a block in each", nested),
    ("scope: enter, 64 B, leave", scopes),
    ("fresh arena, 64 MiB in 4 KiB blocks, a word each", fill::fresh),
    ("the same arena again after reset", fill::again),
    ("shared arena, 64 B, 1 thread", shared_arena::one),
    ("shared arena, 64 B, 2 threads", shared_arena::two),
    ("an arena per thread on a shared one, 64 B, 2 threads", shared_arena::fronts),
];

/// Blocks between resets.
const BATCH: u32 = 100;
const BLOCK: Layout = Layout::new::<[u64; 8]>();

const fn plan(units: u32) -> Plan {
    Plan { units, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) }
}

/// A contestant that runs `$body` on `$lender`.
macro_rules! on {
    ($name:literal, $side:ident, $lender:expr, $body:path) => {{
        let mut lender = $lender;
        Contestant::timed($name, Side::$side, move |turns| $body(&mut lender, turns))
    }};
}

fn known(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(lender: &mut impl Bump, turns: u64) -> Result<(), Refused> {
        let lender = black_box(lender);
        for _ in 0..turns {
            for _ in 0..BATCH {
                lender.take(BLOCK)?.keep();
            }
            lender.reset();
        }
        Ok(())
    }
    let contestants = vec![
        on!("arenite", Ours, Arena::new(), body),
        on!("bumpalo", Rival, bumpalo::Bump::new(), body),
        on!("bump-scope", Rival, BumpScopeArena::new(), body),
        on!("blink-alloc", Rival, BlinkAlloc::new(), body),
        on!("system", Rival, Listed::<SystemMalloc>::new(), body),
    ];
    bench.compare(case, plan(BATCH), contestants)
}

fn unknown(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(lender: &mut impl Bump, turns: u64) -> Result<(), Refused> {
        let lender = black_box(lender);
        for _ in 0..turns {
            let layout = black_box(BLOCK);
            for _ in 0..BATCH {
                lender.take(layout)?.keep();
            }
            lender.reset();
        }
        Ok(())
    }
    let contestants = vec![
        on!("arenite", Ours, Arena::new(), body),
        on!("bumpalo", Rival, bumpalo::Bump::new(), body),
        on!("bump-scope", Rival, BumpScopeArena::new(), body),
        on!("blink-alloc", Rival, BlinkAlloc::new(), body),
        on!("system", Rival, Listed::<SystemMalloc>::new(), body),
    ];
    bench.compare(case, plan(BATCH), contestants)
}

fn typed(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(lender: &mut impl Put, turns: u64) -> Result<(), Refused> {
        let lender = black_box(lender);
        let value = black_box([1u64; 8]);
        for _ in 0..turns {
            for _ in 0..BATCH {
                black_box(lender.put(value)?);
            }
            lender.reset();
        }
        Ok(())
    }
    let contestants = vec![
        on!("arenite", Ours, Arena::new(), body),
        on!("bumpalo", Rival, bumpalo::Bump::new(), body),
        on!("bump-scope", Rival, BumpScopeArena::new(), body),
        on!("blink-alloc", Rival, Blink::new(), body),
        on!("system", Rival, Listed::<SystemMalloc>::new(), body),
    ];
    bench.compare(case, plan(BATCH), contestants)
}

/// Puts a block under the marks, as in a program whose weights lie there.
fn grounded<L: Marked>(case: &str, name: &'static str, lender: L) -> Result<L, Failure> {
    super::made(case, name, lender.take(BLOCK).map(|block| block.keep()))?;
    Ok(lender)
}

fn marks(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(lender: &mut impl Marked, turns: u64) -> Result<(), Refused> {
        let lender = black_box(lender);
        for _ in 0..turns {
            lender.marked(|lender| {
                for _ in 0..4 {
                    lender.take(BLOCK)?.keep();
                }
                Ok(())
            })?;
        }
        Ok(())
    }
    let contestants = vec![
        on!("arenite", Ours, grounded(case, "arenite", Arena::new())?, body),
        on!("bump-scope", Rival, grounded(case, "bump-scope", BumpScopeArena::new())?, body),
        on!("system", Rival, grounded(case, "system", Listed::<SystemMalloc>::new())?, body),
    ];
    bench.compare(case, plan(1), contestants)
}

fn given_back(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(lender: &mut impl Marks, turns: u64) -> Result<(), Refused> {
        let lender = black_box(lender);
        (0..turns).try_for_each(|_| lender.given_back(BLOCK))
    }
    let contestants = vec![
        on!("arenite", Ours, grounded(case, "arenite", Arena::new())?, body),
        on!("bump-scope", Rival, grounded(case, "bump-scope", BumpScopeArena::new())?, body),
    ];
    bench.compare(case, plan(1), contestants)
}

fn nested(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(lender: &mut impl Marks, turns: u64) -> Result<(), Refused> {
        let lender = black_box(lender);
        (0..turns).try_for_each(|_| lender.nested(BLOCK))
    }
    let contestants = vec![
        on!("arenite", Ours, grounded(case, "arenite", Arena::new())?, body),
        on!("bump-scope", Rival, grounded(case, "bump-scope", BumpScopeArena::new())?, body),
    ];
    bench.compare(case, plan(1), contestants)
}

fn scopes(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    fn body(lender: &mut impl Marks, turns: u64) -> Result<(), Refused> {
        let lender = black_box(lender);
        (0..turns).try_for_each(|_| lender.scope(BLOCK))
    }
    let contestants = vec![
        on!("arenite", Ours, grounded(case, "arenite", Arena::new())?, body),
        on!("bump-scope", Rival, grounded(case, "bump-scope", BumpScopeArena::new())?, body),
    ];
    bench.compare(case, plan(1), contestants)
}
