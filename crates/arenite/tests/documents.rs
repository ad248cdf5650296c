//! Examples of the source documents, as written except for imports and unsound or uncompilable
//! lines.

use arenite::prelude::*;
use std::error::Error;

#[test]
fn u05_arena_example() -> Result<(), Box<dyn Error>> {
    let arena = ArenaAllocator::new(10 * 1024 * 1024);
    let ptr1 = arena.allocate(1024, 8)?;
    let ptr2 = arena.allocate(2048, 16)?;
    assert!(ptr1 != ptr2 && ptr1.addr().is_multiple_of(8) && ptr2.addr().is_multiple_of(16));
    println!("Arena allocated: {} bytes", arena.allocated_size());
    println!("Arena peak usage: {} bytes", arena.peak_allocated());
    assert_eq!((arena.allocated_size(), arena.peak_allocated()), (3072, 3072));
    Ok(())
}

#[test]
fn u06_matrix_operations_with_arena() -> Result<(), Box<dyn Error>> {
    fn run() -> Result<Array<f64>, Box<dyn Error>> {
        let arena = Arena::with_capacity(100 * 1024 * 1024);
        let temp1 = Array::with_allocator(&arena).zeros([1000, 1000])?;
        let temp2 = Array::with_allocator(&arena).ones([1000, 1000])?;
        let temp3 = temp1.add(&temp2)?;
        let result = Array::from(&temp3);
        Ok(result)
    }
    let result = run()?;
    assert_eq!((result.sum(), result[[999, 999]]), (1e6, 1.0));
    Ok(())
}

#[test]
fn u08_pool_example() -> Result<(), Box<dyn Error>> {
    let pool = PoolAllocator::new(1024, 100)?;
    let block1 = pool.allocate_block()?;
    let block2 = pool.allocate_block()?;
    pool.deallocate_block(block1)?;
    pool.deallocate_block(block2)?;
    println!("Pool fragmentation: {:.2}%", pool.fragmentation_level() * 100.0);
    assert_eq!(pool.state().live_blocks, 0);
    Ok(())
}

#[test]
fn u12_system_allocator_example() {
    let allocator = SystemAllocator::new();
    let ptr = allocator.allocate(4096, 16).expect("Allocation failed");
    assert_eq!((allocator.allocated_size(), allocator.peak_allocated()), (4096, 4096));
    allocator.deallocate(ptr, 4096, 16).expect("Deallocation failed");
    assert_eq!((allocator.allocated_size(), allocator.peak_allocated()), (0, 4096));
}

#[test]
fn u38_allocator_is_chosen_at_run_time() -> Result<(), Box<dyn Error>> {
    fn choose(operation_type: &str, data_size: usize) -> Box<dyn MemoryAllocator<Error = AllocError>> {
        match operation_type {
            "temporary" => Box::new(ArenaAllocator::new(data_size * 2)),
            "streaming" => Box::new(PoolAllocator::new(4096, 1000).unwrap()),
            _ => Box::new(SystemAllocator::new()),
        }
    }
    for operation in ["temporary", "streaming", "persistent"] {
        let allocator = choose(operation, 1 << 20);
        let block = allocator.allocate(4096, 16)?;
        assert_eq!(allocator.allocated_size(), 4096, "{operation}");
        assert!(allocator.deallocate(block.wrapping_add(1), 4096, 16).is_err(), "{operation}");
        allocator.deallocate(block, 4096, 16)?;
        assert!(allocator.deallocate(block, 4096, 16).is_err(), "{operation}");
        assert_eq!(allocator.allocated_size(), 0, "{operation}");
    }
    Ok(())
}

/// A workspace that owns its arena. The document's struct borrows from itself; a counted handle
/// compiles.
struct TemporaryWorkspace {
    arrays: Vec<Array<f64, LocalHandle<Arena>>>,
    arena: LocalHandle<Arena>,
}

impl TemporaryWorkspace {
    fn new(capacity: usize) -> Self {
        Self { arrays: Vec::new(), arena: LocalHandle::new(Arena::with_capacity(capacity)) }
    }

    fn create_array(&mut self, shape: &[usize]) -> Result<&Array<f64, LocalHandle<Arena>>, Box<dyn Error>> {
        let array = Array::with_allocator(self.arena.clone()).zeros(shape)?;
        self.arrays.push(array);
        self.arrays.last().ok_or_else(|| "just pushed".into())
    }
}

#[test]
fn u40_workspace_owns_its_arena_and_its_arrays() -> Result<(), Box<dyn Error>> {
    let mut workspace = TemporaryWorkspace::new(100 * 1024 * 1024);
    workspace.create_array(&[1000, 1000])?;
    workspace.create_array(&[500, 2000])?;
    let [temp1, temp2] = &workspace.arrays[..] else { return Err("two arrays".into()) };
    assert!(temp1.add(temp2).is_err(), "shapes differ");
    let flat = temp1.view().reshape([500, 2000])?;
    assert_eq!(flat.len(), temp2.len());
    let arena = workspace.arena.clone();
    assert_eq!(arena.state().live_blocks, 2);
    drop(workspace);
    assert_eq!(arena.state().live_blocks, 0);
    Ok(())
}

#[test]
fn a10_training_loop_restores_a_mark() -> Result<(), Box<dyn Error>> {
    let arena = Arena::new();
    let params = Array::<f32>::with_allocator(&arena).ones([1000])?;
    let save = arena.mark()?;
    for _ in 0..3 {
        let forward = Array::<f32>::with_allocator(&arena).full([1 << 20], 2.0)?;
        assert_eq!(forward.sum(), 2.0 * f32::from(1u16 << 15) * 32.0);
        drop(forward);
        arena.restore(save)?;
        assert_eq!(params.sum(), 1000.0);
    }
    assert_eq!(arena.state().live_blocks, 1);
    Ok(())
}

#[test]
fn a18_shared_arena_serves_all_tensors() -> Result<(), Box<dyn Error>> {
    static TENSORS: std::sync::LazyLock<SharedArena> = std::sync::LazyLock::new(SharedArena::new);
    let sums: Vec<f64> = std::thread::scope(|threads| {
        let sum = |value| {
            move || Array::<f64, _>::with_allocator(&*TENSORS).full([100], value).map(|array| array.sum())
        };
        let handles: Vec<_> = (0..4u8).map(|id| threads.spawn(sum(f64::from(id)))).collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).collect::<Result<_, _>>()
    })?;
    assert_eq!(sums, [0.0, 100.0, 200.0, 300.0]);
    assert_eq!(TENSORS.state().live_blocks, 0);
    Ok(())
}

#[test]
fn a05_chunked_arena_lists_its_chunks() -> Result<(), Box<dyn Error>> {
    let arena = Arena::with_chunk_size(PageAllocator::new(), 64 << 10);
    arena.alloc_bytes(40 << 10)?;
    arena.alloc_bytes(40 << 10)?;
    let chunks = arena.chunks();
    let [head, current] = &chunks[..] else { return Err("two chunks".into()) };
    assert_eq!((head.size, head.used, current.used), (64 << 10, 40 << 10, 40 << 10));
    assert_ne!(head.data, current.data);
    Ok(())
}

#[test]
fn a13_arena_blocks_are_contiguous() -> Result<(), Box<dyn Error>> {
    let arena = Arena::new();
    let starts: Vec<usize> = (0..1000)
        .map(|_| arena.alloc_bytes(192).map(|block| block.as_ptr().addr()))
        .collect::<Result<_, _>>()?;
    assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + 192), "a gap");
    assert_eq!(arena.in_use(), 192_000);
    Ok(())
}

#[test]
fn a14_pool_has_one_block_size_and_a_capacity() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new(48, 1024)?;
    assert_eq!((pool.block_size(), pool.capacity(), pool.live_blocks()), (48, 1024, 0));
    let blocks = (0..1024).map(|_| pool.allocate_block()).collect::<Result<Vec<_>, _>>()?;
    let full = pool.allocate_block().unwrap_err();
    assert_eq!((full.kind, full.state.live_blocks), (AllocErrorKind::CapacityReached, 1024));
    for block in blocks {
        pool.deallocate_block(block)?;
    }
    Ok(())
}

#[test]
fn u10_fragmentation_is_the_free_fraction_of_touched_blocks() -> Result<(), Box<dyn Error>> {
    let pool = PoolAllocator::new(1024, 100)?;
    assert_eq!(pool.fragmentation_level(), 0.0);
    let blocks = (0..4).map(|_| pool.allocate_block()).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(pool.fragmentation_level(), 0.0);
    for (freed, block) in blocks.into_iter().enumerate() {
        pool.deallocate_block(block)?;
        assert_eq!(pool.fragmentation_level(), (freed + 1) as f64 / 4.0);
    }
    Ok(())
}

#[test]
fn n41_n42_n43_pool_is_used_and_dropped() -> Result<(), Box<dyn Error>> {
    let upstream = CountedGlobal::new();
    let pool = Pool::new_in(&upstream, 4096, 16)?.with_label("particles");
    let block = pool.allocate_block()?;
    pool.deallocate_block(block)?;
    assert_eq!(pool.allocate_block()?, block, "the block freed last is reused first");
    assert_eq!(upstream.state().live_blocks, 1);
    drop(pool);
    assert_eq!(upstream.state().live_blocks, 0);
    Ok(())
}

#[test]
fn u30_u31_array_is_backed_by_a_file() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let file_path = dir.path().join("large_array.dat");
    let array_size = [10000, 10000]; // 100M f64 elements
    let mmap_allocator = MemoryMappedAllocator::new(&file_path, true)?; // read-write
    let mut array = Array::with_allocator(&mmap_allocator).zeros(array_size)?;
    // Modifications are automatically written to disk
    array[[1000, 1000]] = 42.0;
    // Explicit sync to disk
    mmap_allocator.sync()?;
    println!("Array backed by file: {}", file_path.display());
    println!("Array size: {} bytes", array.memory_usage());
    assert_eq!(array.memory_usage(), 800_000_000);
    drop(array);
    drop(mmap_allocator);
    let mut number = [0; 8];
    let file = std::fs::File::open(&file_path)?;
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut number, 8 * (1000 * 10_000 + 1000))?;
    assert_eq!(f64::from_ne_bytes(number), 42.0);
    Ok(())
}

#[test]
fn u36_u37_arrays_under_numa_policies() -> Result<(), Box<dyn Error>> {
    // Allocate on local NUMA node
    let local_allocator = NumaAllocator::new(NumaPolicy::Local)?;
    // Allocate with interleaving across all nodes
    let interleaved_allocator = NumaAllocator::new(NumaPolicy::Interleave)?;
    // Allocate on specific node
    let node_allocator = NumaAllocator::new(NumaPolicy::Bind(0))?;
    // Create arrays with different NUMA policies
    let local_array = Array::<f64>::with_allocator(&local_allocator).zeros([5000, 5000])?;
    let interleaved_array = Array::<f64>::with_allocator(&interleaved_allocator).zeros([5000, 5000])?;
    // Check NUMA placement
    println!("Local array NUMA node: {:?}", local_array.numa_node());
    println!("Interleaved array NUMA distribution: {:?}", interleaved_array.numa_distribution());
    let bound = Array::<f64>::with_allocator(&node_allocator).ones([500, 500])?;
    assert_eq!((bound.numa_node()?, bound.numa_distribution()?.absent), (Some(0), 0));
    assert!(bound.numa_distribution()?.bytes_on_node(0) >= bound.memory_usage());
    Ok(())
}
