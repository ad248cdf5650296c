//! The suite `step`: the tensors of a training step, allocated, touched and freed repeatedly.
//!
//! A step is the work between a mark and its restoration; a heap's restoration frees block by
//! block. A warm-up step runs before each measured one, so that the delayed purge of a heap is not
//! measured.

use super::case::{Case, require};
use crate::arenas::WithMark;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::heaps::{Heap, Listed, PerHeap, with_peers};
use crate::report::Row;
use crate::sized_pools::BinnedPools;
use arenite_alloc::Arena;
use std::alloc::Layout;
use std::hint::black_box;

pub(super) const CASES: &[Case] = &[
    ("step of 16 tensors, 108 MB, the largest 22 MB", large),
    ("step of 16 tensors, 108 MB, the largest 43 MB", uneven),
    ("step of 16 tensors, 1 MB", small),
];

/// The tensors' shares of a step, in thousandths, in the order of allocation.
const SHARES: [usize; 16] = [50, 8, 200, 30, 120, 12, 70, 15, 150, 35, 5, 100, 25, 80, 40, 60];

/// Shares with one tensor above glibc's maximum `mmap` threshold (32 MiB), as the scores over a
/// large vocabulary are.
const UNEVEN: [usize; 16] = [38, 6, 400, 22, 90, 9, 52, 11, 112, 26, 4, 76, 19, 60, 30, 45];

/// Returns the layouts of a step of about `bytes`: aligned to 64, in multiples of 64.
fn layouts(bytes: usize, shares: &[usize]) -> Vec<Layout> {
    let sizes = shares.iter().map(|share| (bytes / 1000 * share).next_multiple_of(64));
    sizes.filter_map(|size| Layout::from_size_align(size, 64).ok()).collect()
}

fn steps(allocator: &mut impl WithMark, layouts: &[Layout], turns: u64) -> Result<(), AllocFailed> {
    let allocator = black_box(allocator);
    for _ in 0..turns {
        allocator.with_mark(|allocator| {
            for &layout in layouts {
                allocator.alloc_block(layout)?.touch();
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn competitor<'a, L: WithMark + 'a>(
    name: &'static str,
    side: Side,
    layouts: &'a [Layout],
    mut allocator: L,
) -> Competitor<'a> {
    Competitor::timed(name, side, move |turns| steps(&mut allocator, layouts, turns))
}

/// The heaps, each with a list of its live blocks.
struct Steps<'a>(&'a [Layout]);

impl<'a> PerHeap<'a> for Steps<'a> {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'a> {
        competitor(H::NAME, side, self.0, Listed::<H>::new())
    }
}

fn step(bench: &Bench, case: &str, layouts: &[Layout], rounds_of: RoundsOf) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::CpuMicros, Metric::PageFaults], rounds_of };
    let pools = require(case, "a pool per size", BinnedPools::new(layouts))?;
    let own = vec![
        competitor("arenite", Side::Ours, layouts, Arena::new()),
        competitor("a pool per size", Side::Variant, layouts, pools),
    ];
    bench.compare(case, plan, with_peers(own, &Steps(layouts)))
}

fn large(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    step(bench, case, &layouts(108_000_000, &SHARES), RoundsOf::OneTurn)
}

fn uneven(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    step(bench, case, &layouts(108_000_000, &UNEVEN), RoundsOf::OneTurn)
}

fn small(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    step(bench, case, &layouts(1_000_000, &SHARES), RoundsOf::Time(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_tensors_sum_to_the_bytes_in_the_case_name() {
        for (bytes, shares) in [(108_000_000, SHARES), (108_000_000, UNEVEN), (1_000_000, SHARES)] {
            let layouts = layouts(bytes, &shares);
            let sum: usize = layouts.iter().map(Layout::size).sum();
            assert!(layouts.len() == 16 && sum >= bytes && sum < bytes + 16 * 64, "{sum} for {bytes}");
        }
    }
}
