//! Strategies, statistics of a pool and cache-line alignment, as the documents describe them.
#![expect(unsafe_code, reason = "frees raw blocks")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use arenite_alloc::{
    AllocationStrategy, Arena, AtomicPoolStats, CacheAwareStrategy, CacheLineAligned, Heap,
    IntelligentAllocationStrategy, NumaAwareStrategy, Pool, StratifiedMemoryPool,
};
use arenite_core::{MemoryAllocator, MemoryPressure, Resource};
use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

/// A strategy with rules of its own, whose answers differ from every default.
struct Small;

impl AllocationStrategy for Small {
    fn should_use_arena(&self, size: usize) -> bool {
        size > 1000
    }

    fn should_use_pool(&self, size: usize) -> bool {
        size == 64
    }

    fn get_alignment(&self, dtype: &str) -> usize {
        if dtype == "f64" { 128 } else { 16 }
    }

    fn estimate_fragmentation(&self) -> f64 {
        0.25
    }

    fn can_allocate(&self, size: usize) -> bool {
        size <= 10_000
    }

    fn preferred_block_size(&self, element_size: usize) -> usize {
        10 * element_size
    }

    fn memory_pressure_level(&self) -> MemoryPressure {
        MemoryPressure::High
    }
}

/// Three resources behind any strategy: the program that the trait is for.
struct Program<'s> {
    strategy: &'s dyn AllocationStrategy,
    arena: Arena,
    pool: Pool,
    heap: Heap,
}

impl<'s> Program<'s> {
    fn new(strategy: &'s dyn AllocationStrategy) -> Self {
        let pool = Pool::with_alignment(4096, 4096, 16).unwrap();
        Self { strategy, arena: Arena::new(), pool, heap: Heap::new() }
    }

    /// Allocates numbers of a type. Returns the name of the chosen resource and the address.
    fn allocate(&self, dtype: &str, size: usize) -> Option<(&'static str, usize)> {
        if !self.strategy.can_allocate(size) {
            return None;
        }
        let layout = Layout::from_size_align(size, self.strategy.get_alignment(dtype)).unwrap();
        let (name, resource): (_, &dyn Resource) = if self.strategy.should_use_pool(size) {
            ("pool", &self.pool)
        } else if self.strategy.should_use_arena(size) {
            ("arena", &self.arena)
        } else {
            ("heap", &self.heap)
        };
        let live = resource.state().live_blocks;
        let block = resource.allocate(layout).unwrap().cast::<u8>();
        assert_eq!(resource.state().live_blocks, live + 1);
        // SAFETY: a live block of this resource and layout, not used again.
        unsafe { resource.deallocate(block, layout) };
        Some((name, block.addr().get()))
    }
}

#[test]
fn u04_a_strategy_is_pluggable_and_its_answers_choose_resource_and_alignment() {
    let by_size =
        IntelligentAllocationStrategy::new().with_arena_threshold(1 << 20).with_pool_threshold(4096);
    let by_cache = CacheAwareStrategy::new()
        .with_l1_cache_size(8 << 10)
        .with_l2_cache_size(256 << 10)
        .with_l3_cache_size(8 << 20);
    let expected: [(&dyn AllocationStrategy, [&str; 4]); 4] = [
        (&Small, ["pool", "heap", "arena", "none"]),
        (&by_size, ["pool", "pool", "heap", "arena"]),
        (&by_cache, ["pool", "pool", "heap", "heap"]),
        (&NumaAwareStrategy::new(), ["pool", "pool", "heap", "arena"]),
    ];
    for (at, (strategy, names)) in expected.into_iter().enumerate() {
        let program = Program::new(strategy);
        for (size, name) in [64, 1000, 8192, 2 << 20].into_iter().zip(names) {
            let (used, address) = program.allocate("f64", size).unwrap_or(("none", 0));
            assert_eq!(used, name, "strategy {at}, {size} bytes");
            assert!(address.is_multiple_of(strategy.get_alignment("f64")), "strategy {at}, {size} bytes");
        }
    }
}

#[test]
fn u04_each_built_in_strategy_answers_every_question() {
    let by_size = IntelligentAllocationStrategy::new();
    let boxed: [Box<dyn AllocationStrategy>; 3] =
        [Box::new(by_size), Box::new(CacheAwareStrategy::new()), Box::new(NumaAwareStrategy::new())];
    for (at, strategy) in boxed.iter().enumerate() {
        // the alignment serves this processor's vectors; what is no type of numbers has a word's
        for (dtype, own) in [("f32", 4), ("f64", 8), ("i32", 4), ("u8", 1)] {
            let alignment = strategy.get_alignment(dtype);
            assert!(alignment.is_power_of_two() && alignment >= own.max(16), "{at}: {dtype} {alignment}");
            #[cfg(target_arch = "x86_64")]
            if std::is_x86_feature_detected!("avx2") {
                assert!(alignment >= 32, "{at}: {dtype} {alignment}");
            }
        }
        assert_eq!(strategy.get_alignment("no type"), size_of::<usize>(), "{at}");
        for element in [1, 4, 8, 12, 4096, 1 << 20] {
            let block = strategy.preferred_block_size(element);
            assert!(block >= element && block.is_multiple_of(element), "{at}: {block} for {element}");
        }
        assert!(strategy.can_allocate(4096) && !strategy.can_allocate(usize::MAX), "{at}");
        assert!((0.0..=1.0).contains(&strategy.estimate_fragmentation()), "{at}");
        // a level that the machine is at: no other can be expected
        assert!((MemoryPressure::Low..=MemoryPressure::Critical).contains(&strategy.memory_pressure_level()));
        assert!(!(strategy.should_use_pool(64) && strategy.should_use_arena(64)), "{at}");
    }
}

#[test]
fn u04_the_fragmentation_is_that_of_the_strategys_own_memory() {
    let strategy = IntelligentAllocationStrategy::new();
    assert!(strategy.estimate_fragmentation().abs() < f64::EPSILON, "nothing is held");
    // 2,500 bytes lie in a block of 4 KiB, and a freed block is still held
    let blocks: Vec<_> = (0..8).map(|_| strategy.allocate(2500, 8).unwrap()).collect();
    let full = strategy.estimate_fragmentation();
    blocks.iter().skip(1).for_each(|&block| strategy.deallocate(block, 2500, 8).unwrap());
    let sparse = strategy.estimate_fragmentation();
    assert!(full < sparse && sparse > 0.5 && sparse < 1.0, "{full} {sparse}");
    strategy.deallocate(blocks[0], 2500, 8).unwrap();
    assert!((strategy.estimate_fragmentation() - 1.0).abs() < f64::EPSILON);
}

/// A pool that threads share, with the statistics of the document's.
struct Counted<'h> {
    heap: &'h Heap,
    free: Mutex<Vec<usize>>,
    stats: AtomicPoolStats,
}

impl Counted<'_> {
    const LAYOUT: Layout = match Layout::from_size_align(4096, 64) {
        Ok(layout) => layout,
        Err(_) => panic!("too large"),
    };

    fn acquire(&self) -> usize {
        let free = self.free.lock().unwrap().pop();
        if free.is_some() {
            self.stats.record_hit()
        } else {
            self.stats.record_miss()
        }
        free.unwrap_or_else(|| {
            self.heap.allocate(Self::LAYOUT).unwrap().cast::<u8>().expose_provenance().get()
        })
    }

    fn release(&self, block: usize) {
        self.stats.record_return();
        self.free.lock().unwrap().push(block);
    }
}

#[test]
fn r09_pool_stats_count_hits_misses_and_returns_of_all_threads() {
    let (heap, threads, rounds) = (Heap::new(), 4, 1000);
    let pool = Counted { heap: &heap, free: Mutex::default(), stats: AtomicPoolStats::new() };
    assert_eq!((pool.stats.hits(), pool.stats.misses(), pool.stats.returns()), (0, 0, 0));
    assert!(pool.stats.hit_rate().abs() < f64::EPSILON, "no request yet");
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..rounds).for_each(|_| pool.release(pool.acquire())));
        }
    });
    let stats = &pool.stats;
    assert_eq!((stats.hits() + stats.misses(), stats.returns()), (threads * rounds, threads * rounds));
    // a miss made each block there is
    assert_eq!(stats.misses(), pool.free.lock().unwrap().len() as u64);
    assert!((1..=threads).contains(&stats.misses()), "{}", stats.misses());
    let rate = stats.hits() as f64 / (threads * rounds) as f64;
    assert!((stats.hit_rate() - rate).abs() < 1e-12 && rate > 0.99);
    for block in pool.free.into_inner().unwrap() {
        let block = NonNull::new(core::ptr::with_exposed_provenance_mut(block)).unwrap();
        // SAFETY: a live block of this heap and layout, in the list once, not used again.
        unsafe { heap.deallocate(block, Counted::LAYOUT) };
    }
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn r09_a_stratified_pool_counts_the_same_three() {
    let pool = StratifiedMemoryPool::new("counts");
    let three: Vec<_> = (0..3).map(|_| pool.allocate(800).unwrap()).collect();
    assert_eq!((pool.stats().hits(), pool.stats().misses(), pool.stats().returns()), (0, 3, 0));
    drop(three);
    assert_eq!((pool.stats().hits(), pool.stats().misses(), pool.stats().returns()), (0, 3, 3));
    let again = (pool.allocate(1000).unwrap(), pool.allocate(100).unwrap());
    assert_eq!((pool.stats().hits(), pool.stats().misses(), pool.stats().returns()), (1, 4, 3));
    assert!((pool.stats().hit_rate() - 0.2).abs() < 1e-12);
    drop(again);
    assert_eq!(pool.stats().returns(), 5);
}

#[test]
fn r40_a_value_has_a_pair_of_cache_lines_to_itself() {
    /// The type of the document, to compare with.
    #[repr(C, align(128))]
    struct Document<T> {
        value: T,
    }
    fn same<T>() {
        let [ours, document] = [Layout::new::<CacheLineAligned<T>>(), Layout::new::<Document<T>>()];
        assert_eq!(ours, document);
        assert_eq!((ours.align(), ours.size() % 128, offset_of!(Document<T>, value)), (128, 0, 0));
    }
    same::<u8>();
    same::<AtomicU64>();
    same::<[u8; 128]>();
    same::<[u8; 129]>();
    assert_eq!([size_of::<CacheLineAligned<u8>>(), size_of::<CacheLineAligned<[u8; 129]>>()], [128, 256]);

    // on the stack, in a list, in an allocator's block: each value lies at the start of its lines
    let mut list: Vec<_> = (0..5_u64).map(CacheLineAligned::new).collect();
    for (at, value) in list.iter().enumerate() {
        let address = (&raw const **value).addr();
        assert_eq!(address % 128, 0);
        assert_eq!(address, list.as_ptr().addr() + at * 128);
    }
    *list[1] += 10;
    assert_eq!(list.iter().map(|value| **value).collect::<Vec<_>>(), [0, 11, 2, 3, 4]);
    let arena = Arena::new();
    let block = arena.allocate(Layout::new::<CacheLineAligned<u32>>()).unwrap();
    assert_eq!((block.len() >= 128, block.addr().get() % 128), (true, 0));
    assert_eq!(CacheLineAligned::new(7).into_inner(), 7);
}

#[test]
fn r40_counters_of_two_threads_share_no_line() {
    let counters: [CacheLineAligned<AtomicU64>; 2] = Default::default();
    std::thread::scope(|scope| {
        for counter in &counters {
            scope.spawn(|| (0..10_000).for_each(|_| _ = counter.fetch_add(1, Relaxed)));
        }
    });
    let lines = counters.each_ref().map(|counter| (&raw const **counter).addr() / 128);
    assert_eq!((lines[1] - lines[0], counters.map(|counter| counter.load(Relaxed))), (1, [10_000; 2]));
}
