//! Regression tests of pools, budgets and spills, each in the smallest form that showed the bug.
#![expect(unsafe_code, reason = "reads bytes that were all written")]

use arenite_alloc::*;
use arenite_core::{AllocErrorKind, Block, MemoryAllocator, Resource, Trim};

#[test]
fn forgotten_pool_is_not_touched_when_its_threads_exit() {
    let mut memory = vec![core::mem::MaybeUninit::new(0_u8); 1 << 20];
    std::thread::scope(|scope| {
        let memory = &mut memory;
        scope.spawn(move || {
            {
                let heap = BoundedHeap::new(memory);
                let pool = StratifiedMemoryPool::with_upstream("forgotten", &heap);
                drop((0..8).map(|_| pool.allocate(60_000).unwrap()).collect::<Vec<_>>());
                let _forgotten = core::mem::ManuallyDrop::new(pool);
            }
            memory.fill(core::mem::MaybeUninit::new(7));
        });
    });
    // The scope ends before the thread's last destructors run.
    std::thread::sleep(core::time::Duration::from_millis(200));
    // SAFETY: every byte was initialised at the start, and the thread wrote them again.
    let changed = memory.iter().filter(|byte| unsafe { byte.assume_init_read() } != 7).count();
    assert_eq!(changed, 0);
}

#[test]
fn cache_of_an_exited_thread_is_reused() {
    let pool = StratifiedMemoryPool::new("left");
    std::thread::scope(|scope| {
        scope.spawn(|| drop((0..8).map(|_| pool.allocate(60_000).unwrap()).collect::<Vec<_>>()));
    });
    let deadline = std::time::Instant::now() + core::time::Duration::from_secs(10);
    while pool.shrink_to(0) == 0 {
        assert!(std::time::Instant::now() < deadline, "{:?}", pool.state());
        std::thread::yield_now();
    }
    assert_eq!(pool.state().held, 0);
}

#[test]
fn memory_pool_trims_to_each_smaller_target() {
    let pool = MemoryPool::new(64 << 20);
    drop(pool.allocate::<u8>(32 << 20).unwrap());
    for target in [16 << 20, 8 << 20, 1 << 20, 0, 0] {
        let before = pool.state().held;
        let trimmed = pool.trim(target);
        let now = pool.state().held;
        assert_eq!(before - trimmed, now);
        assert!(now <= target + 8192 && (target == 0 || now + 8192 >= target), "{now} of {target}");
    }
    assert!(pool.allocate::<u8>(32 << 20).unwrap().iter().all(|&byte| byte == 0));
}

#[test]
fn budget_callback_may_spill_the_requesting_spill() {
    let budget = Budget::new("all", 1 << 20);
    let spill: &'static Spill<Budgeted<Global>> =
        Box::leak(Box::new(Spill::with_upstream("s", Budgeted::new(Global, budget.clone()))));
    budget.on_exhausted(move |lacking| spill.evict_to(spill.stats().resident.saturating_sub(lacking)));
    let buffers: Vec<_> = (0..3_u8)
        .map(|number| {
            let mut buffer = spill.allocate_buffer::<u8>(700 << 10).unwrap();
            buffer.write().unwrap().fill(number);
            buffer
        })
        .collect();
    for (number, buffer) in (0..3_u8).zip(&buffers) {
        assert!(buffer.read().unwrap().iter().all(|&byte| byte == number));
    }
    assert!(budget.used() <= 1 << 20);
}

#[test]
fn spill_limits_blocks_and_buffers() {
    let spill = Spill::new("limited").with_limit(1 << 20);
    let kept = spill.allocate_buffer::<u8>(512 << 10).unwrap();
    let large = arenite_core::layout(4 << 20, 64).unwrap();
    assert_eq!(Block::new_in(large, &spill).unwrap_err().kind, AllocErrorKind::LimitReached);
    assert!(spill.allocate_buffer::<u8>(4 << 20).is_err());
    assert_eq!((spill.stats().resident, spill.stats().writes), (512 << 10, 0), "nothing was evicted for it");
    let block = Block::new_in(arenite_core::layout(900 << 10, 64).unwrap(), &spill).unwrap();
    assert_eq!((spill.stats().resident, spill.stats().spilled), (900 << 10, 512 << 10));
    assert!(spill.allocate_buffer::<u8>(512 << 10).is_err(), "a block is not evicted");
    assert_eq!(kept.read().unwrap().len(), 512 << 10, "a pinned buffer is loaded");
    drop(block);
    let _forgotten = core::mem::ManuallyDrop::new(kept.read().unwrap());
    drop(kept);
    assert_eq!((spill.state().in_use, spill.state().held), (0, 0));
}

#[test]
fn threads_reload_the_same_buffer_once() {
    let spill = Spill::new("same");
    let mut buffer = spill.allocate_buffer::<u64>(100_000).unwrap();
    buffer.write().unwrap().fill(9);
    for _ in 0..50 {
        spill.trim(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert!(buffer.read().unwrap().iter().all(|&value| value == 9)));
            }
        });
        assert_eq!((spill.stats().resident, spill.stats().spilled, spill.stats().pinned), (800_000, 0, 0));
    }
}

#[test]
fn excessive_hints_and_alignments_fail_or_are_ignored() {
    assert!(AnalyticsContextBuilder::new("hint").with_expected_allocations(usize::MAX).build().is_ok());
    let pool = MemoryPool::new(1 << 20).with_alignment(1 << 63);
    assert_eq!(pool.allocate::<u8>(1).unwrap_err().kind, AllocErrorKind::BadLayout);
    let pool = MemoryPool::new(1 << 20);
    drop(pool.allocate::<u8>(1).unwrap());
    let pool = pool.with_growth(8 << 20).with_alignment(4096);
    assert_eq!((pool.capacity(), pool.alignment()), (1 << 20, 16));
}

#[test]
fn thresholds_that_change_after_the_first_block_lose_none() {
    let strategy = IntelligentAllocationStrategy::new();
    let block = MemoryAllocator::allocate(&strategy, 2048, 64).unwrap();
    let strategy = strategy.with_pool_threshold(1024).with_arena_threshold(10).with_numa_awareness(true);
    assert!(strategy.should_use_pool(2048));
    MemoryAllocator::deallocate(&strategy, block, 2048, 64).unwrap();
    assert_eq!(strategy.allocated_size(), 0);
    let peak = |strategy: &IntelligentAllocationStrategy| {
        let block = MemoryAllocator::allocate(strategy, 10 << 20, 64).unwrap();
        let moved = strategy.reallocate(block, 10 << 20, 100 << 10, 64).unwrap();
        MemoryAllocator::deallocate(strategy, moved, 100 << 10, 64).unwrap();
        strategy.peak_allocated()
    };
    assert!(peak(&strategy) <= (10 << 20) + (100 << 10));
}

#[test]
fn errors_name_the_pool_and_the_requested_layout() {
    let pool = StratifiedMemoryPool::with_upstream("mine", Limit::new(Heap::new(), 0));
    let error = pool.allocate(100).unwrap_err();
    assert_eq!((error.label.as_str(), error.size, error.align), ("mine", 100, 64));
    let error = pool.allocate(100_000).unwrap_err();
    assert_eq!((error.label.as_str(), error.size), ("mine", 100_000));
}
