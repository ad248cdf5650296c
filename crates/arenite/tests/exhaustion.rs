//! Injected failures at every allocation: each failure is a typed error with its numbers, and
//! nothing leaks.
//!
//! A scenario runs repeatedly with `Failing` as its upstream; the n-th run fails the n-th request.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use allocator_api2::vec::Vec as AVec;
use arenite::alloc::{Chunked, Failing, Locked};
use arenite::prelude::*;

/// Runs a program with arrays, typed values, growing containers, resized blocks and zeroed memory.
fn program<R: Resource + allocator_api2::alloc::Allocator>(memory: &R) -> Result<f64, ArrayError> {
    let weights = Array::<f64>::with_allocator(memory).ones([8, 8])?;
    let product = weights.matmul(&weights)?;
    let mut block = Block::new_in(layout(100, 64)?, memory)?;
    block.resize(1000)?;
    block.resize(10)?;
    let zeroed = Block::zeroed_in(layout(300, 8)?, memory)?;
    let mut list = AVec::new_in(memory);
    for value in 0..100u64 {
        // The error of a container has no numbers, so this one replaces it.
        if list.try_reserve(1).is_err() {
            return Err(memory_error(memory).into());
        }
        list.push(value);
    }
    assert_eq!(zeroed.len(), 300);
    Ok(product.sum() + list.iter().sum::<u64>() as f64)
}

/// Returns the error that replaces a container's own.
fn memory_error<R: Resource>(memory: &R) -> AllocError {
    AllocError::new(AllocErrorKind::Injected, layout(8, 8).unwrap(), memory.state(), Label::new("container"))
}

/// Runs `run` with each upstream request failed in turn, and checks the errors.
fn survives(run: impl Fn(Failing<&CountedGlobal>) -> Result<f64, ArrayError>) {
    let mut failures = 0;
    for attempt in 0.. {
        let system = CountedGlobal::new();
        match run(Failing::fail_nth(&system, attempt)) {
            Ok(sum) => {
                assert_eq!(sum, 512.0 + 4950.0);
                assert_eq!(system.state().live_blocks, 0, "a block leaked");
                break;
            }
            Err(ArrayError::Alloc(error)) => {
                if error.label.as_str() != "container" {
                    failures += 1;
                    assert_eq!(error.kind, AllocErrorKind::Injected, "{error}");
                }
                assert!(error.size > 0 && error.align > 0 && !error.label.is_empty(), "{error}");
                assert!(error.state.held >= error.state.in_use, "{error}");
                let text = error.to_string();
                assert!(text.contains(&format!("in use {}", Bytes(error.state.in_use))), "{text}");
                assert!(
                    text.contains(&format!("requested {} (align {})", Bytes(error.size), error.align)),
                    "{text}"
                );
            }
            Err(error) => panic!("unexpected error: {error}"),
        }
        assert_eq!((system.state().live_blocks, system.state().in_use), (0, 0), "attempt {attempt} leaked");
        assert!(attempt < 1000, "never succeeded");
    }
    assert!(failures > 0, "no resource reported a failure");
}

#[test]
fn a07_chunked_arena_survives_every_failed_request() {
    survives(|upstream| program(&Arena::with_chunk_size(upstream, 256)));
    survives(|upstream| program(&Arena::with_chunk_size(upstream, 1 << 20)));
}

#[test]
fn u33_locked_arena_survives_every_failed_request() {
    survives(|upstream| program(&Locked::new(Arena::with_chunk_size(upstream, 512))));
}

#[test]
fn a15_pools_survive_every_failed_request() {
    survives(|upstream| program(&Pool::new_in(upstream, 8192, 16)?));
    survives(|upstream| program(&SharedPool::new_in(upstream, 8192, 16)?));
}

/// Runs a program with the typed calls of an arena.
fn typed<R: Resource>(upstream: R) -> Result<f64, ArrayError> {
    let mut arena = Arena::with_chunk_size(upstream, 64);
    let mark = arena.mark()?;
    let text = arena.alloc_str("typed blocks")?.len();
    let sum: u64 = arena.alloc_slice_copy(&[1u64; 40])?.iter().sum();
    let filled = arena.alloc_slice_fill_with(30, |at| vec![at])?;
    assert_eq!(filled[29], [29]);
    drop(filled);
    assert_eq!(arena.alloc_bytes(500)?.len(), 500);
    let adopted = arena.alloc_with_drop(vec![5u8; 50])?.len();
    let boxed = *arena.alloc(7u64)?;
    arena.restore_mut(mark).unwrap();
    assert_eq!((text, sum, adopted, boxed), (12, 40, 50, 7));
    Ok(512.0 + 4950.0)
}

#[test]
fn a07_typed_blocks_survive_every_failed_request() {
    survives(|upstream| typed(upstream));
}

#[test]
fn u01_checked_api_survives_every_failed_request() {
    survives(|upstream| {
        let allocator: &dyn MemoryAllocator<Error = AllocError> = &Checked::new(upstream);
        let first = allocator.allocate(100, 64)?;
        // After a failure the old block is live and can be freed.
        let moved = allocator.reallocate(first, 100, 10_000, 64).or_else(|error| {
            assert_eq!(allocator.allocated_size(), 100);
            allocator.deallocate(first, 100, 64).and(Err(error))
        })?;
        allocator.deallocate(moved, 10_000, 64)?;
        assert_eq!(allocator.allocated_size(), 0);
        Ok(512.0 + 4950.0)
    });
}

#[test]
fn map_in_blocks_longer_than_requested_returns_to_zero() {
    // A container may free a block with any size up to the returned length.
    fn fill<R: Resource + allocator_api2::alloc::Allocator + Copy>(memory: R) {
        let mut map = hashbrown::HashMap::with_hasher_in(std::hash::RandomState::new(), memory);
        for key in 0..100u32 {
            map.insert(key, key);
        }
        assert_eq!(map.len(), 100);
    }
    let tracker = MemoryTracker::new();
    let pool = Traced::new(Limit::new(Pool::new(16384, 8).unwrap(), 1 << 20), &tracker, "map");
    fill(&pool);
    assert_eq!((pool.state().in_use, pool.state().live_blocks, tracker.current_usage()), (0, 0, 0));
    let pages = Limit::new(PageAllocator::new(), 1 << 20);
    fill(&pages);
    assert_eq!((pages.state().in_use, pages.state().live_blocks), (0, 0));
}

#[test]
fn stacked_adaptors_survive_every_failed_request() {
    survives(|upstream| {
        let tracker = MemoryTracker::new();
        let limited = Limit::new(Arena::with_chunk_size(upstream, 512), 1 << 20).with_label("tower");
        let tower = Traced::new(Aligned::new(limited, Alignment::DEFAULT), &tracker, "tower");
        let result = program(&tower);
        assert_eq!(tracker.current_usage(), 0);
        result
    });
}

#[test]
fn program_survives_every_failed_request() {
    survives(|upstream| program(&upstream));
    // With a second resource to fall back on, no request fails.
    let system = CountedGlobal::new();
    for attempt in 0..20 {
        let pool = Pool::new(8192, 32).unwrap();
        let fallback = Fallback::new(pool, Failing::fail_nth(&system, attempt));
        assert_eq!(program(&fallback).unwrap(), 512.0 + 4950.0);
    }
}

#[test]
fn a12_bounded_arena_fails_at_every_capacity_below_the_peak() {
    let unbounded = Arena::new();
    program(&unbounded).unwrap();
    let needed = unbounded.state().peak;
    for capacity in (1..needed).step_by(61) {
        let arena = ArenaOptions::new().with_capacity(capacity).with_label("bounded").build();
        let Err(ArrayError::Alloc(error)) = program(&arena) else {
            panic!("{capacity} of {needed} was enough")
        };
        if error.label.as_str() == "bounded" {
            assert_eq!(error.kind, AllocErrorKind::CapacityReached, "{error}");
            assert_eq!(error.state.limit, Some(capacity), "{error}");
        }
        assert_eq!(arena.state().live_blocks, 0);
    }
    assert!(program(&ArenaOptions::new().with_capacity(needed).build()).is_ok());
}

#[test]
fn a12_failed_system_calls_are_errors() {
    for arena in [Arena::with_capacity(1 << 62), Arena::with_capacity(isize::MAX.unsigned_abs())] {
        let error = arena.alloc(1u8).unwrap_err();
        assert!(
            matches!(error.kind, AllocErrorKind::Exhausted { .. } | AllocErrorKind::BadLayout),
            "{error}"
        );
        assert_eq!(
            arena.state(),
            ResourceState { limit: arena.state().limit, largest_free: Some(0), ..Default::default() }
        );
    }
    let chunked: Arena<Chunked<PageAllocator>> = Arena::with_chunk_size(PageAllocator::new(), 1 << 61);
    assert!(
        matches!(chunked.alloc(1u8).unwrap_err().kind, AllocErrorKind::Exhausted { errno } if errno != 0)
    );
    assert!(Pool::new(1 << 40, 1 << 21).is_err());
}
