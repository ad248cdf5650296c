//! Random operations on a resource, against a naive model.
//!
//! Rests on `proptest` for the operations and on [`Lent`] as the model: a list of blocks with their contents. Whatever the
//! resource does, the list knows what must be there.

use crate::Lent;
use crate::laws::Traits;
use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// One step. `at` chooses a block: its remainder by the number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Take a block.
    Allocate(Layout),
    /// Take a zeroed block.
    Zeroed(Layout),
    /// Grow or shrink a block.
    Resize {
        /// Which.
        at: usize,
        /// To what size, in bytes.
        size: usize,
    },
    /// Give a block back.
    Deallocate {
        /// Which.
        at: usize,
    },
    /// Give the newest block back.
    DeallocateNewest,
}

/// Layouts that a resource of these traits serves: small sizes mostly, also none and the largest.
pub fn layouts(traits: &Traits) -> impl Strategy<Value = Layout> + use<> {
    let (max_size, max_align) = (traits.max_size, traits.max_align.min(4096));
    let size = prop_oneof![
        6 => 0..=max_size.min(200),
        2 => 0..=max_size.min(5000),
        1 => 0..=max_size.min(70_000),
    ];
    let align = (0..=max_align.ilog2()).prop_map(|shift| 1usize << shift);
    (size, align).prop_filter_map("no such layout", |(size, align)| Layout::from_size_align(size, align).ok())
}

/// Up to 60 operations.
pub fn operations(traits: &Traits) -> impl Strategy<Value = Vec<Operation>> + use<> {
    let max_size = traits.max_size;
    let one = prop_oneof![
        4 => layouts(traits).prop_map(Operation::Allocate),
        1 => layouts(traits).prop_map(Operation::Zeroed),
        2 => (any::<usize>(), 0..=max_size.min(3000)).prop_map(|(at, size)| Operation::Resize { at, size }),
        2 => any::<usize>().prop_map(|at| Operation::Deallocate { at }),
        1 => Just(Operation::DeallocateNewest),
    ];
    proptest::collection::vec(one, 1..60)
}

/// Does the operations, looks at every block after each, compares the counts, and gives all back.
///
/// # Panics
/// If a block or a count is not what the model says.
pub fn follow(resource: &dyn Resource, operations: &[Operation], traits: &Traits) {
    let start = resource.state();
    let mut lent = Lent::default();
    for &operation in operations {
        step(resource, &mut lent, operation, traits).unwrap_or_else(|error| panic!("{operation:?}: {error}"));
        lent.verify();
        let state = resource.state();
        crate::laws::coherent(&state);
        if traits.own_counts {
            assert_eq!(state.live_blocks, start.live_blocks + lent.len(), "after {operation:?}");
            assert!(state.in_use >= lent.bytes(), "after {operation:?}: {state}");
        }
    }
    lent.give_all(resource);
    let end = resource.state();
    if traits.own_counts {
        assert_eq!(end.live_blocks, start.live_blocks, "all is given back");
        assert!(!traits.frees_each || end.in_use == start.in_use, "all is given back: {end}");
    }
}

fn step(
    resource: &dyn Resource,
    lent: &mut Lent,
    operation: Operation,
    traits: &Traits,
) -> Result<(), AllocError> {
    match operation {
        Operation::Allocate(layout) if lent.len() < traits.max_live => lent.take(resource, layout)?,
        Operation::Zeroed(layout) if lent.len() < traits.max_live => lent.take_zeroed(resource, layout)?,
        Operation::Resize { at, size } if !lent.is_empty() => {
            let index = at % lent.len();
            let layout = AllocError::layout(size, lent.layout(index).align())?;
            let _moved: bool = lent.resize(resource, index, layout)?;
        }
        Operation::Deallocate { at } if !lent.is_empty() => lent.give(resource, at % lent.len()),
        Operation::DeallocateNewest if !lent.is_empty() => lent.give(resource, lent.len() - 1),
        _ => {}
    }
    Ok(())
}

/// Runs `body` over random operations, fewer than usual because each of them looks at every byte.
///
/// # Panics
/// If `body` does; the message has the shortest operations for which it does.
pub fn check(traits: &Traits, body: impl Fn(&[Operation])) {
    run(&operations(traits), 96, |operations| body(&operations));
}

/// Runs `body` over `cases` values of `strategy`.
///
/// # Panics
/// If `body` does; the message has the smallest value for which it does.
pub fn run<S: Strategy>(strategy: &S, cases: u32, body: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |value| {
        body(value);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
