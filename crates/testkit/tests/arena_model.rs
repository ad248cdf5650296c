//! Arenas compared with a naive model: a stack of segments with their marks and live blocks.
//!
//! A mark opens a segment; blocks above a mark are in the segments above it. The model has no
//! chunks and no cursors.

use arenite_alloc::*;
use arenite_core::{AllocError, AllocErrorKind, Resource, Trim};
use arenite_pages::PageAllocator;
use core::alloc::Layout;
use proptest::prelude::*;
use testkit::LiveBlocks;
use testkit::laws::Traits;
use testkit::model::{layouts, run};

/// The operations of an arena with marks.
trait Marked {
    /// Whether freeing the newest block reuses its bytes.
    const REUSES_NEWEST: bool;
    /// Maximum number of open segments.
    const MAX_SEGMENTS: usize;
    fn resource(&self) -> &dyn Resource;
    fn mark(&self) -> Result<Mark, AllocError>;
    fn restore(&self, mark: Mark) -> Result<(), RestoreError>;
    fn restore_mut(&mut self, mark: Mark) -> Result<(), RestoreError>;
    fn reset(&mut self);
    fn trim_to(&self, target: usize) -> usize;
}

macro_rules! marked {
    ($([$($generics:tt)*] $type:ty, $reuses_newest:expr, $max_segments:expr;)*) => {$(
        impl<$($generics)*> Marked for $type {
            const REUSES_NEWEST: bool = $reuses_newest;
            const MAX_SEGMENTS: usize = $max_segments;
            fn resource(&self) -> &dyn Resource {
                self
            }
            fn mark(&self) -> Result<Mark, AllocError> {
                Self::mark(self)
            }
            fn restore(&self, mark: Mark) -> Result<(), RestoreError> {
                Self::restore(self, mark)
            }
            fn restore_mut(&mut self, mark: Mark) -> Result<(), RestoreError> {
                Self::restore_mut(self, mark)
            }
            fn reset(&mut self) {
                Self::reset(self);
            }
            fn trim_to(&self, target: usize) -> usize {
                self.trim(target)
            }
        }
    )*};
}

marked! {
    [S: ChunkSource] Arena<S>, true, usize::MAX;
    [] SharedArena, false, 64;
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(Layout),
    Zeroed(Layout),
    Resize(usize, usize),
    Free(usize),
    FreeNewest,
    Mark,
    Restore(usize),
    RestoreMut(usize),
    Reset,
    Trim(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let traits = Traits { max_size: 9000, ..Traits::default() };
    let step = prop_oneof![
        8 => layouts(&traits).prop_map(Step::Allocate),
        1 => layouts(&traits).prop_map(Step::Zeroed),
        2 => (any::<usize>(), 0usize..3000).prop_map(|(at, size)| Step::Resize(at, size)),
        4 => any::<usize>().prop_map(Step::Free),
        4 => Just(Step::FreeNewest),
        4 => Just(Step::Mark),
        4 => any::<usize>().prop_map(Step::Restore),
        2 => any::<usize>().prop_map(Step::RestoreMut),
        1 => Just(Step::Reset),
        2 => prop_oneof![Just(0usize), Just(4096), 0usize..100_000].prop_map(Step::Trim),
    ];
    proptest::collection::vec(step, 1..80)
}

/// The blocks between two marks: the mark that opened the segment, if any, and the position there.
struct Segment {
    mark: Option<Mark>,
    start: usize,
}

struct Model<A> {
    arena: A,
    live: LiveBlocks,
    /// The segment of each block in `live`, in the same order.
    segment_of: Vec<usize>,
    segments: Vec<Segment>,
    marks: Vec<Mark>,
}

impl<A: Marked> Model<A> {
    fn new(arena: A) -> Self {
        let root = Segment { mark: None, start: 0 };
        Self {
            arena,
            live: LiveBlocks::default(),
            segment_of: Vec::new(),
            segments: vec![root],
            marks: Vec::new(),
        }
    }

    fn top(&self) -> usize {
        self.segments.len() - 1
    }

    fn live_from(&self, segment: usize) -> usize {
        self.segment_of.iter().filter(|&&at| at >= segment).count()
    }

    fn in_use(&self) -> usize {
        self.arena.resource().state().in_use
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Allocate(layout) => {
                self.live.allocate(self.arena.resource(), layout).expect("enough memory for a block");
                self.segment_of.push(self.top());
            }
            Step::Zeroed(layout) => {
                self.live.allocate_zeroed(self.arena.resource(), layout).expect("enough memory for a block");
                self.segment_of.push(self.top());
            }
            Step::Resize(at, size) if !self.live.is_empty() => {
                let index = at % self.live.len();
                let layout =
                    Layout::from_size_align(size, self.live.layout(index).align()).expect("a small layout");
                if self.live.resize(self.arena.resource(), index, layout).expect("enough memory for a block")
                {
                    self.segment_of[index] = self.top();
                }
            }
            Step::Free(at) if !self.live.is_empty() => self.free(at % self.live.len()),
            Step::FreeNewest if !self.live.is_empty() => self.free_newest(),
            Step::Mark => self.mark(),
            Step::Restore(at) if !self.marks.is_empty() => self.restore(self.marks[at % self.marks.len()]),
            Step::RestoreMut(at) if !self.marks.is_empty() => {
                self.restore_mut(self.marks[at % self.marks.len()])
            }
            Step::Reset => self.reset(),
            Step::Trim(target) => self.trim(target),
            _ => {}
        }
    }

    fn free(&mut self, index: usize) {
        self.live.deallocate(self.arena.resource(), index);
        self.segment_of.swap_remove(index);
    }

    fn free_newest(&mut self) {
        let before = self.in_use();
        let newest =
            (0..self.live.len()).max_by_key(|&index| (self.segment_of[index], self.live.address(index)));
        let index = newest.expect("not empty");
        self.free(index);
        assert!(self.in_use() <= before);
    }

    fn mark(&mut self) {
        let (top, position) = (self.top(), self.in_use());
        let same = self.live_from(top) == 0 && position == self.segments[top].start;
        if !same && self.segments.len() == A::MAX_SEGMENTS {
            let error = self.arena.mark().expect_err("one segment over the maximum");
            assert_eq!(error.kind, AllocErrorKind::TooManyMarks);
            return;
        }
        let mark = self.arena.mark().expect("a mark");
        if same {
            let known = *self.segments[top].mark.get_or_insert(mark);
            assert_eq!(mark, known, "marks with nothing between are one mark");
        } else {
            assert!(!self.marks.contains(&mark), "a mark is new");
            self.segments.push(Segment { mark: Some(mark), start: position });
        }
        self.marks.push(mark);
    }

    fn find(&self, mark: Mark) -> Option<usize> {
        self.segments.iter().position(|segment| segment.mark == Some(mark))
    }

    fn restore(&mut self, mark: Mark) {
        let before = self.arena.resource().state();
        let found = self.find(mark);
        let expected = match found {
            None => Err(RestoreError::StaleMark),
            Some(at) => match self.live_from(at) {
                0 => Ok(()),
                count => Err(RestoreError::BlocksAlive { count }),
            },
        };
        assert_eq!(self.arena.restore(mark), expected);
        match (expected, found) {
            (Ok(()), Some(at)) => self.check_restored(at, before.held),
            _ => assert_eq!(self.arena.resource().state(), before, "after a failed restore"),
        }
    }

    fn restore_mut(&mut self, mark: Mark) {
        let before = self.arena.resource().state();
        let Some(at) = self.find(mark) else {
            assert_eq!(self.arena.restore_mut(mark), Err(RestoreError::StaleMark));
            assert_eq!(self.arena.resource().state(), before);
            return;
        };
        assert_eq!(self.arena.restore_mut(mark), Ok(()));
        let segment_of = self.segment_of.clone();
        self.live.remove_where(|index| segment_of[index] >= at);
        self.segment_of.retain(|&segment| segment < at);
        self.check_restored(at, before.held);
    }

    fn check_restored(&mut self, at: usize, held: usize) {
        self.segments.truncate(at + 1);
        assert_eq!(self.in_use(), self.segments[at].start, "the mark's position");
        assert_eq!(self.arena.resource().state().held, held, "a restore holds the memory");
    }

    fn reset(&mut self) {
        let held = self.arena.resource().state().held;
        self.arena.reset();
        self.live.remove_where(|_| true);
        self.segment_of.clear();
        self.segments = vec![Segment { mark: None, start: 0 }];
        let state = self.arena.resource().state();
        assert_eq!((state.in_use, state.live_blocks, state.held), (0, 0, held), "a reset holds the memory");
    }

    fn trim(&mut self, target: usize) {
        let before = self.arena.resource().state();
        let trimmed = self.arena.trim_to(target);
        let after = self.arena.resource().state();
        assert_eq!(after.held, before.held - trimmed, "trimmed bytes");
        assert!(
            after.in_use == before.in_use && after.live_blocks == before.live_blocks,
            "{before} then {after}"
        );
        assert!(
            before.held <= target || after.held + 1 > target.min(before.held) || trimmed > 0,
            "{before} then {after}"
        );
    }

    fn check(&self) {
        self.live.verify();
        let state = self.arena.resource().state();
        assert_eq!(state.live_blocks, self.live.len());
        assert!(
            state.in_use >= self.live.bytes() && state.held >= state.in_use && state.peak >= state.in_use,
            "{state}"
        );
        if A::REUSES_NEWEST && self.segments.len() == 1 && self.live.is_empty() {
            assert_eq!(self.segments[0].start, 0);
        }
    }
}

fn follow_model<A: Marked>(make: impl Fn() -> A) {
    run(&steps(), 2000, |steps| {
        let mut model = Model::new(make());
        for step in steps {
            model.step(step);
            model.check();
        }
        let Model { arena, live, .. } = &mut model;
        live.deallocate_all(arena.resource());
        assert_eq!(arena.resource().state().live_blocks, 0);
    });
}

#[test]
fn a10_an_arena_follows_the_model() {
    follow_model(Arena::new);
}

#[test]
fn a10_an_arena_in_tiny_chunks_follows_the_model() {
    follow_model(|| Arena::with_chunk_size(CountedGlobal::new(), 256));
}

#[test]
fn a10_an_arena_in_small_chunks_of_pages_follows_the_model() {
    follow_model(|| Arena::with_chunk_size(PageAllocator::new(), 4096));
}

#[test]
fn a10_an_arena_over_an_arena_whose_chunks_touch_follows_the_model() {
    follow_model(|| Arena::with_chunk_size(LocalHandle::new(Arena::new()), 64));
}

#[test]
fn a10_an_arena_over_a_scribbling_upstream_follows_the_model() {
    follow_model(|| Arena::with_chunk_size(testkit::doubles::Scribbling::new(CountedGlobal::new()), 1000));
}

#[test]
fn a10_a_shared_arena_follows_the_model() {
    follow_model(SharedArena::new);
}

#[test]
fn a10_a_bounded_arena_of_huge_pages_follows_the_model() {
    follow_model(|| ArenaOptions::new().with_capacity(16 << 20).with_huge_pages(HugePages::Always).build());
}
