//! Filling an arena: 64 MiB in blocks of 4 KiB, the first word of each written.
//!
//! A fresh arena is created, filled and dropped in each round, without a size hint. Page faults
//! have rows of their own: they take most of the time, and they show a malloc that holds the
//! memory of an earlier round.

use crate::arenas::{AllocBlock, Bump, BumpScopeArena};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::report::Row;
use arenite_alloc::{Arena, ArenaOptions, HugePages};
use blink_alloc::BlinkAlloc;
use std::alloc::Layout;
use std::hint::black_box;

const BLOCK: Layout = Layout::new::<[u64; 512]>();
/// Number of blocks: 64 MiB.
const BLOCKS: u32 = 16 << 10;
const PLAN: Plan =
    Plan { units: BLOCKS, metrics: &[Metric::Cpu, Metric::PageFaults], rounds_of: RoundsOf::OneTurn };

fn fill(allocator: &impl AllocBlock) -> Result<(), AllocFailed> {
    let allocator = black_box(allocator);
    for _ in 0..BLOCKS {
        let mut block = allocator.alloc_block(BLOCK)?;
        block.write_word(0, 1);
        block.keep();
    }
    Ok(())
}

fn ours(huge: HugePages) -> Arena {
    ArenaOptions::new().with_huge_pages(huge).build()
}

/// Creates a competitor that creates, fills and drops an arena each turn.
fn renewed<'a, L: AllocBlock>(name: &'static str, side: Side, make: impl Fn() -> L + 'a) -> Competitor<'a> {
    Competitor::timed(name, side, move |turns| (0..turns).try_for_each(|_| fill(&make())))
}

/// Creates a competitor that fills and resets one arena each turn.
fn reused<'a, L: Bump + 'a>(name: &'static str, side: Side, mut allocator: L) -> Competitor<'a> {
    Competitor::timed(name, side, move |turns| {
        (0..turns).try_for_each(|_| {
            let filled = fill(&allocator);
            allocator.reset();
            filled
        })
    })
}

pub(super) fn fresh(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let competitors = vec![
        renewed("arenite", Side::Ours, Arena::new),
        renewed("huge pages always", Side::Variant, || ours(HugePages::Always)),
        renewed("huge pages never", Side::Variant, || ours(HugePages::Never)),
        renewed("bumpalo", Side::Rival, bumpalo::Bump::new),
        renewed("bump-scope", Side::Rival, BumpScopeArena::new),
        renewed("blink-alloc", Side::Rival, BlinkAlloc::new),
    ];
    bench.compare(case, PLAN, competitors)
}

pub(super) fn again(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let competitors = vec![
        reused("arenite", Side::Ours, Arena::new()),
        reused("huge pages always", Side::Variant, ours(HugePages::Always)),
        reused("huge pages never", Side::Variant, ours(HugePages::Never)),
        reused("bumpalo", Side::Rival, bumpalo::Bump::new()),
        reused("bump-scope", Side::Rival, BumpScopeArena::new()),
        reused("blink-alloc", Side::Rival, BlinkAlloc::new()),
    ];
    bench.compare(case, PLAN, competitors)
}
