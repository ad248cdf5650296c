//! Exhaustion is injected at every allocation, not waited for: whatever a program is doing, a refusal is a typed error with
//! its numbers, and everything taken goes back.
//!
//! Rests on `Failing`: a scenario runs once to count what it asks of its upstream, then once for each of those requests with
//! that one refused.
#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use allocator_api2::vec::Vec as AVec;
use arenite::alloc::{Chunked, Failing, Locked};
use arenite::prelude::*;

/// What a program does: arrays, typed values, containers that grow, raw blocks that are resized, zeroed memory.
fn program<R: Resource + allocator_api2::alloc::Allocator>(memory: &R) -> Result<f64, ArrayError> {
    let weights = Array::<f64>::with_allocator(memory).ones([8, 8])?;
    let product = weights.matmul(&weights)?;
    let mut block = Block::new_in(AllocError::layout(100, 64)?, memory)?;
    block.resize(1000)?;
    block.resize(10)?;
    let zeroed = Block::zeroed_in(AllocError::layout(300, 8)?, memory)?;
    let mut list = AVec::new_in(memory);
    for value in 0..100u64 {
        // A container's own error has no numbers: this one stands for it, and nothing is asserted of it below.
        if list.try_reserve(1).is_err() {
            return Err(memory_error(memory).into());
        }
        list.push(value);
    }
    assert_eq!(zeroed.len(), 300);
    Ok(product.sum() + list.iter().sum::<u64>() as f64)
}

/// The error that a container's refusal stands for.
fn memory_error<R: Resource>(memory: &R) -> AllocError {
    let layout = AllocError::layout(8, 8).unwrap();
    AllocError::new(AllocCause::Injected, layout, memory.state(), Label::new("container"))
}

/// Runs `run` with each of its upstream's requests refused in turn, and checks what it says.
fn survives(run: impl Fn(Failing<&System>) -> Result<f64, ArrayError>) {
    let mut told = 0;
    for attempt in 0.. {
        let system = System::new();
        match run(Failing::at(&system, attempt)) {
            Ok(sum) => {
                assert_eq!(sum, 512.0 + 4950.0);
                assert_eq!(system.state().live_blocks, 0, "something was kept");
                break;
            }
            Err(ArrayError::Alloc(error)) => {
                if error.label.as_str() != "container" {
                    told += 1;
                    assert_eq!(error.cause, AllocCause::Injected, "{error}");
                }
                assert!(error.size > 0 && error.align > 0 && !error.label.is_empty(), "{error}");
                assert!(error.state.held >= error.state.in_use, "{error}");
                let text = error.to_string();
                assert!(text.contains(&format!("in use {}", Bytes(error.state.in_use))), "{text}");
                assert!(
                    text.contains(&format!("asked {} (align {})", Bytes(error.size), error.align)),
                    "{text}"
                );
            }
            Err(error) => panic!("another error: {error}"),
        }
        assert_eq!((system.state().live_blocks, system.state().in_use), (0, 0), "attempt {attempt} leaked");
        assert!(attempt < 1000, "never succeeded");
    }
    assert!(told > 0, "no refusal was told by a resource");
}

#[test]
fn a07_an_arena_in_chunks_survives_every_refusal() {
    survives(|upstream| program(&Arena::chunked_by(upstream, 256)));
    survives(|upstream| program(&Arena::chunked_by(upstream, 1 << 20)));
}

#[test]
fn u33_a_locked_arena_survives_every_refusal() {
    survives(|upstream| program(&Locked::new(Arena::chunked_by(upstream, 512))));
}

#[test]
fn a15_pools_survive_every_refusal() {
    survives(|upstream| program(&Pool::new_in(upstream, 8192, 16)?));
    survives(|upstream| program(&SharedPool::new_in(upstream, 8192, 16)?));
}

/// What a program does with the typed calls of an arena.
fn typed<R: Resource>(upstream: R) -> Result<f64, ArrayError> {
    let mut arena = Arena::chunked_by(upstream, 64);
    let kept = arena.mark()?;
    let text = arena.alloc_str("typed blocks")?.len();
    let sum: u64 = arena.alloc_slice_copy(&[1u64; 40])?.iter().sum();
    let filled = arena.alloc_slice_fill_with(30, |at| vec![at])?;
    assert_eq!(filled[29], [29]);
    drop(filled);
    assert_eq!(arena.alloc_bytes(500)?.len(), 500);
    let adopted = arena.adopt(vec![5u8; 50])?.len();
    let boxed = *arena.alloc(7u64)?;
    arena.restore_mut(kept).unwrap();
    assert_eq!((text, sum, adopted, boxed), (12, 40, 50, 7));
    Ok(512.0 + 4950.0)
}

#[test]
fn a07_typed_blocks_survive_every_refusal() {
    survives(|upstream| typed(upstream));
}

#[test]
fn u01_the_checked_door_survives_every_refusal() {
    survives(|upstream| {
        let door: &dyn MemoryAllocator<Error = AllocError> = &Checked::new(upstream);
        let first = door.allocate(100, 64)?;
        // After a refusal the old block is there, and goes back.
        let moved = door.reallocate(first, 100, 10_000, 64).or_else(|refused| {
            assert_eq!(door.allocated_size(), 100);
            door.deallocate(first, 100, 64).and(Err(refused))
        })?;
        door.deallocate(moved, 10_000, 64)?;
        assert_eq!(door.allocated_size(), 0);
        Ok(512.0 + 4950.0)
    });
}

#[test]
fn a_map_in_blocks_longer_than_asked_is_charged_what_it_gives_back() {
    // A container may give a block back with any size up to the length it was told.
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
    let pages = Limit::new(Pages::new(), 1 << 20);
    fill(&pages);
    assert_eq!((pages.state().in_use, pages.state().live_blocks), (0, 0));
}

#[test]
fn a_tower_of_adaptors_survives_every_refusal() {
    survives(|upstream| {
        let tracker = MemoryTracker::new();
        let limited = Limit::new(Arena::chunked_by(upstream, 512), 1 << 20).labelled("tower");
        let tower = Traced::new(Aligned::new(limited, Alignment::DEFAULT), &tracker, "tower");
        let done = program(&tower);
        assert_eq!(tracker.current_usage(), 0);
        done
    });
}

#[test]
fn the_program_survives_every_refusal_of_its_own_requests() {
    survives(|upstream| program(&upstream));
    // The same, with a second resource to fall back on, refuses nothing.
    let system = System::new();
    for attempt in 0..20 {
        let pool = Pool::new(8192, 32).unwrap();
        let both = Fallback::new(pool, Failing::at(&system, attempt));
        assert_eq!(program(&both).unwrap(), 512.0 + 4950.0);
    }
}

#[test]
fn a12_a_bounded_arena_refuses_at_every_capacity_below_what_is_needed() {
    let whole = Arena::new();
    program(&whole).unwrap();
    let needed = whole.state().peak;
    for capacity in (1..needed).step_by(61) {
        let arena = ArenaOptions::new().capacity(capacity).label("bounded").build();
        let Err(ArrayError::Alloc(error)) = program(&arena) else {
            panic!("{capacity} of {needed} was enough")
        };
        if error.label.as_str() == "bounded" {
            assert_eq!(error.cause, AllocCause::CapacityReached, "{error}");
            assert_eq!(error.state.limit, Some(capacity), "{error}");
        }
        assert_eq!(arena.state().live_blocks, 0);
    }
    assert!(program(&ArenaOptions::new().capacity(needed).build()).is_ok());
}

#[test]
fn a12_what_the_operating_system_refuses_is_an_error_too() {
    for arena in [Arena::with_capacity(1 << 62), Arena::with_capacity(isize::MAX.unsigned_abs())] {
        let error = arena.alloc(1u8).unwrap_err();
        assert!(matches!(error.cause, AllocCause::Exhausted { .. } | AllocCause::BadLayout), "{error}");
        assert_eq!(
            arena.state(),
            ResourceState { limit: arena.state().limit, largest_free: Some(0), ..Default::default() }
        );
    }
    let chunked: Arena<Chunked<Pages>> = Arena::chunked_by(Pages::new(), 1 << 61);
    assert!(matches!(chunked.alloc(1u8).unwrap_err().cause, AllocCause::Exhausted { errno } if errno != 0));
    assert!(Pool::new(1 << 40, 1 << 21).is_err());
}
