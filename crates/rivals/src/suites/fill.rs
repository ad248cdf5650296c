//! Filling an arena: 64 MiB in blocks of 4 KiB, the first word of each written.
//!
//! Rests on the lenders of [`arenas`](crate::arenas). A fresh arena is made, filled and dropped in each round; nobody is told how much will
//! be asked. Page faults have rows of their own, as they are what the time goes to, and as a malloc that kept an earlier
//! round's memory shows there.

use crate::arenas::{Bump, BumpScopeArena, Take};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::report::Row;
use arenite_alloc::{Arena, ArenaOptions, HugePages};
use blink_alloc::BlinkAlloc;
use std::alloc::Layout;
use std::hint::black_box;

const BLOCK: Layout = Layout::new::<[u64; 512]>();
/// 64 MiB.
const BLOCKS: u32 = 16 << 10;
const PLAN: Plan =
    Plan { units: BLOCKS, metrics: &[Metric::Cpu, Metric::Faults], rounds_of: RoundsOf::OneTurn };

fn fill(lender: &impl Take) -> Result<(), Refused> {
    let lender = black_box(lender);
    for _ in 0..BLOCKS {
        let mut block = lender.take(BLOCK)?;
        block.write_word(0, 1);
        block.keep();
    }
    Ok(())
}

fn ours(huge: HugePages) -> Arena {
    ArenaOptions::new().huge_pages(huge).build()
}

/// Makes, fills and drops an arena each turn.
fn renewed<'a, L: Take>(name: &'static str, side: Side, make: impl Fn() -> L + 'a) -> Contestant<'a> {
    Contestant::timed(name, side, move |turns| (0..turns).try_for_each(|_| fill(&make())))
}

/// Fills and resets one arena each turn.
fn reused<'a, L: Bump + 'a>(name: &'static str, side: Side, mut lender: L) -> Contestant<'a> {
    Contestant::timed(name, side, move |turns| {
        (0..turns).try_for_each(|_| {
            let filled = fill(&lender);
            lender.reset();
            filled
        })
    })
}

pub(super) fn fresh(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let contestants = vec![
        renewed("arenite", Side::Ours, Arena::new),
        renewed("huge pages always", Side::Variant, || ours(HugePages::Always)),
        renewed("huge pages never", Side::Variant, || ours(HugePages::Never)),
        renewed("bumpalo", Side::Rival, bumpalo::Bump::new),
        renewed("bump-scope", Side::Rival, BumpScopeArena::new),
        renewed("blink-alloc", Side::Rival, BlinkAlloc::new),
    ];
    bench.compare(case, PLAN, contestants)
}

pub(super) fn again(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let contestants = vec![
        reused("arenite", Side::Ours, Arena::new()),
        reused("huge pages always", Side::Variant, ours(HugePages::Always)),
        reused("huge pages never", Side::Variant, ours(HugePages::Never)),
        reused("bumpalo", Side::Rival, bumpalo::Bump::new()),
        reused("bump-scope", Side::Rival, BumpScopeArena::new()),
        reused("blink-alloc", Side::Rival, BlinkAlloc::new()),
    ];
    bench.compare(case, PLAN, contestants)
}
