//! Arenas in use: which blocks and chunks they keep, free and reuse, and which calls fail.
//!
//! [`Counting`] shows the calls to the upstream: a restore without any has visited no chunk.

use allocator_api2::vec::Vec as ArenaVec;
use arenite_alloc::*;
use arenite_core::{AllocError, AllocErrorKind, Block, Resource, ResourceState, Trim};
use core::alloc::Layout;
use testkit::doubles::Counting;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a small layout")
}

#[test]
fn a03_raw_bytes_are_aligned_to_64() {
    let arena = Arena::new();
    for size in [0, 1, 63, 100] {
        assert!(arena.alloc_bytes(size).unwrap().as_ptr().addr().is_multiple_of(64));
    }
}

#[test]
fn a04_a05_chunks_report_data_size_and_used_in_order() {
    let arena = Arena::with_chunk_size(CountedGlobal::new(), 1000);
    for _ in 0..5 {
        let _kept = ArenaBox::leak(arena.alloc([0u8; 400]).unwrap());
    }
    let chunks = arena.chunks();
    assert_eq!(
        chunks.iter().map(|chunk| (chunk.size, chunk.used)).collect::<Vec<_>>(),
        [(1000, 800), (1000, 800), (1000, 400)]
    );
    assert_eq!(arena.in_use(), 2000);
}

#[test]
fn a06_chunked_arena_allocates_chunks_of_64_mib() {
    let upstream = Counting::new(arenite_pages::PageAllocator::new());
    let arena = Arena::chunked(&upstream);
    let _kept = ArenaBox::leak(arena.alloc(1u8).unwrap());
    assert_eq!(upstream.layouts()[0].size(), 64 << 20);
}

#[test]
fn bounded_arena_allocates_exactly_its_capacity() {
    for capacity in [0, 1, 7, 8, 100, 1000, 4096, 5000, 300_000] {
        let (arena, shared) = (Arena::with_capacity(capacity), SharedArena::with_capacity(capacity));
        for resource in [&arena as &dyn Resource, &shared] {
            let mut allocated = 0;
            let error = loop {
                match resource.allocate(layout(8)) {
                    Ok(_block) => allocated += 8,
                    Err(error) => break error,
                }
            };
            assert_eq!(
                (allocated, error.kind),
                (capacity / 8 * 8, AllocErrorKind::CapacityReached),
                "of {capacity}"
            );
            assert_eq!((error.state.in_use, error.state.limit), (allocated, Some(capacity)));
        }
    }
}

#[test]
fn a07_a13_blocks_are_contiguous() {
    let arena = Arena::new();
    let starts: Vec<usize> =
        (0..1000u64).map(|n| (&raw const *ArenaBox::leak(arena.alloc(n).unwrap())).addr()).collect();
    assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + 8));
    assert_eq!(arena.in_use(), 8000);
}

#[test]
fn a08_a11_reset_frees_all_blocks_without_visiting_them() {
    let upstream = Counting::new(CountedGlobal::new());
    let mut arena = Arena::with_chunk_size(&upstream, 4096);
    for round in 0..10 {
        for n in 0..5000u64 {
            let _kept = ArenaBox::leak(arena.alloc(n).unwrap());
        }
        let (allocations, before) = (upstream.allocations(), arena.state().held);
        arena.reset();
        assert_eq!((upstream.deallocations(), upstream.allocations()), (0, allocations), "round {round}");
        let state = arena.state();
        assert_eq!((state.in_use, state.live_blocks, state.held), (0, 0, before));
    }
}

#[test]
fn a09_arena_frees_every_chunk_on_drop() {
    let upstream = Counting::new(CountedGlobal::new());
    let arena = Arena::with_chunk_size(&upstream, 100);
    for _ in 0..100 {
        let _kept = ArenaBox::leak(arena.alloc([0u8; 60]).unwrap());
    }
    drop(arena);
    assert_eq!(upstream.allocations(), upstream.deallocations());
    assert_eq!(upstream.state().in_use, 0);
}

#[test]
fn a10_restore_keeps_chunks_and_older_blocks() {
    let upstream = Counting::new(CountedGlobal::new());
    let arena = Arena::with_chunk_size(&upstream, 1024);
    let weights = arena.alloc_slice_copy(&[7u64; 10]).unwrap();
    let mark = arena.mark().unwrap();
    let step = || drop((0..100).map(|_| Block::new_in(layout(500), &arena).unwrap()).collect::<Vec<_>>());
    step();
    let (allocations, held) = (upstream.allocations(), arena.state().held);
    for _ in 0..100 {
        arena.restore(mark).unwrap();
        assert_eq!((arena.in_use(), arena.state().held), (80, held));
        step();
    }
    assert_eq!(
        (upstream.allocations(), upstream.deallocations()),
        (allocations, 0),
        "later steps allocate nothing upstream"
    );
    assert_eq!(weights, [7; 10]);
}

#[test]
fn a11_restore_visits_no_block_above_the_mark() {
    let upstream = Counting::new(CountedGlobal::new());
    let mut arena = Arena::with_chunk_size(&upstream, 1 << 16);
    let mark = arena.mark().unwrap();
    for n in 0..100_000u64 {
        let _kept = ArenaBox::leak(arena.alloc(n).unwrap());
    }
    let allocations = upstream.allocations();
    arena.restore_mut(mark).unwrap();
    assert_eq!((upstream.allocations(), upstream.deallocations(), upstream.resizes()), (allocations, 0, 0));
    assert_eq!(arena.in_use(), 0);
}

#[test]
fn a10_a11_second_step_over_a_range_faults_no_page() {
    let mut arena = ArenaOptions::new().with_huge_pages(HugePages::Never).build();
    let resident = |arena: &Arena| arena.huge_report().unwrap().resident;
    let mark = arena.mark().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let _written = arena.alloc_slice_copy(&vec![1u8; 3 << 20]).unwrap();
        seen.push(resident(&arena));
        arena.restore_mut(mark).unwrap();
        assert_eq!(resident(&arena), seen[0], "touched pages stay resident");
    }
    assert!(seen.iter().all(|&now| now == seen[0] && now >= 3 << 20), "{seen:?}");
}

#[test]
fn a12_arena_reuses_chunks_after_reset() {
    let upstream = Counting::new(CountedGlobal::new());
    let mut arena = Arena::with_chunk_size(&upstream, 1000);
    let sizes = [400, 400, 5000, 100, 900, 20_000, 8];
    let step = |arena: &Arena<_>| sizes.iter().for_each(|&size| assert!(arena.alloc_bytes(size).is_ok()));
    step(&arena);
    let allocations = upstream.allocations();
    for _ in 0..20 {
        arena.reset();
        step(&arena);
    }
    assert_eq!((upstream.allocations(), upstream.deallocations()), (allocations, 0));
    let (held, back) = (arena.state().held, upstream.deallocations());
    arena.reset();
    assert_eq!(arena.trim(0), held);
    assert_eq!((arena.state().held, upstream.deallocations()), (0, back + allocations));
}

#[test]
fn a10_nested_marks_are_restored_in_any_order() {
    let arena = Arena::new();
    let mut marks = Vec::new();
    for _ in 0..10_000 {
        marks.push((arena.mark().unwrap(), arena.in_use()));
        drop(Block::new_in(layout(24), &arena).unwrap());
        let below = Block::new_in(layout(8), &arena).unwrap();
        drop(Block::new_in(layout(16), &arena).unwrap());
        std::mem::drop(below);
        let _kept = arena.alloc_slice_copy(&[1u8]);
    }
    // The 10,000 slices from `alloc_slice_copy` count as live while the arena is shared.
    assert_eq!(arena.restore(marks[0].0), Err(RestoreError::BlocksAlive { count: 10_000 }));
    assert_eq!(arena.restore(marks[5000].0), Err(RestoreError::BlocksAlive { count: 5000 }));
    let mut arena = arena;
    for (mark, position) in marks.iter().rev().step_by(7).take(1000).chain([&marks[2000], &marks[3]]) {
        arena.restore_mut(*mark).unwrap();
        assert_eq!(arena.in_use(), *position);
    }
    assert_eq!(arena.restore_mut(marks[4].0), Err(RestoreError::StaleMark));
    assert_eq!(arena.restore(marks[9999].0), Err(RestoreError::StaleMark));
}

#[test]
fn a10_restore_fails_for_foreign_and_stale_marks() {
    let (mut arena, other, shared) = (Arena::new(), Arena::new(), SharedArena::new());
    let foreign = [other.mark().unwrap(), shared.mark().unwrap()];
    for mark in foreign {
        assert_eq!(arena.restore(mark), Err(RestoreError::ForeignMark));
        assert_eq!(arena.restore_mut(mark), Err(RestoreError::ForeignMark));
    }
    assert_eq!(shared.restore(foreign[0]), Err(RestoreError::ForeignMark));
    let first = arena.mark().unwrap();
    drop(Block::new_in(layout(1), &arena).unwrap());
    let below = Block::new_in(layout(1), &arena).unwrap();
    let second = arena.mark().unwrap();
    drop(below);
    arena.restore(first).unwrap();
    assert_eq!(arena.restore(second), Err(RestoreError::StaleMark));
    arena.reset();
    assert_eq!(arena.restore(first), Err(RestoreError::StaleMark));
    let again = arena.mark().unwrap();
    assert_ne!(again, first);
    arena.restore(again).unwrap();
}

#[test]
fn a10_restore_fails_with_the_count_of_live_blocks() {
    let arena = LocalHandle::new(Arena::new());
    let mark = arena.mark().unwrap();
    let mut vectors: Vec<_> = (0..20u32)
        .map(|n| {
            let mut vector = ArenaVec::new_in(arena.clone());
            vector.push(n);
            vector
        })
        .collect();
    while let Some(vector) = vectors.pop() {
        let count = vectors.len() + 1;
        assert_eq!(arena.restore(mark), Err(RestoreError::BlocksAlive { count }));
        drop(vector);
    }
    arena.restore(mark).unwrap();
    assert_eq!(arena.in_use(), 0);
}

#[test]
fn shared_arena_fails_to_open_more_than_63_marks() {
    let arena = SharedArena::new();
    let block = || Block::new_in(layout(8), &arena).unwrap();
    let marks: Vec<_> = (0..63).map(|_| (block(), arena.mark().unwrap())).collect();
    let last = block();
    let error = arena.mark().unwrap_err();
    assert_eq!((error.kind, error.state.live_blocks), (AllocErrorKind::TooManyMarks, 64));
    drop(last);
    let first = marks[0].1;
    drop(marks);
    arena.restore(first).unwrap();
}

#[test]
fn scopes_restore_position_and_counts() {
    let (mut arena, mut shared) = (Arena::with_chunk_size(CountedGlobal::new(), 256), SharedArena::new());
    for n in 0..5u64 {
        let _kept = (ArenaBox::leak(arena.alloc(n).unwrap()), ArenaBox::leak(shared.alloc(n).unwrap()));
    }
    for _ in 0..3 {
        let counts = |state: ResourceState| (state.in_use, state.live_blocks);
        let before = (counts(arena.state()), counts(shared.state()));
        arena.scope(|outer| {
            let kept = outer.alloc_slice_copy(&[1u8; 300]).unwrap();
            let inside = counts(outer.state());
            outer.scope(|inner| {
                assert!((0..50).all(|n| inner.alloc([n; 5]).is_ok()));
            });
            assert_eq!(counts(outer.state()), inside);
            assert_eq!(kept, [1; 300]);
        });
        shared.scope(|scope| {
            let _mark = scope.mark().unwrap();
            assert!((0..50).all(|n| scope.alloc([n; 5]).is_ok()));
        });
        assert_eq!((counts(arena.state()), counts(shared.state())), before);
    }
    assert!(arena.state().peak >= 40 + 300);
}

/// A workspace that owns its arena and the arrays in it, and can be moved.
struct TemporaryWorkspace {
    inputs: ArenaVec<f32, LocalHandle<Arena>>,
    outputs: ArenaVec<f32, LocalHandle<Arena>>,
    arena: LocalHandle<Arena>,
    start: Mark,
}

impl TemporaryWorkspace {
    fn new(len: usize) -> Result<Self, AllocError> {
        let arena = LocalHandle::new(Arena::with_capacity(1 << 20));
        let start = arena.mark()?;
        let mut inputs = ArenaVec::with_capacity_in(len, arena.clone());
        inputs.extend((0..len).map(|n| n as f32));
        Ok(Self { inputs, outputs: ArenaVec::with_capacity_in(len, arena.clone()), arena, start })
    }

    fn double(&mut self) {
        self.outputs.extend(self.inputs.iter().map(|value| value * 2.0));
    }
}

#[test]
fn u40_a_temporary_workspace_owns_its_arena_and_its_arrays() {
    let mut workspace = TemporaryWorkspace::new(1000).unwrap();
    workspace.double();
    let (arena, mark) = (workspace.arena.clone(), workspace.start);
    let moved = Box::new(workspace);
    assert_eq!((moved.outputs[999], arena.state().live_blocks, arena.in_use()), (1998.0, 2, 8000));
    assert_eq!(arena.restore(mark), Err(RestoreError::BlocksAlive { count: 2 }));
    drop(moved);
    arena.restore(mark).unwrap();
    assert_eq!((arena.state().live_blocks, arena.in_use()), (0, 0));
}

#[test]
fn a07_uninitialized_slice_is_aligned_and_apart_from_others() {
    let arena = Arena::new();
    let first = arena.alloc_slice_uninit::<u64>(1000).unwrap();
    let second = arena.alloc_slice_uninit::<u64>(1000).unwrap();
    first.iter_mut().for_each(|slot| _ = slot.write(1));
    second.iter_mut().for_each(|slot| _ = slot.write(2));
    let range = |slice: &[core::mem::MaybeUninit<u64>]| {
        let start = slice.as_ptr().addr();
        start..start + size_of_val(slice)
    };
    let (first, second) = (range(first), range(second));
    assert!(first.start.is_multiple_of(align_of::<u64>()) && second.start.is_multiple_of(align_of::<u64>()));
    assert!(first.end <= second.start || second.end <= first.start, "{first:?} {second:?}");
    assert!(arena.alloc_slice_uninit::<u64>(usize::MAX / 4).is_err());
}

#[test]
fn a06_shared_arena_from_options_has_their_capacity_and_label() {
    let arena = ArenaOptions::new().with_capacity(1 << 20).with_label("shared").build_shared();
    assert!(arena.allocate(layout(1 << 19)).is_ok());
    let error = arena.allocate(layout(1 << 20)).unwrap_err();
    assert!(error.to_string().contains("from `shared`"), "{error}");
}
