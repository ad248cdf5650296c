//! One allocation path, run a given number of times: `instructions PATH COUNT`.
//!
//! callgrind counts the instructions. The difference between a run of `2 * COUNT` and a run of
//! `COUNT` operations is the cost of the path without start and end. Without arguments the program
//! lists the paths: name, default count, allocator calls per operation, description, separated by
//! tabs. `benchmarks/instructions.sh` prints the table of all paths.
#![expect(unsafe_code, reason = "frees raw blocks")]

use arenite_alloc::{
    AnalyticsContext, Arena, Budget, Heap, LocalStratifiedPool, MemoryPool, Pool, SharedArena, SharedPool,
    StratifiedMemoryPool,
};
use arenite_core::{AllocError, Resource};
use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;

type Done = Result<(), Box<dyn Error>>;

/// A path: its name, its default count, the allocator calls of one operation, what one operation
/// is.
type Path = (&'static str, u64, u64, &'static str, fn(u64) -> Done);

const PATHS: [Path; 23] = [
    ("arena", 1000, 101, "allocate 64 B x 100, reset", arena),
    ("arena_mark", 20_000, 6, "mark, allocate 64 B x 4, restore", arena_mark),
    ("arena_mark_freed", 20_000, 10, "mark, allocate 64 B x 4, free x 4, restore", arena_mark_freed),
    ("shared_arena", 1000, 101, "allocate 64 B x 100, reset", shared_arena),
    ("pool", 20_000, 2, "pair of 64 B, unchecked API", pool::<64>),
    ("pool_256", 20_000, 2, "pair of 256 B, unchecked API", pool::<256>),
    ("pool_1k", 20_000, 2, "pair of 1 KiB, unchecked API", pool::<1024>),
    ("pool_block", 20_000, 2, "pair of 64 B, checked API", pool_block),
    ("shared_pool", 20_000, 2, "pair of 64 B, unchecked API", shared_pool),
    ("shared_pool_block", 20_000, 2, "pair of 64 B, checked API", shared_pool_block),
    ("heap", 20_000, 2, "pair of 64 B", heap::<64>),
    ("heap_256", 20_000, 2, "pair of 256 B", heap::<256>),
    ("heap_1k", 20_000, 2, "pair of 1 KiB", heap::<1024>),
    ("heap_mixed", 100_000, 2, "free and allocate, 10,000 live blocks of 8 B to 64 KiB", heap_mixed),
    ("heap_remote", 100, 5000, "2,500 x 256 B, freed by another thread", heap_remote),
    ("heap_global", 20_000, 2, "pair of 64 B as GlobalAlloc", heap_global),
    ("heap_global_1k", 20_000, 2, "pair of 1 KiB as GlobalAlloc, size known at run time", heap_global_1k),
    ("stratified_local", 20_000, 2, "pair of 1 KiB", stratified_local),
    ("stratified_shared", 20_000, 2, "pair of 1 KiB", stratified_shared),
    ("context", 5000, 4, "new context, allocate 1 KiB x 3, drop", context),
    ("budget_charge", 20_000, 2, "charge and release 100 B, three levels", budget_charge),
    ("memory_pool", 20_000, 2, "pair of 64 KiB, pool 30 % full", memory_pool),
    ("memory_pool_mixed", 20_000, 2, "pair of 4 KiB to 1 MiB, pool 30 % full", memory_pool_mixed),
];

/// Returns the layout of a size that is a constant of the caller.
const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("the size is too large"),
    }
}

/// The xorshift generator of Marsaglia (2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % bound.max(1)
    }

    /// Returns a size of `least` bytes or more; each of `doublings` doublings is as likely.
    fn size(&mut self, least: usize, doublings: usize) -> usize {
        let base = least << self.below(doublings);
        base + self.below(base) / 8 * 8
    }
}

/// Allocates and frees one block, `count` times.
#[inline(always)]
fn pairs<R: Resource>(resource: &R, layout: Layout, count: u64) -> Result<(), AllocError> {
    let resource = black_box(resource);
    for _ in 0..count {
        let block = black_box(resource.allocate(layout)?.cast::<u8>());
        // SAFETY: a live block of this resource and layout, not used again.
        unsafe { resource.deallocate(block, layout) };
    }
    Ok(())
}

#[inline(never)]
fn arena(count: u64) -> Done {
    let mut arena = Arena::new();
    for _ in 0..count {
        let arena = black_box(&mut arena);
        for _ in 0..100 {
            _ = black_box(arena.allocate(const { layout(64) })?);
        }
        arena.reset();
    }
    Ok(())
}

#[inline(never)]
fn arena_mark(count: u64) -> Done {
    let mut arena = Arena::new();
    for _ in 0..count {
        let arena = black_box(&mut arena);
        let mark = arena.mark()?;
        for _ in 0..4 {
            _ = black_box(arena.allocate(const { layout(64) })?);
        }
        arena.restore_mut(mark)?;
    }
    Ok(())
}

/// Restores a borrowed arena, which needs every block above the mark to be freed before.
#[inline(never)]
fn arena_mark_freed(count: u64) -> Done {
    const LAYOUT: Layout = layout(64);
    let arena = Arena::new();
    let arena = black_box(&arena);
    for _ in 0..count {
        let mark = arena.mark()?;
        let mut blocks = [NonNull::dangling(); 4];
        for block in &mut blocks {
            *block = black_box(arena.allocate(LAYOUT)?.cast::<u8>());
        }
        for block in blocks {
            // SAFETY: a live block of this arena and layout, not used again.
            unsafe { arena.deallocate(block, LAYOUT) };
        }
        arena.restore(mark)?;
    }
    Ok(())
}

#[inline(never)]
fn shared_arena(count: u64) -> Done {
    let mut arena = SharedArena::new();
    for _ in 0..count {
        let arena = black_box(&mut arena);
        for _ in 0..100 {
            _ = black_box(arena.allocate(const { layout(64) })?);
        }
        arena.reset();
    }
    Ok(())
}

#[inline(never)]
fn pool<const SIZE: usize>(count: u64) -> Done {
    Ok(pairs(&Pool::new(SIZE, 100)?, const { layout(SIZE) }, count)?)
}

#[inline(never)]
fn pool_block(count: u64) -> Done {
    let pool = Pool::new(64, 100)?;
    let pool = black_box(&pool);
    for _ in 0..count {
        let block = black_box(pool.allocate_block()?);
        pool.deallocate_block(block)?;
    }
    Ok(())
}

#[inline(never)]
fn shared_pool(count: u64) -> Done {
    Ok(pairs(&SharedPool::new(64, 100)?, const { layout(64) }, count)?)
}

#[inline(never)]
fn shared_pool_block(count: u64) -> Done {
    let pool = SharedPool::new(64, 100)?;
    let pool = black_box(&pool);
    for _ in 0..count {
        let block = black_box(pool.allocate_block()?);
        pool.deallocate_block(block)?;
    }
    Ok(())
}

#[inline(never)]
fn heap<const SIZE: usize>(count: u64) -> Done {
    Ok(pairs(&Heap::new(), const { layout(SIZE) }, count)?)
}

#[inline(never)]
fn heap_mixed(count: u64) -> Done {
    let heap = Heap::new();
    let heap = black_box(&heap);
    let mut random = Random(7);
    let allocate = |random: &mut Random| -> Result<(NonNull<u8>, Layout), Box<dyn Error>> {
        let layout = Layout::from_size_align(random.size(8, 13), 8)?;
        Ok((heap.allocate(layout)?.cast(), layout))
    };
    let mut live = Vec::with_capacity(10_000);
    for _ in 0..10_000 {
        live.push(allocate(&mut random)?);
    }
    for _ in 0..count {
        let at = random.below(live.len());
        let (block, layout) = live[at];
        // SAFETY: a live block of this heap and layout; its entry is replaced below.
        unsafe { heap.deallocate(block, layout) };
        live[at] = allocate(&mut random)?;
    }
    for (block, layout) in live {
        // SAFETY: a live block of this heap and layout, not used again.
        unsafe { heap.deallocate(block, layout) };
    }
    Ok(())
}

/// Runs two threads in turn. Both block in pipes, because a lock that spins makes counts random.
#[inline(never)]
fn heap_remote(count: u64) -> Done {
    const LAYOUT: Layout = layout(256);
    let heap = Heap::new();
    let blocks: Vec<AtomicPtr<u8>> = (0..2500).map(|_| AtomicPtr::default()).collect();
    let (mut full, mut fill) = std::io::pipe()?;
    let (mut empty, mut drain) = std::io::pipe()?;
    let (heap, blocks) = (black_box(&heap), &blocks[..]);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // the end of the pipe ends the thread
            while full.read_exact(&mut [0]).is_ok() {
                for block in blocks.iter().filter_map(|block| NonNull::new(block.load(Relaxed))) {
                    // SAFETY: a live block of this heap and layout; its entry is replaced before
                    // the next round.
                    unsafe { heap.deallocate(block, LAYOUT) };
                }
                if drain.write_all(&[1]).is_err() {
                    return;
                }
            }
        });
        for _ in 0..count {
            for block in blocks {
                block.store(heap.allocate(LAYOUT)?.cast().as_ptr(), Relaxed);
            }
            fill.write_all(&[1])?;
            empty.read_exact(&mut [0])?;
        }
        drop(fill);
        Ok(())
    })
}

static GLOBAL: Heap = Heap::new();

#[inline(always)]
fn global_pairs(layout: Layout, count: u64) -> Done {
    let heap = black_box(&GLOBAL);
    for _ in 0..count {
        // SAFETY: the size is not zero.
        let block = black_box(unsafe { heap.alloc(layout) });
        if block.is_null() {
            return Err("no memory".into());
        }
        // SAFETY: a live block of this heap and layout, not used again.
        unsafe { heap.dealloc(block, layout) };
    }
    Ok(())
}

#[inline(never)]
fn heap_global(count: u64) -> Done {
    global_pairs(const { layout(64) }, count)
}

#[inline(never)]
fn heap_global_1k(count: u64) -> Done {
    global_pairs(black_box(layout(1024)), count)
}

#[inline(never)]
fn stratified_local(count: u64) -> Done {
    let pool = LocalStratifiedPool::new("local");
    let pool = black_box(&pool);
    for _ in 0..count {
        drop(black_box(pool.allocate(1024)?));
    }
    Ok(())
}

#[inline(never)]
fn stratified_shared(count: u64) -> Done {
    let pool = StratifiedMemoryPool::new("shared");
    let pool = black_box(&pool);
    for _ in 0..count {
        drop(black_box(pool.allocate(1024)?));
    }
    Ok(())
}

#[inline(never)]
fn context(count: u64) -> Done {
    for _ in 0..count {
        let context = AnalyticsContext::new(black_box("context"));
        for _ in 0..3 {
            _ = black_box(context.allocate_uninit::<u64>(128)?);
        }
        drop(black_box(context));
    }
    Ok(())
}

#[inline(never)]
fn budget_charge(count: u64) -> Done {
    let root = Budget::new("root", 1 << 30);
    let leaf = root.child("middle", 1 << 29).child("leaf", 1 << 28);
    // the peak is reached before, as in a program that has run for a while
    leaf.charge(1 << 20)?;
    leaf.release(1 << 20);
    let budget = black_box(&leaf);
    for _ in 0..count {
        budget.charge(black_box(100))?;
        budget.release(100);
    }
    Ok(())
}

/// Allocates 30 % of the pool, with gaps between the blocks.
fn fill(pool: &MemoryPool) -> Done {
    let mut random = Random(5);
    let (mut bytes, mut gaps) = (0, Vec::new());
    while bytes < (256 << 20) * 3 / 10 {
        let [stays, goes] = [random.size(4096, 8), random.size(4096, 6)].map(layout);
        _ = Resource::allocate(pool, stays)?;
        gaps.push((Resource::allocate(pool, goes)?.cast::<u8>(), goes));
        bytes += stays.size();
    }
    for (gap, layout) in gaps {
        // SAFETY: a live block of this pool and layout, not used again.
        unsafe { pool.deallocate(gap, layout) };
    }
    Ok(())
}

#[inline(never)]
fn memory_pool(count: u64) -> Done {
    let pool = MemoryPool::new(256 << 20).with_alignment(64);
    fill(&pool)?;
    Ok(pairs(&pool, const { layout(65_536) }, count)?)
}

#[inline(never)]
fn memory_pool_mixed(count: u64) -> Done {
    let pool = MemoryPool::new(256 << 20).with_alignment(64);
    fill(&pool)?;
    let (pool, mut random) = (black_box(&pool), Random(9));
    for _ in 0..count {
        let layout = layout(random.size(4096, 8));
        let block = black_box(Resource::allocate(pool, layout)?.cast::<u8>());
        // SAFETY: a live block of this pool and layout, not used again.
        unsafe { pool.deallocate(block, layout) };
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [] => {
            for (name, count, calls, what, _) in PATHS {
                println!("{name}\t{count}\t{calls}\t{what}");
            }
            Ok(())
        }
        [name, count] => match (PATHS.iter().find(|path| path.0 == name), count.parse()) {
            (Some((.., run)), Ok(count)) => run(count),
            _ => Err("unknown path or count; run it without arguments for the list".into()),
        },
        _ => Err("usage: instructions [PATH COUNT]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
