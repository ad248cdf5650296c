//! The laws of a resource over every implementation; a new resource needs one more line here.

use arenite_alloc::*;
use arenite_core::{Alignment, Block, Resource};
use arenite_pages::{MemoryMappedAllocator, NumaAllocator, NumaPolicy, PageAllocator};
use std::rc::Rc;
use std::sync::Arc;
use testkit::doubles::{Counting, Scribbling, ThreadCounter};
use testkit::laws::Traits;
use testkit::resource_laws;

#[global_allocator]
static COUNTER: ThreadCounter = ThreadCounter;

/// Traits of a resource that frees each block.
const EACH: Traits =
    Traits { max_align: 4 << 20, max_size: 64 << 10, max_live: 64, frees_each: true, own_counts: true };
/// Traits of an arena.
const ARENA: Traits = EACH.freed_together();
/// Traits of a heap, whose largest alignment is 2 MiB.
const HEAP: Traits = Traits { max_align: 2 << 20, ..EACH };
/// Traits of a heap in 16 MiB, in which only a few blocks of the largest alignments fit.
const BOUNDED: Traits = Traits { max_align: 64 << 10, max_size: 32 << 10, ..EACH };
/// Traits of a pool of 4 KiB blocks at alignment 64.
const POOL: Traits = EACH.equal_blocks(4096, 64, 64);

/// Returns blocks in a temporary file whose directory is already deleted.
fn in_a_file() -> MemoryMappedAllocator {
    let dir = tempfile::tempdir().expect("a temporary directory");
    MemoryMappedAllocator::new(dir.path().join("blocks"), true).expect("a test file")
}

/// Returns a heap in a leaked buffer.
fn in_a_buffer() -> BoundedHeap<'static> {
    BoundedHeap::new(Box::leak(Box::new_uninit_slice(16 << 20)))
}

fn options() -> ArenaOptions {
    ArenaOptions::new()
}

// The global allocator, and OS pages.
resource_laws!(global, Global, EACH.shared_counts());
resource_laws!(system, CountedGlobal::new(), EACH);
resource_laws!(pages, PageAllocator::new(), EACH);
resource_laws!(numa_local, NumaAllocator::new(NumaPolicy::Local).unwrap(), EACH);
resource_laws!(numa_interleaved, NumaAllocator::new(NumaPolicy::Interleave).unwrap(), EACH);
resource_laws!(in_a_file, in_a_file(), EACH);

// Heaps.
resource_laws!(heap, Heap::new(), HEAP);
resource_laws!(hardened_heap, Heap::new().with_hardening(Hardening::ALL), HEAP);
resource_laws!(bounded_heap, in_a_buffer(), BOUNDED);
resource_laws!(heap_of_binary_classes, Heap::with_classes(SizeClasses::Binary), HEAP);

// Pools of any size.
resource_laws!(memory_pool, MemoryPool::new(64 << 20), BOUNDED);
resource_laws!(memory_pool_at_64, MemoryPool::new(64 << 20).with_alignment(64), BOUNDED);
resource_laws!(memory_pool_shared, SharedMemoryPool::new(MemoryPool::new(64 << 20)), BOUNDED);
resource_laws!(stratified, StratifiedMemoryPool::new("laws"), HEAP);
resource_laws!(stratified_local, LocalStratifiedPool::new("laws"), HEAP);
resource_laws!(
    stratified_over_pages,
    StratifiedMemoryPool::with_upstream("laws", PageAllocator::new()),
    EACH
);
resource_laws!(cache_optimized, CacheOptimizedAllocator::new(), HEAP);
resource_laws!(spilling, Spill::new("laws"), HEAP);
resource_laws!(budgeted, Budgeted::new(Heap::new(), Budget::new("laws", usize::MAX)), HEAP);

// Arenas over a range.
resource_laws!(arena, Arena::new(), ARENA);
resource_laws!(arena_bounded, Arena::with_capacity(64 << 20), ARENA);
resource_laws!(arena_huge_never, options().with_huge_pages(HugePages::Never).build(), ARENA);
resource_laws!(
    arena_huge_always,
    options().with_capacity(128 << 20).with_huge_pages(HugePages::Always).build(),
    ARENA
);
resource_laws!(arena_shared, SharedArena::new(), ARENA);
resource_laws!(arena_shared_bounded, SharedArena::with_capacity(64 << 20), ARENA);

// Arenas over chunks.
resource_laws!(arena_over_pages, Arena::chunked(PageAllocator::new()), ARENA);
resource_laws!(arena_over_small_pages, Arena::with_chunk_size(PageAllocator::new(), 4096), ARENA);
resource_laws!(arena_over_global, Arena::with_chunk_size(Global, 10_000), ARENA);
resource_laws!(arena_over_system, Arena::with_chunk_size(CountedGlobal::new(), 100), ARENA);
resource_laws!(arena_over_arena, Arena::with_chunk_size(&Arena::new(), 4096), ARENA);
resource_laws!(arena_over_arena_in_tiny_chunks, Arena::with_chunk_size(&Arena::new(), 64), ARENA);
resource_laws!(
    arena_over_shared_arena,
    Arena::with_chunk_size(SharedHandle::new(SharedArena::new()), 4096),
    ARENA
);
resource_laws!(
    arena_over_pool,
    Arena::with_chunk_size(Pool::new(64 << 10, 200).unwrap(), 64 << 10),
    Traits { max_size: 4096, max_align: 64, max_live: 64, ..ARENA }
);
resource_laws!(
    arena_over_scribbling,
    Arena::with_chunk_size(Scribbling::new(CountedGlobal::new()), 4096),
    ARENA
);

// Scopes.
resource_laws!(arena_scope, Arena::new().scope_guard().scope(), ARENA);
resource_laws!(arena_scope_in_scope, Arena::new().scope_guard().scope().scope_guard().scope(), ARENA);
resource_laws!(
    arena_scope_over_pages,
    Arena::with_chunk_size(PageAllocator::new(), 4096).scope_guard().scope(),
    ARENA
);

// Pools.
resource_laws!(pool, Pool::new(4096, 64).unwrap(), POOL);
resource_laws!(pool_of_small_blocks, Pool::new(24, 40).unwrap(), EACH.equal_blocks(24, 8, 40));
resource_laws!(pool_aligned, Pool::with_alignment(100, 4096, 10).unwrap(), EACH.equal_blocks(100, 4096, 10));
resource_laws!(pool_over_system, Pool::new_in(CountedGlobal::new(), 4096, 64).unwrap(), POOL);
resource_laws!(pool_over_arena, Pool::new_in(&Arena::new(), 4096, 64).unwrap(), POOL);
resource_laws!(pool_shared, SharedPool::new(4096, 64).unwrap(), POOL);
resource_laws!(pool_shared_over_pages, SharedPool::new_in(PageAllocator::new(), 4096, 64).unwrap(), POOL);
resource_laws!(pools_by_size, BinnedPools::new(), EACH);

// Adaptors.
resource_laws!(aligned, Aligned::new(CountedGlobal::new(), Alignment::DEFAULT), EACH);
resource_laws!(limit, Limit::new(CountedGlobal::new(), 64 << 20), EACH);
resource_laws!(limit_over_arena, Limit::new(Arena::new(), 64 << 20), ARENA);
resource_laws!(fallback, Fallback::new(Pool::new(64, 10).unwrap(), CountedGlobal::new()), EACH);
resource_laws!(traced, Traced::new(CountedGlobal::new(), arenite_core::NoSink, "traced"), EACH);
resource_laws!(failing_never, Failing::pass_through(CountedGlobal::new()), EACH);
resource_laws!(scribbling, Scribbling::new(CountedGlobal::new()), EACH);
resource_laws!(counting, Counting::new(CountedGlobal::new()), EACH);

// Checked wrappers and locks.
resource_laws!(checked_system, Checked::new(CountedGlobal::new()), EACH);
resource_laws!(checked_arena, Checked::new(SharedArena::new()), ARENA);
resource_laws!(locked_arena, Locked::new(Arena::new()), ARENA);
resource_laws!(locked_chunked_arena, Locked::new(Arena::with_chunk_size(PageAllocator::new(), 4096)), ARENA);
resource_laws!(
    checked_locked_arena,
    Checked::new(Locked::new(Arena::with_chunk_size(CountedGlobal::new(), 4096))),
    ARENA
);

// Handles.
resource_laws!(local_handle, LocalHandle::new(Arena::new()), ARENA);
resource_laws!(local_handle_of_pool, LocalHandle::new(Pool::new(4096, 64).unwrap()), POOL);
resource_laws!(shared_handle, SharedHandle::new(SharedArena::new()), ARENA);
resource_laws!(by_reference, &Arena::new(), ARENA);
resource_laws!(by_dyn_reference, &CountedGlobal::new() as &dyn Resource, EACH);
resource_laws!(boxed, Box::new(CountedGlobal::new()) as Box<dyn Resource>, EACH);
resource_laws!(counted, Rc::new(Arena::new()) as Rc<dyn Resource>, ARENA);
resource_laws!(counted_by_threads, Arc::new(SharedArena::new()) as Arc<dyn Resource + Send + Sync>, ARENA);

// A stack of adaptors.
resource_laws!(
    tower,
    Limit::new(
        Traced::new(
            Locked::new(Arena::with_chunk_size(Counting::new(PageAllocator::new()), 8192)),
            arenite_core::NoSink,
            "t"
        ),
        1 << 30
    ),
    ARENA
);

#[test]
fn a_block_of_each_handle_keeps_its_resource() {
    let layout = arenite_core::layout(100, 64).unwrap();
    let arena = LocalHandle::new(Arena::new());
    let block = Block::zeroed_in(layout, arena.clone()).unwrap();
    drop(arena);
    assert_eq!((block.len(), block.resource().state().live_blocks), (100, 1));
}
