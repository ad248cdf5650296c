//! A memory pool: blocks of any size in one region, freed and coalesced.
#![expect(unsafe_code, reason = "rebuilds a block from its address")]

use arenite_alloc::{Checked, MemoryPool, PoolPtr, SharedMemoryPool};
use arenite_core::{AllocErrorKind, Block, Resource, Trim};
use std::rc::Rc;
use testkit::Random;

#[test]
fn e08_pool_holds_nothing_before_its_first_block() {
    let pool = MemoryPool::new(1 << 30);
    assert_eq!((pool.state().held, pool.capacity(), pool.alignment()), (0, 1 << 30, 16));
    let block = pool.allocate::<f32>(1000).unwrap();
    assert!(pool.state().held < 200_000, "{}", pool.state());
    assert!(block.iter().all(|&x| x == 0.0));
}

#[test]
fn e09_every_block_has_the_pools_alignment() {
    for alignment in [16, 32, 64, 4096] {
        let pool = MemoryPool::new(1 << 24).with_alignment(alignment);
        let blocks: Vec<_> = (0..100).map(|size| pool.allocate::<u8>(size * 13).unwrap()).collect();
        assert!(blocks.iter().all(|block| block.as_ptr().addr().is_multiple_of(alignment)), "{alignment}");
    }
    for bad in [0, 3, 48, usize::MAX] {
        let error = MemoryPool::new(1 << 20).with_alignment(bad).allocate::<u8>(1).unwrap_err();
        assert_eq!(error.kind, AllocErrorKind::BadLayout, "{bad}");
    }
}

#[test]
fn e10_gpu_support_returns_a_typed_error() {
    let pool = MemoryPool::new(1 << 20);
    assert_eq!(pool.is_gpu_mapped(), Ok(false));
    let pool = pool.with_gpu_support(true);
    let error = pool.is_gpu_mapped().unwrap_err();
    assert!(error.to_string().contains("host"), "{error}");
    assert!(pool.allocate::<u8>(10).is_ok(), "blocks serve the host in any case");
}

#[test]
fn e12_e13_values_are_dropped_with_their_owner() {
    let pool = MemoryPool::new(1 << 20);
    let counted = Rc::new(());
    let values = pool.allocate_uninit::<Rc<()>>(100).unwrap().fill_with(|_| Rc::clone(&counted));
    assert_eq!((Rc::strong_count(&counted), pool.state().live_blocks), (101, 1));
    drop(values);
    assert_eq!((Rc::strong_count(&counted), pool.state().live_blocks), (1, 0));
    let (start, count) = PoolPtr::into_raw(pool.allocate::<u64>(10).unwrap());
    // SAFETY: the block from `into_raw`, of ten zeroes, which is owned once again.
    let again = unsafe { PoolPtr::new(start, count, &pool) };
    assert_eq!(&*again, &[0; 10]);
}

#[test]
fn e14_free_blocks_are_reused_and_coalesced() {
    let pool = MemoryPool::new(1 << 20);
    let (one, two, three) = (
        pool.allocate::<u8>(1000).unwrap(),
        pool.allocate::<u8>(1000).unwrap(),
        pool.allocate::<u8>(1000).unwrap(),
    );
    let (first, held) = (one.as_ptr(), pool.state().held);
    drop(one);
    assert_eq!(pool.allocate::<u8>(990).unwrap().as_ptr(), first, "the free block is used again");
    drop(two);
    let joined = pool.allocate::<u8>(2000).unwrap();
    assert_eq!((joined.as_ptr(), pool.state().held), (first, held), "two neighbours are one block");
    drop((three, joined));
    assert_eq!(pool.state().in_use, 0);
}

#[test]
fn e15_e16_pool_holds_no_more_after_a_hundred_epochs() {
    let pool = MemoryPool::new(1 << 30).with_alignment(32);
    let mut held = 0;
    for epoch in 0..100 {
        let batch = pool.allocate::<f32>(32 * 784).unwrap();
        let gradients = pool.allocate::<f32>(784 * 10).unwrap();
        if epoch == 0 {
            held = pool.state().held;
        }
        assert_eq!((pool.state().held, batch.len() + gradients.len()), (held, 32 * 784 + 7840));
    }
}

#[test]
fn e12_fragmentation_stays_bounded_in_a_million_tensors() {
    let turns = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
    let pool = MemoryPool::new(2 << 30).with_alignment(64);
    let (mut live, mut random) = (Vec::new(), Random(7));
    let mut worst = 0.0_f64;
    let ratio_of = |part: usize, total: usize| {
        f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(total).unwrap())
    };
    for turn in 1..=turns {
        let top = 1 << (8 + random.below(13));
        let size = top + random.below(top);
        live.push(pool.allocate_uninit::<u8>(size).unwrap());
        if live.len() > 400 {
            live.swap_remove(random.below(live.len()));
        }
        if turn % (turns / 10) == 0 {
            let state = pool.state();
            let ratio = ratio_of(state.held, state.peak);
            println!(
                "{turn} tensors: held ×{ratio:.3} of the peak in use, fragmentation {:.3}",
                pool.fragmentation()
            );
            worst = worst.max(ratio);
        }
    }
    assert!(worst < 1.5, "{worst}");
    let (held, in_use) = (pool.state().held, pool.state().in_use);
    let trimmed = pool.trim(0);
    let now = pool.state().held;
    assert_eq!(held - trimmed, now);
    assert!(now < in_use + in_use / 10, "unused pages are released: {now} for {in_use}");
    drop(live);
    pool.trim(0);
    assert!(pool.state().held <= 4096);
}

#[test]
fn e39_a_block_costs_eight_bytes_and_its_rounding() {
    let pool = MemoryPool::new(1 << 20);
    let blocks: Vec<_> = (0..100).map(|_| pool.allocate::<u64>(101).unwrap()).collect();
    assert_eq!(pool.state().in_use, 100 * (101 * 8 + 8), "808 and 8 is a multiple of 16");
    drop(blocks);
}

#[test]
fn e08_pool_fails_at_capacity_and_growth_raises_it() {
    let pool = MemoryPool::new(1 << 20);
    let error = pool.allocate::<u8>((1 << 20) + 1).unwrap_err();
    assert_eq!((error.kind, error.state.limit), (AllocErrorKind::CapacityReached, Some(1 << 20)));
    let largest = pool.allocate::<u8>((1 << 20) - 64).unwrap();
    assert!(pool.allocate::<u8>(4096).is_err());
    drop(largest);
    let grown = MemoryPool::new(1 << 20).with_growth(4 << 20);
    assert!(grown.allocate::<u8>(3 << 20).is_ok());
    for size in [usize::MAX, usize::MAX / 2] {
        assert_eq!(MemoryPool::new(size).allocate::<u8>(1).unwrap_err().size, 1);
        assert!(pool.allocate::<u64>(size).is_err());
    }
    assert!(MemoryPool::new(0).allocate::<u8>(1).is_err());
    assert!(pool.allocate::<u8>(0).is_ok());
}

#[test]
fn e12_threads_share_a_locked_checked_pool() {
    let pool = Checked::new(SharedMemoryPool::new(MemoryPool::new(64 << 20)));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                let mut random = Random(thread);
                for _ in 0..2000 {
                    let size = 1 + random.below(10_000);
                    let layout = arenite_core::layout(size, 8).unwrap();
                    let mut block = Block::new_in(layout, pool).unwrap();
                    block.bytes_mut().fill(core::mem::MaybeUninit::new(7));
                }
            });
        }
    });
    assert_eq!(pool.state().live_blocks, 0);
}
