//! Arenas against a naive model: a stack of segments, each with its marks and its live blocks.
//!
//! Rests on [`Lent`] for the contents. The model knows nothing of chunks and cursors: only that a mark opens a segment, and
//! that what lies above a mark is in the segments above it.

use arenite_alloc::*;
use arenite_core::{AllocCause, AllocError, Resource, Trim};
use arenite_pages::Pages;
use core::alloc::Layout;
use proptest::prelude::*;
use testkit::Lent;
use testkit::laws::Traits;
use testkit::model::{layouts, run};

/// What a marked arena can do, whichever it is.
trait Marked {
    /// Whether giving back the newest block gives its bytes back.
    const TAKES_BACK: bool;
    /// The most segments that can be open.
    const DEEPEST: usize;
    fn resource(&self) -> &dyn Resource;
    fn mark(&self) -> Result<Mark, AllocError>;
    fn restore(&self, mark: Mark) -> Result<(), RestoreError>;
    fn restore_mut(&mut self, mark: Mark) -> Result<(), RestoreError>;
    fn reset(&mut self);
    fn trim_to(&self, target: usize) -> usize;
}

macro_rules! marked {
    ($([$($generics:tt)*] $type:ty, $takes_back:expr, $deepest:expr;)*) => {$(
        impl<$($generics)*> Marked for $type {
            const TAKES_BACK: bool = $takes_back;
            const DEEPEST: usize = $deepest;
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
    [S: Store] Arena<S>, true, usize::MAX;
    [] SharedArena, false, 64;
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(Layout),
    Zeroed(Layout),
    Resize(usize, usize),
    Give(usize),
    GiveNewest,
    Mark,
    Restore(usize),
    RestoreMut(usize),
    Reset,
    Trim(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let traits = Traits { max_size: 9000, ..Traits::default() };
    let step = prop_oneof![
        8 => layouts(&traits).prop_map(Step::Take),
        1 => layouts(&traits).prop_map(Step::Zeroed),
        2 => (any::<usize>(), 0usize..3000).prop_map(|(at, size)| Step::Resize(at, size)),
        4 => any::<usize>().prop_map(Step::Give),
        4 => Just(Step::GiveNewest),
        4 => Just(Step::Mark),
        4 => any::<usize>().prop_map(Step::Restore),
        2 => any::<usize>().prop_map(Step::RestoreMut),
        1 => Just(Step::Reset),
        2 => prop_oneof![Just(0usize), Just(4096), 0usize..100_000].prop_map(Step::Trim),
    ];
    proptest::collection::vec(step, 1..80)
}

/// What lies from one mark to the next: the mark and the position, if one was taken, and how many blocks are live.
struct Segment {
    mark: Option<Mark>,
    start: usize,
}

struct Model<A> {
    arena: A,
    lent: Lent,
    /// The segment of each block of `lent`, in its order.
    homes: Vec<usize>,
    segments: Vec<Segment>,
    taken: Vec<Mark>,
}

impl<A: Marked> Model<A> {
    fn new(arena: A) -> Self {
        let root = Segment { mark: None, start: 0 };
        Self { arena, lent: Lent::default(), homes: Vec::new(), segments: vec![root], taken: Vec::new() }
    }

    fn top(&self) -> usize {
        self.segments.len() - 1
    }

    fn alive_from(&self, segment: usize) -> usize {
        self.homes.iter().filter(|&&home| home >= segment).count()
    }

    fn in_use(&self) -> usize {
        self.arena.resource().state().in_use
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Take(layout) => {
                self.lent.take(self.arena.resource(), layout).expect("room for a block");
                self.homes.push(self.top());
            }
            Step::Zeroed(layout) => {
                self.lent.take_zeroed(self.arena.resource(), layout).expect("room for a block");
                self.homes.push(self.top());
            }
            Step::Resize(at, size) if !self.lent.is_empty() => {
                let index = at % self.lent.len();
                let layout =
                    Layout::from_size_align(size, self.lent.layout(index).align()).expect("a small layout");
                if self.lent.resize(self.arena.resource(), index, layout).expect("room for a block") {
                    self.homes[index] = self.top();
                }
            }
            Step::Give(at) if !self.lent.is_empty() => self.give(at % self.lent.len()),
            Step::GiveNewest if !self.lent.is_empty() => self.give_newest(),
            Step::Mark => self.mark(),
            Step::Restore(at) if !self.taken.is_empty() => self.restore(self.taken[at % self.taken.len()]),
            Step::RestoreMut(at) if !self.taken.is_empty() => {
                self.restore_mut(self.taken[at % self.taken.len()])
            }
            Step::Reset => self.reset(),
            Step::Trim(target) => self.trim(target),
            _ => {}
        }
    }

    fn give(&mut self, index: usize) {
        self.lent.give(self.arena.resource(), index);
        self.homes.swap_remove(index);
    }

    fn give_newest(&mut self) {
        let before = self.in_use();
        let newest = (0..self.lent.len()).max_by_key(|&index| (self.homes[index], self.lent.address(index)));
        let index = newest.expect("not empty");
        self.give(index);
        assert!(self.in_use() <= before);
    }

    fn mark(&mut self) {
        let (top, position) = (self.top(), self.in_use());
        let same = self.alive_from(top) == 0 && position == self.segments[top].start;
        if !same && self.segments.len() == A::DEEPEST {
            let error = self.arena.mark().expect_err("a segment more than there are");
            assert_eq!(error.cause, AllocCause::TooManyMarks);
            return;
        }
        let mark = self.arena.mark().expect("a mark");
        if same {
            let known = *self.segments[top].mark.get_or_insert(mark);
            assert_eq!(mark, known, "marks with nothing between are one mark");
        } else {
            assert!(!self.taken.contains(&mark), "a mark is new");
            self.segments.push(Segment { mark: Some(mark), start: position });
        }
        self.taken.push(mark);
    }

    fn find(&self, mark: Mark) -> Option<usize> {
        self.segments.iter().position(|segment| segment.mark == Some(mark))
    }

    fn restore(&mut self, mark: Mark) {
        let before = self.arena.resource().state();
        let found = self.find(mark);
        let expected = match found {
            None => Err(RestoreError::StaleMark),
            Some(at) => match self.alive_from(at) {
                0 => Ok(()),
                count => Err(RestoreError::BlocksAlive { count }),
            },
        };
        assert_eq!(self.arena.restore(mark), expected);
        match (expected, found) {
            (Ok(()), Some(at)) => self.went_back(at, before.held),
            _ => assert_eq!(self.arena.resource().state(), before, "after a refused restore"),
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
        let homes = self.homes.clone();
        self.lent.forget(|index| homes[index] >= at);
        self.homes.retain(|&home| home < at);
        self.went_back(at, before.held);
    }

    fn went_back(&mut self, at: usize, held: usize) {
        self.segments.truncate(at + 1);
        assert_eq!(self.in_use(), self.segments[at].start, "the mark's position");
        assert_eq!(self.arena.resource().state().held, held, "a restore keeps the memory");
    }

    fn reset(&mut self) {
        let held = self.arena.resource().state().held;
        self.arena.reset();
        self.lent.forget(|_| true);
        self.homes.clear();
        self.segments = vec![Segment { mark: None, start: 0 }];
        let state = self.arena.resource().state();
        assert_eq!((state.in_use, state.live_blocks, state.held), (0, 0, held), "a reset keeps the memory");
    }

    fn trim(&mut self, target: usize) {
        let before = self.arena.resource().state();
        let gone = self.arena.trim_to(target);
        let after = self.arena.resource().state();
        assert_eq!(after.held, before.held - gone, "what went back");
        assert!(
            after.in_use == before.in_use && after.live_blocks == before.live_blocks,
            "{before} then {after}"
        );
        assert!(
            before.held <= target || after.held + 1 > target.min(before.held) || gone > 0,
            "{before} then {after}"
        );
    }

    fn look(&self) {
        self.lent.verify();
        let state = self.arena.resource().state();
        assert_eq!(state.live_blocks, self.lent.len());
        assert!(
            state.in_use >= self.lent.bytes() && state.held >= state.in_use && state.peak >= state.in_use,
            "{state}"
        );
        if A::TAKES_BACK && self.segments.len() == 1 && self.lent.is_empty() {
            assert_eq!(self.segments[0].start, 0);
        }
    }
}

fn model<A: Marked>(make: impl Fn() -> A) {
    run(&steps(), 2000, |steps| {
        let mut model = Model::new(make());
        for step in steps {
            model.step(step);
            model.look();
        }
        let Model { arena, lent, .. } = &mut model;
        lent.give_all(arena.resource());
        assert_eq!(arena.resource().state().live_blocks, 0);
    });
}

#[test]
fn a10_an_arena_follows_the_model() {
    model(Arena::new);
}

#[test]
fn a10_an_arena_in_tiny_chunks_follows_the_model() {
    model(|| Arena::chunked_by(System::new(), 256));
}

#[test]
fn a10_an_arena_in_small_chunks_of_pages_follows_the_model() {
    model(|| Arena::chunked_by(Pages::new(), 4096));
}

#[test]
fn a10_an_arena_over_an_arena_whose_chunks_touch_follows_the_model() {
    model(|| Arena::chunked_by(LocalHandle::new(Arena::new()), 64));
}

#[test]
fn a10_an_arena_over_a_scribbling_upstream_follows_the_model() {
    model(|| Arena::chunked_by(testkit::doubles::Scribbling::new(System::new()), 1000));
}

#[test]
fn a10_a_shared_arena_follows_the_model() {
    model(SharedArena::new);
}

#[test]
fn a10_a_bounded_arena_of_huge_pages_follows_the_model() {
    model(|| ArenaOptions::new().capacity(16 << 20).huge_pages(HugePages::Always).build());
}
