//! The suites: lists of cases; a case is a body, a list of competitors and a plan.

mod arena;
mod case;
mod fill;
mod heap;
mod pages;
mod pool;
mod pools;
mod resident;
mod ring;
mod ring_alone;
mod sequence;
mod shared_arena;
mod step;

use crate::bench::Bench;
use crate::failure::Failure;
use crate::machine::Machine;
use crate::report::{Report, Row};
use case::Case;
use std::fmt;

/// All suites.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "arena",
        about: "arenas against bumpalo, bump-scope, blink-alloc, system malloc",
        cases: arena::CASES,
    },
    Suite {
        name: "pool",
        about: "pools against slab, system malloc, mimalloc, jemalloc, snmalloc",
        cases: pool::CASES,
    },
    Suite {
        name: "pools",
        about: "stratified pools, contexts, memory pools and budgets, against system malloc, mimalloc, jemalloc, snmalloc, rpmalloc",
        cases: pools::CASES,
    },
    Suite {
        name: "heap",
        about: "arenite's heap against system malloc, mimalloc, jemalloc, snmalloc, rpmalloc",
        cases: heap::CASES,
    },
    Suite {
        name: "step",
        about: "a training step's tensors, in an arena and in heaps, with page faults",
        cases: step::CASES,
    },
    Suite {
        name: "pages",
        about: "address space, backing, first touches and rings from the kernel, against its own calls and two crates",
        cases: pages::CASES,
    },
    Suite {
        name: "ring",
        about: "rings of one producer and one consumer, on two threads and on one, against rtrb, ringbuf, crossbeam",
        cases: ring::CASES,
    },
];

/// A list of cases.
#[derive(Clone, Copy)]
pub struct Suite {
    /// Name on the command line.
    pub name: &'static str,
    /// Description of the comparison.
    pub about: &'static str,
    cases: &'static [Case],
}

impl Suite {
    /// Returns the suite of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SUITES.iter().find(|suite| suite.name == name)
    }

    /// Returns the number of cases.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.cases.len()
    }

    /// Returns whether the suite has no case.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Returns the names of the cases, in order.
    pub fn cases(&self) -> impl Iterator<Item = &'static str> {
        self.cases.iter().map(|(name, _)| *name)
    }

    /// Runs case `index` in this process. Returns a row per metric, or none if there is no such
    /// case.
    ///
    /// # Errors
    /// The [`Failure`] of the case.
    pub fn run_case(&self, index: usize, bench: &Bench) -> Result<Vec<Row>, Failure> {
        self.cases.get(index).map_or(Ok(Vec::new()), |(name, case)| case(bench, name))
    }

    /// Runs every case in this process, in order.
    ///
    /// # Errors
    /// The [`Failure`] of the first case that fails.
    pub fn run(&self, bench: &Bench) -> Result<Report, Failure> {
        let rows: Result<Vec<Vec<Row>>, Failure> =
            (0..self.len()).map(|index| self.run_case(index, bench)).collect();
        Ok(self.report(rows?.concat()))
    }

    /// Builds a report of rows that were measured by this build on this machine.
    pub(crate) fn report(&self, rows: Vec<Row>) -> Report {
        Report { suite: self.name.to_owned(), machine: Machine::this(), rows }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Suite")
            .field("name", &self.name)
            .field("cases", &self.cases.len())
            .finish_non_exhaustive()
    }
}
