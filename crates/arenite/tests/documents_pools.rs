//! Examples of the source documents about pools, contexts, strategies and pressure.
//!
//! Only imports and unsound or uncompilable lines differ: fallible calls return a `Result`, and an
//! unwritten buffer is not read.

use arenite::prelude::*;
use std::error::Error;

#[test]
fn e08_e09_e10_pool_of_one_gibibyte() -> Result<(), Box<dyn Error>> {
    let pool = MemoryPool::new(1024 * 1024 * 1024)
        .with_alignment(32) // AVX2 alignment
        .with_gpu_support(true);
    let tensor1 = pool.allocate::<f32>(1000 * 1000)?;
    let tensor2 = pool.allocate::<f32>(500 * 2000)?;
    assert!(tensor1.as_ptr().addr().is_multiple_of(32) && tensor2.as_ptr().addr().is_multiple_of(32));
    assert!(pool.is_gpu_mapped().is_err(), "no device maps host memory");
    Ok(())
}

#[test]
fn e16_memory_returns_to_the_pool_in_each_epoch() -> Result<(), Box<dyn Error>> {
    fn train_step(batch: &[f32], gradients: &mut [f32]) {
        gradients[0] = batch.iter().sum();
    }
    let pool = MemoryPool::new(1024 * 1024 * 1024);
    for _epoch in 0..100 {
        let batch = pool.allocate::<f32>(32 * 784)?;
        let mut gradients = pool.allocate::<f32>(784 * 10)?;
        train_step(&batch, &mut gradients);
    }
    assert_eq!(pool.state().live_blocks, 0);
    Ok(())
}

#[test]
fn u13_u14_intelligent_strategy_example() {
    let strategy = IntelligentAllocationStrategy::new()
        .with_arena_threshold(1024 * 1024)
        .with_pool_threshold(4096)
        .with_cache_awareness(true)
        .with_numa_awareness(true);
    let small_allocation = 1024; // Uses pool
    let large_allocation = 10 * 1024 * 1024; // Uses arena
    let medium_allocation = 128 * 1024; // Uses system allocator
    assert!(strategy.should_use_pool(small_allocation));
    assert!(strategy.should_use_arena(large_allocation));
    assert!(!strategy.should_use_arena(medium_allocation));
}

#[test]
fn u15_strategy_routes_by_size() -> Result<(), Box<dyn Error>> {
    let allocator: Box<dyn MemoryAllocator<Error = AllocError>> =
        Box::new(IntelligentAllocationStrategy::new());
    let mut blocks = Vec::new();
    for size in [1, 1000, 4096, 100_000, 1 << 20, 5 << 20] {
        blocks.push((allocator.allocate(size, 64)?, size));
    }
    assert_eq!(allocator.allocated_size(), 1 + 1000 + 4096 + 100_000 + (6 << 20));
    // A size of another allocator or a foreign pointer fails, and the block stays live.
    let (first, size) = blocks[0];
    assert!(allocator.deallocate(first, 5 << 20, 64).is_err());
    assert!(allocator.reallocate(first.wrapping_add(8), size, 1 << 21, 64).is_err());
    // The block moves between the allocators with its bytes.
    let (pool, system) = (allocator.reallocate(first, 1, 3000, 64)?, blocks[2].0);
    let moved = allocator.reallocate(pool, 3000, 2 << 20, 64)?;
    blocks[0] = (allocator.reallocate(moved, 2 << 20, 5000, 64)?, 5000);
    assert!(!system.is_null());
    for (block, size) in blocks {
        allocator.deallocate(block, size, 64)?;
        assert!(allocator.deallocate(block, size, 64).is_err(), "freed twice");
    }
    assert_eq!(allocator.allocated_size(), 0);
    Ok(())
}

#[test]
fn u16_u17_u18_cache_aware_example() {
    let strategy = CacheAwareStrategy::new()
        .with_l1_cache_size(32 * 1024)
        .with_l2_cache_size(256 * 1024)
        .with_l3_cache_size(8 * 1024 * 1024);
    let alignment_f64 = strategy.get_alignment("f64"); // 32 with AVX2, 64 with AVX-512
    let alignment_f32 = strategy.get_alignment("f32");
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        assert!(alignment_f64 >= 32);
    }
    assert!(alignment_f32 == alignment_f64 && alignment_f32.is_power_of_two());
    assert_eq!(strategy.get_alignment("no type"), size_of::<usize>());
    let optimal_block = strategy.preferred_block_size(8);
    println!("Optimal f64 alignment: {alignment_f64} bytes");
    println!("Optimal block size: {} elements", optimal_block / 8);
    assert_eq!(optimal_block / 8, 2048);
    assert!(CacheAwareStrategy::new().cache_sizes().iter().all(|&size| size >= 4096));
}

#[test]
fn u19_u20_numa_aware_example() -> Result<(), Box<dyn Error>> {
    let strategy = NumaAwareStrategy::new().with_local_node_preference(true).with_interleaving(false);
    let node_count = strategy.numa_node_count();
    let current_node = strategy.current_numa_node();
    println!("NUMA nodes: {node_count}");
    println!("Current node: {current_node}");
    assert!(node_count >= 1);
    let node_allocator = strategy.allocator_for_node(current_node)?;
    let block = Block::zeroed_in(layout(1 << 20, 64)?, &node_allocator)?;
    assert_eq!(block.len(), 1 << 20);
    assert!(strategy.allocator_for_node(100_000).is_err());
    Ok(())
}

#[test]
fn u21_u22_u23_memory_monitoring_example() -> Result<(), Box<dyn Error>> {
    let monitor = MemoryMonitor::new();
    let pressure = monitor.current_pressure_level();
    match pressure {
        MemoryPressure::Low => println!("Memory pressure is low - safe to allocate"),
        MemoryPressure::Medium => println!("Memory pressure is medium - consider optimization"),
        MemoryPressure::High => println!("Memory pressure is high - reduce allocations"),
        MemoryPressure::Critical => println!("Memory pressure is critical - emergency cleanup"),
    }
    assert!(MemoryPressure::Low < MemoryPressure::Medium && MemoryPressure::High < MemoryPressure::Critical);
    monitor.on_pressure_change(|old_level, new_level| {
        println!("Memory pressure changed: {old_level:?} -> {new_level:?}");
    })?;
    Ok(())
}

#[test]
fn u25_u39_memory_aware_operation() -> Result<(), Box<dyn Error>> {
    let monitor = MemoryMonitor::new();
    if monitor.available_memory() < 16 << 20 {
        return Err("Insufficient memory for operation".into());
    }
    let large_array = Array::<f64>::zeros([1000, 1000])?;
    if monitor.current_pressure_level() >= MemoryPressure::High {
        drop(large_array);
        monitor.trigger_garbage_collection();
    }
    Ok(())
}

#[test]
fn u34_cache_optimization_example() -> Result<(), Box<dyn Error>> {
    let allocator = CacheOptimizedAllocator::new().with_prefetch_distance(64).with_alignment(32);
    let array = Array::<f64>::with_allocator(&allocator).zeros([1000, 1000])?;
    assert!(array.is_contiguous());
    assert_eq!(array.as_ptr().addr() % 32, 0);
    let invalid = CacheOptimizedAllocator::new().with_alignment(3);
    assert_eq!(Resource::allocate(&invalid, layout(10, 1)?).unwrap_err().kind, AllocErrorKind::BadLayout);
    Ok(())
}

#[test]
fn r10_r11_r13_stratified_pool_example() -> Result<(), Box<dyn Error>> {
    let pool = StratifiedMemoryPool::new("analytics");
    let tiny_buf = pool.allocate(100)?; // Tiny bucket (256B)
    let small_buf = pool.allocate(800)?; // Small bucket (1KB)
    let medium_buf = pool.allocate(2000)?; // Medium bucket (4KB)
    let large_buf = pool.allocate(10000)?; // Large bucket (16KB)
    let huge_buf = pool.allocate(50000)?; // Huge bucket (64KB)
    drop(medium_buf);
    let stats: StratifiedPoolStats = pool.stats();
    println!("Total allocations: {}", stats.total_allocations);
    println!("Cache hit rate: {:.1}%", stats.hit_rate() * 100.0);
    println!("Hits per bucket: {:?}", stats.hits_per_bucket);
    assert_eq!((stats.total_allocations, stats.returns()), (5, 1));
    drop((tiny_buf, small_buf, large_buf, huge_buf));
    Ok(())
}

#[test]
fn r14_r15_r16_r17_buckets_and_buffers() -> Result<(), Box<dyn Error>> {
    let bucket = SizeBucket::for_size(2500); // Medium (4KB)
    assert_eq!((bucket.upgrade(), bucket.downgrade()), (SizeBucket::Large, SizeBucket::Small));
    println!("Medium bucket size: {} bytes", SizeBucket::Medium.size()); // 4096
    let pool = StratifiedMemoryPool::new("compute");
    {
        let buffer: StratifiedBuffer<'_> = pool.allocate(3000)?;
        println!("Allocated {} bytes in {:?} bucket", buffer.size(), buffer.bucket());
    } // Buffer returned to Medium bucket here
    let reused = pool.allocate(3500)?; // Cache hit!
    assert_eq!((pool.stats().hits(), reused.size()), (1, 3500));
    Ok(())
}

#[test]
fn r18_r20_analytics_context_example() -> Result<(), Box<dyn Error>> {
    let num_nodes = 100_000;
    let ctx = AnalyticsContext::new("bfs_traversal");
    let frontier = ctx.allocate(1024)?;
    let visited = ctx.allocate(num_nodes / 8)?; // Bit vector
    let distances = ctx.allocate_typed::<u32>(num_nodes)?;
    let stats = ctx.stats();
    println!("Current: {} bytes", stats.current_bytes);
    println!("Peak: {} bytes", stats.peak_bytes);
    println!("Allocations: {}", stats.allocation_count);
    assert_eq!(frontier.len() + visited.len() + distances.len() * 4, stats.current_bytes);
    drop(ctx);
    Ok(())
}

#[test]
fn r19_r22_typed_and_prepared() -> Result<(), Box<dyn Error>> {
    let ctx = AnalyticsContext::new("matrix_ops");
    let matrix = ctx.allocate_typed::<f32>(1024 * 1024)?; // 4MB for 1M floats
    let indices = ctx.allocate_typed::<u64>(65536)?; // 512KB for 64K indices
    println!("Typed allocations: {}", ctx.stats().typed_allocations);
    assert_eq!((matrix.len() * 4, indices.len() * 8), (4 << 20, 512 << 10));
    let (num_nodes, num_edges) = (10_000, 50_000);
    let ctx = AnalyticsContextBuilder::new("pagerank")
        .with_expected_allocations(5)
        .with_preallocation(num_nodes * 4) // Ranks buffer
        .with_preallocation(num_nodes * 4) // Previous ranks
        .with_preallocation(num_edges * 8) // Edge weights
        .build()?;
    assert_eq!(ctx.preallocated_bytes(), num_nodes * 8 + num_edges * 8);
    Ok(())
}

#[test]
fn r23_r24_r25_r26_pressure_example() {
    let pool = StratifiedMemoryPool::new("monitored");
    let handler = PressureHandler::new()
        .on_elevated(PressureReaction::None) // Ignore mild pressure
        .on_warning(PressureReaction::Shrink { target_utilization: 0.7 }) // To 70% at warning
        .on_critical(PressureReaction::Callback(Box::new(|level| {
            eprintln!("Critical memory pressure: {level:?}");
            // Trigger emergency cleanup
        })));
    let level = handler.check_pressure(&pool);
    match level {
        PressureLevel::Normal => { /* Continue normally */ }
        PressureLevel::Elevated => { /* Maybe defer new allocations */ }
        PressureLevel::Warning => { /* Release caches */ }
        PressureLevel::Critical => { /* Emergency measures */ }
        PressureLevel::OutOfMemory => { /* Fail gracefully */ }
    }
    assert!(PressureLevel::ALL.is_sorted() && PressureLevel::ALL.contains(&level));
}
