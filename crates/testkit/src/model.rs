//! Random operations on a resource, compared with a naive model.
//!
//! `proptest` generates the operations; [`LiveBlocks`], a list of blocks and their contents, is
//! the model.

use crate::LiveBlocks;
use crate::laws::Traits;
use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// One step; `at` modulo the number of live blocks chooses a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Allocate a block.
    Allocate(Layout),
    /// Allocate a zeroed block.
    Zeroed(Layout),
    /// Grow or shrink a block.
    Resize {
        /// The index of the block, modulo the number of live blocks.
        at: usize,
        /// The new size in bytes.
        size: usize,
    },
    /// Free a block.
    Deallocate {
        /// The index of the block, modulo the number of live blocks.
        at: usize,
    },
    /// Free the newest block.
    DeallocateNewest,
}

/// Returns layouts that a resource of these traits serves: mostly small, some empty, some of the
/// largest size.
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

/// Returns sequences of up to 60 operations.
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

/// Runs the operations, checks every block and the counts after each, and frees all blocks.
///
/// # Panics
/// If a block or a count differs from the model.
pub fn follow(resource: &dyn Resource, operations: &[Operation], traits: &Traits) {
    let start = resource.state();
    let mut live = LiveBlocks::default();
    for &operation in operations {
        step(resource, &mut live, operation, traits).unwrap_or_else(|error| panic!("{operation:?}: {error}"));
        live.verify();
        let state = resource.state();
        crate::laws::assert_coherent(&state);
        if traits.own_counts {
            assert_eq!(state.live_blocks, start.live_blocks + live.len(), "after {operation:?}");
            assert!(state.in_use >= live.bytes(), "after {operation:?}: {state}");
        }
    }
    live.deallocate_all(resource);
    let end = resource.state();
    if traits.own_counts {
        assert_eq!(end.live_blocks, start.live_blocks, "after freeing all");
        assert!(!traits.frees_each || end.in_use == start.in_use, "after freeing all: {end}");
    }
}

fn step(
    resource: &dyn Resource,
    live: &mut LiveBlocks,
    operation: Operation,
    traits: &Traits,
) -> Result<(), AllocError> {
    match operation {
        Operation::Allocate(layout) if live.len() < traits.max_live => live.allocate(resource, layout)?,
        Operation::Zeroed(layout) if live.len() < traits.max_live => {
            live.allocate_zeroed(resource, layout)?
        }
        Operation::Resize { at, size } if !live.is_empty() => {
            let index = at % live.len();
            let layout = arenite_core::layout(size, live.layout(index).align())?;
            let _moved: bool = live.resize(resource, index, layout)?;
        }
        Operation::Deallocate { at } if !live.is_empty() => live.deallocate(resource, at % live.len()),
        Operation::DeallocateNewest if !live.is_empty() => live.deallocate(resource, live.len() - 1),
        _ => {}
    }
    Ok(())
}

/// Runs `body` over 96 random sequences; fewer than proptest's default, because each step checks
/// every byte.
///
/// # Panics
/// If `body` panics; the message has the shortest failing sequence.
pub fn check(traits: &Traits, body: impl Fn(&[Operation])) {
    run(&operations(traits), 96, |operations| body(&operations));
}

/// Runs `body` over `cases` values of `strategy`.
///
/// # Panics
/// If `body` panics; the message has the smallest failing value.
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
