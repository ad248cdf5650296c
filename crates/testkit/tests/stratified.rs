//! Stratified pools and contexts, on one thread and on many.

use arenite_alloc::*;
use arenite_core::{AllocErrorKind, Resource, Trim};
use core::ops::DerefMut;
use std::sync::mpsc;

#[test]
fn r10_r11_buffer_has_the_bucket_and_length_of_its_size() {
    let pool = StratifiedMemoryPool::new("analytics");
    for (size, bucket) in [
        (100, Some(SizeBucket::Tiny)),
        (800, Some(SizeBucket::Small)),
        (2000, Some(SizeBucket::Medium)),
        (10_000, Some(SizeBucket::Large)),
        (50_000, Some(SizeBucket::Huge)),
        (65_537, None),
        (3_000_000, None),
        (0, Some(SizeBucket::Tiny)),
    ] {
        let mut buffer = pool.allocate(size).unwrap();
        assert_eq!((buffer.bucket(), buffer.size(), buffer.len()), (bucket, size, size));
        assert!(buffer.as_ptr().addr().is_multiple_of(64));
        buffer.deref_mut().fill(core::mem::MaybeUninit::new(1));
        let zeroes = pool.allocate_zeroed(size).unwrap();
        assert!(zeroes.iter().all(|&byte| byte == 0));
    }
    assert_eq!(pool.stats().direct, 4);
    let error = pool.allocate(usize::MAX).unwrap_err();
    assert_eq!((error.kind, error.label.as_str()), (AllocErrorKind::BadLayout, "analytics"));
}

#[test]
fn r12_r13_r17_freed_buffer_is_the_next_hit() {
    let pool = StratifiedMemoryPool::new("hits");
    let first = pool.allocate(2500).unwrap().as_ptr();
    let again = pool.allocate(3500).unwrap();
    assert_eq!(again.as_ptr(), first);
    let stats = pool.stats();
    assert_eq!((stats.total_allocations, stats.hits(), stats.misses(), stats.returns()), (2, 1, 1, 1));
    assert_eq!((stats.hits_per_bucket, stats.hit_rate()), ([0, 0, 1, 0, 0], 0.5));
    assert_eq!((stats.live(SizeBucket::Medium), stats.free_bytes), (1, 0));
}

#[test]
fn r12_buffers_move_between_threads_and_none_is_lost() {
    const ROUNDS: usize = 20_000;
    let pool = StratifiedMemoryPool::new("threads");
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel::<StratifiedBuffer<'_, StratifiedMemoryPool, u8>>(100);
        let pool = &pool;
        scope.spawn(move || {
            for round in 0..ROUNDS {
                let byte = u8::try_from(round % 251).unwrap();
                send.send(pool.allocate(1 + round * 37 % 5000).unwrap().fill(byte)).unwrap();
            }
        });
        scope.spawn(move || {
            for (round, buffer) in receive.iter().enumerate() {
                let byte = u8::try_from(round % 251).unwrap();
                assert!(buffer.iter().all(|&found| found == byte));
            }
        });
    });
    let stats = pool.stats();
    assert_eq!((stats.total_allocations, pool.state().live_blocks), (ROUNDS as u64, 0));
    assert!(stats.hit_rate() > 0.8, "frees of one thread are reused by another: {}", stats.hit_rate());
    assert!(pool.state().held < 4 << 20, "{}", pool.state());
}

#[test]
fn r10_pool_shrinks_to_the_requested_size() {
    let pool = StratifiedMemoryPool::new("shrinks");
    let buffers: Vec<_> = (0..64).map(|_| pool.allocate(60_000).unwrap()).collect();
    drop(buffers);
    assert_eq!(pool.state().held, 64 << 16);
    let freed = pool.shrink_to(32 << 16);
    assert_eq!(pool.state().held, (64 << 16) - freed);
    assert!(pool.state().held <= 32 << 16);
    let kept = pool.allocate(60_000).unwrap();
    pool.trim(0);
    assert_eq!((pool.state().held, pool.state().in_use), (1 << 16, 1 << 16));
    drop(kept);
    let local = LocalStratifiedPool::new("local");
    let buffers: Vec<_> = (0..64).map(|_| local.allocate(900).unwrap()).collect();
    drop(buffers);
    assert_eq!((local.shrink_to(10 << 10), local.state().held), (54 << 10, 10 << 10));
}

#[test]
fn r10_pool_over_a_limit_fails_and_loses_nothing() {
    let pool = StratifiedMemoryPool::with_upstream("small", Limit::new(Heap::new(), 10 << 10));
    let buffers: Vec<_> = (0..10).map(|_| pool.allocate(1000).unwrap()).collect();
    let error = pool.allocate(1000).unwrap_err();
    assert_eq!(error.kind, AllocErrorKind::LimitReached);
    assert!(pool.allocate(70_000).is_err());
    drop(buffers);
    assert!(pool.allocate(1000).is_ok());
    assert!(pool.allocate(10_000).is_err(), "cached bytes count");
    pool.shrink_to(0);
    assert!(pool.allocate(4000).is_ok());
}

#[test]
fn r18_r19_r21_context_frees_everything_on_drop() {
    let pool = StratifiedMemoryPool::new("contexts");
    for round in 0..3 {
        let context = AnalyticsContext::with_pool("bfs", &pool);
        let mut all: Vec<_> = (0..20).map(|at| context.allocate_typed::<u32>(at * 100).unwrap()).collect();
        for slice in &mut all {
            assert!(slice.iter().all(|&value| value == 0) && slice.as_ptr().addr().is_multiple_of(64));
            slice.fill(u32::MAX);
        }
        assert_eq!(context.stats().current_bytes, 190 * 400);
        all.remove(19).release();
        assert_eq!((context.stats().current_bytes, context.stats().peak_bytes), (171 * 400, 190 * 400));
        drop(context);
        assert_eq!(pool.state().live_blocks, 0, "round {round}");
    }
    assert!(pool.stats().hit_rate() > 0.6, "{:?}", pool.stats());
    let context = AnalyticsContext::with_pool("bfs", &pool);
    let error = context.allocate_typed::<u64>(usize::MAX).unwrap_err();
    assert_eq!((error.kind, error.label.as_str()), (AllocErrorKind::BadLayout, "bfs"));
}

#[test]
fn r19_overaligned_buffer_is_freed_with_its_layout() {
    #[derive(Clone, Copy)]
    #[repr(align(128))]
    struct Wide(u8);
    let pool = StratifiedMemoryPool::new("aligned");
    for released in [false, true] {
        let context = AnalyticsContext::with_pool("wide", &pool);
        let wide =
            context.allocate_uninit::<Wide>(3).unwrap().fill_with(|at| Wide(u8::try_from(at).unwrap()));
        assert!(wide.as_ptr().addr().is_multiple_of(128) && wide[2].0 == 2);
        assert_eq!((context.stats().current_bytes, context.stats_by_type()[0].bytes), (384, 384));
        if released {
            wide.release();
            assert_eq!(context.stats().current_bytes, 0);
        }
        drop(context);
        assert_eq!((pool.state().in_use, pool.state().live_blocks, pool.stats().free_bytes), (0, 0, 0));
    }
    assert_eq!(
        (pool.allocate(1000).unwrap().size(), pool.stats().hits()),
        (1000, 0),
        "no buffer of its bucket"
    );
}

#[test]
fn r21_context_peak_is_exact_in_any_release_order() {
    let parent = AnalyticsContext::new("parent");
    let kept = parent.allocate(100).unwrap();
    let inner = parent.sub_context("inner");
    let first = inner.allocate(1000).unwrap();
    kept.release();
    assert_eq!((parent.stats().current_bytes, parent.stats().peak_bytes), (1000, 1100));
    let second = inner.allocate(50).unwrap();
    first.release();
    assert_eq!((inner.stats().current_bytes, inner.stats().peak_bytes), (50, 1050));
    assert_eq!((parent.stats().peak_bytes, parent.stats().allocation_count), (1100, 3));
    assert_eq!(second.len(), 50);
    drop(inner);
    assert_eq!((parent.stats().current_bytes, parent.stats().peak_bytes), (0, 1100));
    assert_eq!(parent.allocate(2000).unwrap().len(), 2000);
    assert_eq!(
        (parent.stats().current_bytes, parent.stats().peak_bytes),
        (2000, 2000),
        "until the context is dropped"
    );
}

#[test]
fn r20_a_context_counts_by_type() {
    let context = AnalyticsContext::new("types");
    let _kept = (
        context.allocate_typed::<f32>(1000).unwrap(),
        context.allocate_typed::<f32>(24).unwrap(),
        context.allocate_typed::<u64>(10).unwrap(),
        context.allocate(50).unwrap(),
    );
    let types = context.stats_by_type();
    assert_eq!(types[0], TypeStats { name: "f32", buffers: 2, bytes: 4096 });
    assert_eq!((types[1].name, types[2].name), ("u64", "u8"));
    assert_eq!((context.stats().allocation_count, context.stats().typed_allocations), (4, 3));
}

#[test]
fn r22_preallocated_buffers_are_used_first() {
    let pool = StratifiedMemoryPool::new("prepared");
    let context = AnalyticsContextBuilder::new("pagerank")
        .with_pool(&pool)
        .with_expected_allocations(20)
        .with_preallocation(40_000)
        .with_preallocation(40_000)
        .with_preallocation(800_000)
        .build()
        .unwrap();
    let before = pool.stats().total_allocations;
    let _ranks =
        (context.allocate_typed::<f32>(10_000).unwrap(), context.allocate_typed::<f32>(10_000).unwrap());
    let _weights = context.allocate_typed::<f64>(100_000).unwrap();
    assert_eq!((pool.stats().total_allocations, context.preallocated_bytes()), (before, 0));
    let _another = context.allocate_typed::<f32>(10_000).unwrap();
    assert_eq!(pool.stats().total_allocations, before + 1);
    drop(AnalyticsContextBuilder::new("unused").with_pool(&pool).with_preallocation(10).build().unwrap());
    let limited = StratifiedMemoryPool::with_upstream("none", Limit::new(Heap::new(), 0));
    assert!(limited.allocate(1).is_err());
}

#[test]
fn r18_a_context_has_many_buffers_with_some_prepared() {
    let pool = StratifiedMemoryPool::new("many");
    // The requests come in another order than the preallocations: small ones first.
    let builder = (0..20_000)
        .fold(AnalyticsContextBuilder::new("many").with_pool(&pool), |builder, number| {
            builder.with_preallocation(if number % 2 == 0 { 5_000 } else { 100 })
        });
    let context = builder.build().unwrap();
    let held = pool.state().held;
    for bytes in [100, 5_000] {
        (0..10_000).for_each(|_| assert_eq!(context.allocate_uninit::<u8>(bytes).unwrap().len(), bytes));
    }
    assert_eq!(pool.state().held, held, "all were prepared");
    (0..20_000).for_each(|_| assert_eq!(context.allocate_uninit::<u8>(100).unwrap().len(), 100));
    assert!(pool.state().held > held);
    drop(context);
    assert_eq!(pool.state().in_use, 0);
}
