//! Containers in arenite's memory, compared with std's after a hundred thousand operations.
//!
//! Where it can be the upstream, [`Scribbling`] overwrites freed bytes.

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box as ArenaBoxed;
use allocator_api2::vec::Vec as ArenaVec;
use arenite_alloc::*;
use arenite_core::Resource;
use arenite_pages::PageAllocator;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use testkit::doubles::Scribbling;

type State = BuildHasherDefault<DefaultHasher>;

fn random(step: usize) -> usize {
    let mixed = step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 16
}

/// Inserts into and removes from a map of strings and a vector, and compares them with std's.
fn churn<A: Allocator + Clone>(allocator: &A, steps: usize) {
    let mut map = hashbrown::HashMap::<usize, ArenaVec<u8, A>, State, A>::with_hasher_in(
        State::default(),
        allocator.clone(),
    );
    let mut vector = ArenaVec::<u64, A>::new_in(allocator.clone());
    let mut std_map = HashMap::<usize, Vec<u8>>::new();
    let mut std_vector = Vec::<u64>::new();
    for step in 0..steps {
        let (key, kind) = (random(step) % 2000, random(step + 1) % 8);
        match kind {
            0..4 => {
                let bytes = step.to_le_bytes().repeat(1 + step % 5);
                let mut value = ArenaVec::new_in(allocator.clone());
                value.extend_from_slice(&bytes);
                assert_eq!(map.insert(key, value).map(|old| old.to_vec()), std_map.insert(key, bytes));
            }
            4..7 => assert_eq!(map.remove(&key).map(|old| old.to_vec()), std_map.remove(&key)),
            _ => {
                vector.push(step as u64);
                std_vector.push(step as u64);
                if step % 5 == 0 {
                    let at = random(step) % vector.len();
                    assert_eq!(vector.swap_remove(at), std_vector.swap_remove(at));
                }
                if step % 997 == 0 {
                    vector.shrink_to_fit();
                }
            }
        }
    }
    assert!(map.len() == std_map.len() && map.iter().all(|(key, value)| std_map[key] == **value));
    assert_eq!(&vector[..], &std_vector[..]);
    let boxes: Vec<_> = (0..100u64).map(|n| ArenaBoxed::new_in([n; 4], allocator.clone())).collect();
    assert!(boxes.iter().enumerate().all(|(n, value)| **value == [n as u64; 4]));
}

#[test]
fn containers_in_an_arena_agree_with_std() {
    let mut arena = Arena::new();
    churn(&&arena, 100_000);
    assert_eq!(arena.state().live_blocks, 0);
    arena.reset();
    churn(&&arena, 10_000);
}

#[test]
fn containers_in_chunks_of_a_scribbling_upstream_agree_with_std() {
    let arena = LocalHandle::new(Arena::with_chunk_size(Scribbling::new(CountedGlobal::new()), 4096));
    churn(&arena, 100_000);
    assert_eq!(arena.state().live_blocks, 0);
}

#[test]
fn containers_in_a_local_handle_agree_with_std() {
    let arena = LocalHandle::new(Arena::chunked(PageAllocator::new()));
    churn(&arena, 100_000);
    let mark = arena.mark().unwrap();
    churn(&arena, 1000);
    arena.restore(mark).unwrap();
}

#[test]
fn containers_in_a_shared_handle_agree_with_std_in_four_threads() {
    let arena = SharedHandle::new(SharedArena::new());
    std::thread::scope(|threads| {
        for _ in 0..4 {
            let arena = arena.clone();
            threads.spawn(move || churn(&arena, 25_000));
        }
    });
    assert_eq!(arena.state().live_blocks, 0);
}

#[test]
fn containers_in_a_scope_agree_with_std() {
    let mut arena = Arena::new();
    arena.scope(|scope| {
        churn(&&*scope, 10_000);
        scope.scope(|inner| churn(&&*inner, 10_000));
    });
    assert_eq!(arena.in_use(), 0);
}

#[test]
fn containers_in_pools_by_size_agree_with_std() {
    let pools = BinnedPools::new();
    churn(&&pools, 100_000);
    assert_eq!((pools.state().live_blocks, pools.state().in_use), (0, 0));
}

#[test]
fn containers_behind_adaptors_agree_with_std() {
    let limited = Limit::new(CountedGlobal::new(), 64 << 20);
    churn(&&limited, 20_000);
    assert_eq!((limited.state().live_blocks, limited.state().in_use), (0, 0));
    let fallback = Fallback::new(Pool::new(64, 500).unwrap(), CountedGlobal::new());
    churn(&&fallback, 100_000);
    assert_eq!(fallback.state().live_blocks, 0);
    churn(&LocalHandle::new(Locked::new(Arena::new())), 20_000);
    churn(&SharedHandle::new(Checked::new(CountedGlobal::new())), 20_000);
}

#[test]
fn a16_boxes_in_a_pool_reuse_its_blocks() {
    let pool = Pool::new(64, 1000).unwrap();
    let shared = SharedPool::new(64, 1000).unwrap();
    let mut boxes = Vec::new();
    let mut shared_boxes = Vec::new();
    for step in 0..100_000usize {
        if boxes.len() < 1000 && !random(step).is_multiple_of(3) {
            boxes.push((step, ArenaBoxed::new_in([step; 8], &pool)));
            shared_boxes.push((step, ArenaBoxed::new_in([step; 8], &shared)));
        } else if !boxes.is_empty() {
            let at = random(step) % boxes.len();
            let (number, value) = boxes.swap_remove(at);
            assert_eq!(*value, [number; 8]);
            let (number, value) = shared_boxes.swap_remove(at);
            assert_eq!(*value, [number; 8]);
        }
    }
    assert_eq!((pool.live_blocks(), shared.live_blocks()), (boxes.len(), boxes.len()));
}
