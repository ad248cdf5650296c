//! The suite `step`: the tensors of a training step, allocated, touched and freed again and again.
//!
//! Rests on [`Marked`]: a step is what happens between a mark and its restoration, and a heap's restoration frees block by block.
//! A step runs unmeasured before each measured one, so that a heap that purges after a time unused is not measured
//! by its purge.

use super::{Case, made};
use crate::arenas::Marked;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::heaps::{ForHeap, Heap, Listed, each};
use crate::report::Row;
use crate::sized_pools::SizedPools;
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

/// The same with one that is larger than what glibc will ever keep (32 MiB), as the scores over a large vocabulary are.
const UNEVEN: [usize; 16] = [38, 6, 400, 22, 90, 9, 52, 11, 112, 26, 4, 76, 19, 60, 30, 45];

/// The layouts of a step of about `bytes`: aligned to 64, in whole multiples of 64.
fn layouts(bytes: usize, shares: &[usize]) -> Vec<Layout> {
    let sizes = shares.iter().map(|share| (bytes / 1000 * share).next_multiple_of(64));
    sizes.filter_map(|size| Layout::from_size_align(size, 64).ok()).collect()
}

fn steps(lender: &mut impl Marked, layouts: &[Layout], turns: u64) -> Result<(), Refused> {
    let lender = black_box(lender);
    for _ in 0..turns {
        lender.marked(|lender| {
            for &layout in layouts {
                lender.take(layout)?.touch();
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn contestant<'a, L: Marked + 'a>(
    name: &'static str,
    side: Side,
    layouts: &'a [Layout],
    mut lender: L,
) -> Contestant<'a> {
    Contestant::timed(name, side, move |turns| steps(&mut lender, layouts, turns))
}

/// The contestants, filled heap by heap.
struct Field<'a> {
    layouts: &'a [Layout],
    contestants: Vec<Contestant<'a>>,
}

impl ForHeap for Field<'_> {
    fn visit<H: Heap>(&mut self) {
        self.contestants.push(contestant(H::NAME, Side::Rival, self.layouts, Listed::<H>::new()));
    }
}

fn step(bench: &Bench, case: &str, layouts: &[Layout], rounds_of: RoundsOf) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::CpuMicros, Metric::Faults], rounds_of };
    let pools = made(case, "a pool per size", SizedPools::new(layouts))?;
    let mut field = Field {
        layouts,
        contestants: vec![
            contestant("arenite", Side::Ours, layouts, Arena::new()),
            contestant("a pool per size", Side::Variant, layouts, pools),
        ],
    };
    each(&mut field);
    bench.compare(case, plan, field.contestants)
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
