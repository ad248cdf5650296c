//! Pools of equal blocks, compared with a naive model: the set of live addresses.
//!
//! The model frees valid and invalid pointers. The same tests run on the local and the shared
//! pool.

use arenite_alloc::*;
use arenite_core::{AllocError, AllocErrorKind, Resource, Trim};
use core::num::NonZero;
use core::ptr::NonNull;
use proptest::prelude::*;
use std::collections::BTreeSet;
use testkit::LiveBlocks;
use testkit::model::run;

/// The operations that both pools have.
trait Blocks: Resource + Sized {
    fn alloc(&self) -> Result<NonNull<u8>, AllocError>;
    fn free(&self, block: NonNull<u8>) -> Result<(), AllocError>;
    fn stride(&self) -> usize;
    fn fragmentation(&self) -> f64;
    fn trim_all(&mut self) -> usize;
}

macro_rules! blocks {
    ($($type:ty, $trim:expr;)*) => {$(
        impl Blocks for $type {
            fn alloc(&self) -> Result<NonNull<u8>, AllocError> {
                self.allocate_block()
            }
            fn free(&self, block: NonNull<u8>) -> Result<(), AllocError> {
                self.deallocate_block(block)
            }
            fn stride(&self) -> usize {
                self.block_size()
            }
            fn fragmentation(&self) -> f64 {
                self.fragmentation_level()
            }
            fn trim_all(&mut self) -> usize {
                let trim: fn(&mut $type) -> usize = $trim;
                trim(self)
            }
        }
    )*};
}

blocks! {
    Pool, |pool| pool.trim(0);
    Pool<CountedGlobal>, |pool| pool.trim(0);
    SharedPool, SharedPool::trim_mut;
    SharedPool<CountedGlobal>, SharedPool::trim_mut;
}

/// Returns a pointer with this address and no provenance.
fn at(address: usize) -> NonNull<u8> {
    NonNull::without_provenance(NonZero::new(address).expect("not null"))
}

fn free_error(pool: &impl Blocks, address: usize) -> AllocErrorKind {
    let before = pool.state();
    let error = pool.free(at(address)).expect_err("an invalid pointer was freed");
    assert_eq!((pool.state(), error.state), (before, before), "after a failed free");
    error.kind
}

fn check_1024_objects<P: Blocks>(pool: &P) {
    let blocks: Vec<_> = (0..1024).map(|_| pool.alloc().expect("one of 1024")).collect();
    let distinct: BTreeSet<_> = blocks.iter().map(|block| block.addr().get()).collect();
    assert_eq!(distinct.len(), 1024);
    assert_eq!(pool.alloc().expect_err("more than there are").kind, AllocErrorKind::CapacityReached);
    let lowest = *distinct.first().expect("1024 of them");
    let end = lowest + 1024 * pool.stride();
    for outside in [
        1,
        4096,
        lowest - 1,
        lowest - pool.stride(),
        end,
        end + 1,
        usize::MAX,
        NonNull::<u8>::dangling().addr().get(),
    ] {
        assert_eq!(free_error(pool, outside), AllocErrorKind::InvalidPointer, "{outside:#x}");
    }
    for inside in 1..pool.stride() {
        assert_eq!(free_error(pool, lowest + inside), AllocErrorKind::InteriorPointer);
    }
    for block in &blocks {
        pool.free(*block).expect("a live block");
        assert_eq!(free_error(pool, block.addr().get()), AllocErrorKind::DoubleFree);
    }
    assert_eq!((pool.state().live_blocks, pool.state().in_use, pool.fragmentation()), (0, 0, 1.0));
    let again: BTreeSet<_> = (0..1024).map(|_| pool.alloc().expect("freed").addr().get()).collect();
    assert_eq!(again, distinct, "the same blocks again");
}

#[test]
fn a15_a16_a17_pool_allocates_reuses_and_rejects_blocks() {
    check_1024_objects(&Pool::new(40, 1024).unwrap());
    check_1024_objects(&Pool::new_in(CountedGlobal::new(), 64, 1024).unwrap());
    check_1024_objects(&Pool::new(1, 1024).unwrap());
}

#[test]
fn a15_a16_a17_shared_pool_allocates_reuses_and_rejects_blocks() {
    check_1024_objects(&SharedPool::new(40, 1024).unwrap());
    check_1024_objects(&SharedPool::new_in(CountedGlobal::new(), 64, 1024).unwrap());
}

#[test]
fn a17_free_of_a_never_allocated_block_fails() {
    let (pool, shared) = (Pool::new(64, 4).unwrap(), SharedPool::new(64, 4).unwrap());
    let first = pool.allocate_block().unwrap().addr().get();
    assert_eq!(free_error(&pool, first + 64), AllocErrorKind::DoubleFree);
    let first = shared.allocate_block().unwrap().addr().get();
    assert_eq!(free_error(&shared, first + 128), AllocErrorKind::DoubleFree);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate,
    AllocateOwned,
    Free(usize),
    FreeOwned(usize),
    InvalidFree(usize),
    Trim,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => Just(Step::Allocate),
        3 => Just(Step::AllocateOwned),
        3 => any::<usize>().prop_map(Step::Free),
        2 => any::<usize>().prop_map(Step::FreeOwned),
        2 => (0usize..20_000).prop_map(Step::InvalidFree),
        1 => Just(Step::Trim),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Runs allocations and frees of the checked and the unchecked API, invalid frees and trims, and
/// compares with the live addresses.
fn follow<P: Blocks>(mut pool: P, steps: &[Step], count: usize) {
    let layout = arenite_core::layout(pool.stride(), 8).expect("a small layout");
    let (mut direct, mut owned, mut peak) = (Vec::<NonNull<u8>>::new(), LiveBlocks::default(), 0);
    let mut base = None;
    for &step in steps {
        let live = direct.len() + owned.len();
        match step {
            Step::Allocate => match pool.alloc() {
                Ok(block) => direct.push(block),
                Err(error) => assert_eq!((error.kind, live), (AllocErrorKind::CapacityReached, count)),
            },
            Step::AllocateOwned => assert_eq!(owned.allocate(&pool, layout).is_ok(), live < count),
            Step::Free(which) if !direct.is_empty() => {
                pool.free(direct.swap_remove(which % direct.len())).expect("a live block");
            }
            Step::FreeOwned(which) if !owned.is_empty() => owned.deallocate(&pool, which % owned.len()),
            Step::InvalidFree(offset) => {
                let address = base.unwrap_or(8192) + offset;
                if direct.iter().all(|block| block.addr().get() != address) {
                    let _cause = free_error(&pool, address);
                }
            }
            Step::Trim => {
                let held = pool.state().held;
                let trimmed = pool.trim_all();
                assert_eq!(pool.state().held + trimmed, held, "trimmed bytes");
            }
            _ => {}
        }
        base = direct.first().map(|block| block.addr().get()).or(base);
        owned.verify();
        let distinct: BTreeSet<_> = direct
            .iter()
            .map(|block| block.addr().get())
            .chain((0..owned.len()).map(|at| owned.address(at)))
            .collect();
        assert_eq!(distinct.len(), direct.len() + owned.len(), "two owners of one block");
        let state = pool.state();
        peak = peak.max(distinct.len() * pool.stride());
        assert_eq!((state.live_blocks, state.in_use), (distinct.len(), distinct.len() * pool.stride()));
        assert!(
            state.held >= state.in_use && state.peak >= peak && state.limit == Some(count * pool.stride())
        );
        assert!((0.0..=1.0).contains(&pool.fragmentation()));
    }
    owned.deallocate_all(&pool);
}

#[test]
fn n40_n43_a_pool_follows_the_model_of_live_addresses() {
    run(&steps(), 300, |steps| follow(Pool::new(64, 24).unwrap(), &steps, 24));
    run(&steps(), 100, |steps| follow(Pool::new(3000, 30).unwrap(), &steps, 30));
    run(&steps(), 100, |steps| follow(Pool::new_in(CountedGlobal::new(), 24, 24).unwrap(), &steps, 24));
}

#[test]
fn n40_n43_a_shared_pool_follows_the_model_of_live_addresses() {
    run(&steps(), 300, |steps| follow(SharedPool::new(64, 24).unwrap(), &steps, 24));
    run(&steps(), 100, |steps| follow(SharedPool::new(3000, 30).unwrap(), &steps, 30));
    run(&steps(), 100, |steps| follow(SharedPool::new_in(CountedGlobal::new(), 24, 24).unwrap(), &steps, 24));
}

#[test]
fn u11_four_threads_share_a_pool_and_no_block_has_two_owners() {
    let pool = SharedPool::new(64, 64).unwrap();
    std::thread::scope(|threads| {
        for id in 0..4u8 {
            let pool = &pool;
            threads.spawn(move || {
                let layout = arenite_core::layout(64, 8).unwrap();
                for round in 0..2000usize {
                    let mut live = LiveBlocks::default();
                    for _ in 0..1 + (round + usize::from(id)) % 15 {
                        live.allocate(pool, layout).unwrap();
                    }
                    live.verify();
                    live.deallocate_all(pool);
                }
            });
        }
    });
    assert_eq!(pool.live_blocks(), 0);
}
