//! What one thread keeps of each bucket: five stacks, changed without a lock.
//!
//! Rests on the free buffers, whose first words link them. All fields are atomics that are loaded and stored and never more than
//! that: their one thread pays what plain fields cost, and any other may read the counts.
#![expect(unsafe_code, reason = "links free buffers through their first words")]

use super::SizeBucket;
use core::cell::Cell;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering::Relaxed};

/// The first words of a free buffer.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Node {
    /// The next buffer of its chain. It comes first: most free buffers have no more of this than their first word.
    next: Cell<*mut Self>,
    /// Of a chain's first buffer: the next chain on its shelf, and how many this one has.
    next_chain: Cell<*mut Self>,
    count: Cell<u32>,
}

/// The first word of a free buffer.
///
/// # Safety
/// The buffer is free, and nobody but the caller uses it now or as long as the reference is there.
#[inline(always)]
const unsafe fn next<'a>(node: NonNull<Node>) -> &'a Cell<*mut Node> {
    // SAFETY: the caller's promise; `push` wrote the first word of every free buffer.
    unsafe { node.cast::<Cell<*mut Node>>().as_ref() }
}

/// Free buffers of one bucket, linked.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) first: NonNull<Node>,
    pub(super) count: u32,
}

impl Chain {
    /// Each buffer of the chain.
    ///
    /// # Safety
    /// The chain is the caller's; `visit` may do with a buffer what it likes.
    pub(super) unsafe fn each(self, mut visit: impl FnMut(NonNull<u8>)) {
        let mut at = Some(self.first);
        while let Some(node) = at {
            // SAFETY: a free buffer of the chain, which is the caller's.
            at = NonNull::new(unsafe { next(node) }.get());
            visit(node.cast());
        }
    }
}

/// Chains of one bucket.
#[derive(Debug)]
pub(super) struct Shelf {
    first: *mut Node,
    pub(super) buffers: usize,
}

// SAFETY: the chains are the shelf's own.
unsafe impl Send for Shelf {}

impl Shelf {
    pub(super) const EMPTY: Self = Self { first: null_mut(), buffers: 0 };

    /// # Safety
    /// The chain is the caller's, and the shelf's afterwards.
    pub(super) unsafe fn put(&mut self, chain: &Chain) {
        // SAFETY: the first of the caller's free buffers.
        let after = unsafe { next(chain.first) }.get();
        let node =
            Node { next: Cell::new(after), next_chain: Cell::new(self.first), count: Cell::new(chain.count) };
        // SAFETY: as above; a buffer is longer than that.
        unsafe { chain.first.write(node) };
        self.first = chain.first.as_ptr();
        self.buffers += chain.count as usize;
    }

    /// One chain; it is the caller's.
    pub(super) fn take(&mut self) -> Option<Chain> {
        let first = NonNull::new(self.first)?;
        // SAFETY: the first buffer of a chain of this shelf.
        let node = unsafe { first.as_ref() };
        self.first = node.next_chain.get();
        self.buffers -= node.count.get() as usize;
        Some(Chain { first, count: node.count.get() })
    }
}

/// The free buffers of one bucket and what became of it.
///
/// How many lie here is nowhere counted: it follows from the others. One count that both a take and a return change would have each wait
/// for the one before.
#[derive(Debug)]
#[repr(align(64))]
struct Stack {
    first: AtomicPtr<Node>,
    /// Buffers that were taken from here, and put here.
    hits: AtomicU64,
    puts: AtomicU64,
    /// How many more may be put than were taken before too many lie here; the least number where the thread is asked to keep nothing.
    bound: AtomicI64,
    misses: AtomicU64,
    /// Buffers that came from, and went to, others by the chain.
    came: AtomicU64,
    went: AtomicU64,
}

/// Five stacks.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shelves([Stack; 5]);

impl Default for Shelves {
    fn default() -> Self {
        Self(SizeBucket::ALL.map(|bucket| Stack {
            first: AtomicPtr::new(null_mut()),
            hits: AtomicU64::new(0),
            puts: AtomicU64::new(0),
            bound: AtomicI64::new(bucket.kept().into()),
            misses: AtomicU64::new(0),
            came: AtomicU64::new(0),
            went: AtomicU64::new(0),
        }))
    }
}

/// As one thread alone changes it; what it is then.
#[inline(always)]
fn add(count: &AtomicU64, more: u64) -> u64 {
    let sum = count.load(Relaxed).wrapping_add(more);
    count.store(sum, Relaxed);
    sum
}

/// What a thread has done with a bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) returns: u64,
    pub(super) free: u64,
}

impl Stack {
    /// How many lie here. Exact when its thread is not using it: another may see a part of what a call changes.
    fn free(&self) -> u64 {
        let came = self.puts.load(Relaxed).wrapping_add(self.came.load(Relaxed));
        let went = self.hits.load(Relaxed).wrapping_add(self.went.load(Relaxed));
        came.saturating_sub(went)
    }

    /// Has so many more, or fewer, lie here before it is too many; not where the thread was asked to keep nothing.
    fn widen(&self, more: i64) {
        let kept = |bound: i64| (bound != i64::MIN).then(|| bound + more);
        let _before: Result<i64, i64> = self.bound.fetch_update(Relaxed, Relaxed, kept);
    }
}

impl Shelves {
    #[inline(always)]
    const fn stack(&self, bucket: SizeBucket) -> &Stack {
        &self.0[bucket as usize]
    }

    /// A buffer, which is the caller's; counted as a hit.
    ///
    /// # Safety
    /// No other thread changes these shelves now.
    #[inline(always)]
    pub(super) unsafe fn pop(&self, bucket: SizeBucket) -> Option<NonNull<u8>> {
        let stack = self.stack(bucket);
        let first = NonNull::new(stack.first.load(Relaxed))?;
        // SAFETY: a free buffer of this stack, which nobody else changes now.
        let after = unsafe { next(first) }.get();
        stack.first.store(after, Relaxed);
        add(&stack.hits, 1);
        Some(first.cast())
    }

    /// Takes a buffer. True: more lie here now than should.
    ///
    /// # Safety
    /// As [`Shelves::pop`]; the buffer is one of that bucket, aligned to 8, and nobody uses it afterwards.
    #[inline(always)]
    pub(super) unsafe fn push(&self, bucket: SizeBucket, buffer: NonNull<u8>) -> bool {
        let stack = self.stack(bucket);
        let node = buffer.cast::<Node>();
        let next = Cell::new(stack.first.load(Relaxed));
        // SAFETY: the buffer's first word.
        unsafe { node.cast::<Cell<*mut Node>>().write(next) };
        stack.first.store(node.as_ptr(), Relaxed);
        let more = add(&stack.puts, 1).wrapping_sub(stack.hits.load(Relaxed));
        more.cast_signed() > stack.bound.load(Relaxed)
    }

    /// A request that fresh memory served.
    pub(super) fn missed(&self, bucket: SizeBucket) {
        add(&self.stack(bucket).misses, 1);
    }

    /// Takes a chain onto an empty stack.
    ///
    /// # Safety
    /// As [`Shelves::pop`]; the chain is the caller's, of that bucket.
    pub(super) unsafe fn refill(&self, bucket: SizeBucket, chain: &Chain) {
        let stack = self.stack(bucket);
        debug_assert!(stack.first.load(Relaxed).is_null(), "refilled before it was empty");
        stack.first.store(chain.first.as_ptr(), Relaxed);
        stack.widen(-i64::from(chain.count));
        add(&stack.came, u64::from(chain.count));
    }

    /// All but `keep` buffers of a bucket, as a chain that is the caller's.
    ///
    /// # Safety
    /// As [`Shelves::pop`].
    pub(super) unsafe fn spill(&self, bucket: SizeBucket, keep: u32) -> Option<Chain> {
        let stack = self.stack(bucket);
        let first = NonNull::new(stack.first.load(Relaxed))?;
        let going = stack.free().checked_sub(keep.into()).filter(|&going| going > 0)?;
        // a shelf that nothing bounds may have more than a chain counts
        let going = u32::try_from(going).unwrap_or(u32::MAX);
        let mut last = first;
        for _ in 1..going {
            // SAFETY: a free buffer of this stack, which has at least `going`.
            last = NonNull::new(unsafe { next(last) }.get())?;
        }
        // SAFETY: as above.
        let rest = unsafe { next(last) }.replace(null_mut());
        stack.first.store(rest, Relaxed);
        stack.widen(going.into());
        add(&stack.went, u64::from(going));
        Some(Chain { first, count: going })
    }

    /// Lets the thread find at its next return that it keeps too much. Any thread may ask.
    pub(super) fn ask(&self) {
        self.0.iter().for_each(|stack| stack.bound.store(i64::MIN, Relaxed));
    }

    /// Whether it was asked to keep nothing; it may keep again afterwards.
    pub(super) fn asked(&self) -> bool {
        let asked = self.0.iter().any(|stack| stack.bound.load(Relaxed) == i64::MIN);
        if asked {
            for bucket in SizeBucket::ALL {
                let stack = self.stack(bucket);
                let moved = stack.went.load(Relaxed).wrapping_sub(stack.came.load(Relaxed)).cast_signed();
                stack.bound.store(moved + i64::from(bucket.kept()), Relaxed);
            }
        }
        asked
    }

    /// Whether nothing lies here, as far as another thread can see it.
    pub(super) fn look_empty(&self) -> bool {
        self.0.iter().all(|stack| stack.first.load(Relaxed).is_null())
    }

    /// May be read from any thread; exact when its own is not using it.
    pub(super) fn counts(&self, bucket: SizeBucket) -> Counts {
        let stack = self.stack(bucket);
        let (hits, returns) = (stack.hits.load(Relaxed), stack.puts.load(Relaxed));
        Counts { hits, misses: stack.misses.load(Relaxed), returns, free: stack.free() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_knows_how_many_lie_on_it_and_when_they_are_too_many() {
        let shelves = Shelves::default();
        let bucket = SizeBucket::Huge;
        let most = bucket.kept() as usize;
        let mut buffers = vec![[0_u64; 32]; 4 * most];
        let mut buffers = buffers.iter_mut().map(|buffer| NonNull::from(buffer).cast::<u8>());
        let mut fill = |count: usize| {
            // SAFETY: buffers of this test, each used once, on one thread.
            buffers
                .by_ref()
                .take(count)
                .map(|buffer| unsafe { shelves.push(bucket, buffer) })
                .collect::<Vec<_>>()
        };
        let free = || usize::try_from(shelves.counts(bucket).free).unwrap();
        assert!(fill(most).iter().all(|&too_many| !too_many));
        assert_eq!((fill(1), free()), (vec![true], most + 1));
        // SAFETY: one thread.
        let half = unsafe { shelves.spill(bucket, bucket.kept() / 2) }.unwrap();
        assert_eq!((half.count as usize, free()), (most / 2 + 1, most / 2));
        let filled = fill(most / 2 + 1);
        assert_eq!(filled.split_last(), Some((&true, vec![false; most / 2].as_slice())), "room as before");
        // SAFETY: one thread.
        while unsafe { shelves.pop(bucket) }.is_some() {}
        assert_eq!(free(), 0);
        // SAFETY: one thread; the chain was taken off above.
        unsafe { shelves.refill(bucket, &half) };
        assert_eq!(free(), most / 2 + 1);
        assert_eq!((fill(most - free()), fill(1)), (vec![false; most / 2 - 1], vec![true]));
        shelves.ask();
        // SAFETY: one thread.
        unsafe { shelves.spill(bucket, 0) }.unwrap();
        assert_eq!((fill(1), free()), (vec![true], 1), "asked to keep nothing, also after a spill");
        assert!(shelves.asked() && !shelves.asked());
        assert_eq!((fill(most - 1), fill(1)), (vec![false; most - 1], vec![true]), "as at first");
        let counts = shelves.counts(bucket);
        assert_eq!((counts.hits, counts.misses), (most as u64 + 1, 0));
    }
}
