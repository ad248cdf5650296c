//! What a context has taken.
//!
//! Rests on the standard vector, for contexts of more than four buffers, and for those of types that are aligned higher than buffers are. The
//! first four others stand in the context itself, so that a small one asks for no memory but its buffers'.
#![expect(unsafe_code, reason = "makes layouts of sizes that were in one")]

use super::analytics_context::ALIGN;
use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

/// How many buffers a context has without a list.
const FIRST: usize = 4;

/// Names a type: a function, as it is one word and the name is asked for seldom.
pub(super) type Kind = fn() -> &'static str;

/// One buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: NonNull<u8>,
    /// How it was asked of the pool: of a type that is aligned higher than buffers are, with that.
    pub(super) layout: Layout,
    /// The type whose values are in it, where it was asked by a type.
    pub(super) kind: Option<Kind>,
}

/// Buffers by number; a number is never used twice.
///
/// What the first ones are stands in arrays, field by field: an entry that is made elsewhere and copied in whole waits until its parts,
/// which were stored one by one, can be loaded together.
#[derive(Debug)]
pub(super) struct Entries {
    starts: [Cell<Option<NonNull<u8>>>; FIRST],
    /// Their sizes: all are aligned as buffers are.
    sizes: [Cell<usize>; FIRST],
    kinds: [Cell<Option<Kind>>; FIRST],
    /// How many of the first there were so far.
    used: Cell<usize>,
    /// The others, whose numbers begin at `FIRST`.
    more: RefCell<Vec<Option<Entry>>>,
}

impl Entries {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self {
            starts: [const { Cell::new(None) }; FIRST],
            sizes: [const { Cell::new(0) }; FIRST],
            kinds: [const { Cell::new(None) }; FIRST],
            used: Cell::new(0),
            more: RefCell::new(Vec::new()),
        }
    }

    /// How many there were so far.
    pub(super) fn count(&self) -> usize {
        self.used.get() + self.more.borrow().len()
    }

    #[inline(always)]
    fn first(&self, number: usize) -> Option<Entry> {
        let start = self.starts.get(number)?.get()?;
        let size = self.sizes.get(number)?.get();
        // SAFETY: a power of two, and the size of a layout with it, by `push`.
        let layout = unsafe { Layout::from_size_align_unchecked(size, ALIGN) };
        Some(Entry { start, layout, kind: self.kinds.get(number)?.get() })
    }

    /// Makes room for so many, if there is memory for it: it is a hint.
    pub(super) fn expect(&self, count: usize) {
        let _room = self.more.borrow_mut().try_reserve(count.saturating_sub(FIRST));
    }

    /// Remembers one; its number. `None`: there is no memory for the list.
    #[inline(always)]
    pub(super) fn push(&self, entry: Entry) -> Option<usize> {
        let number = self.used.get();
        match (self.starts.get(number), self.sizes.get(number), self.kinds.get(number)) {
            (Some(start), Some(size), Some(kind)) if entry.layout.align() == ALIGN => {
                start.set(Some(entry.start));
                size.set(entry.layout.size());
                kind.set(entry.kind);
                self.used.set(number + 1);
                Some(number)
            }
            _ => self.push_more(entry),
        }
    }

    #[cold]
    #[inline(never)]
    fn push_more(&self, entry: Entry) -> Option<usize> {
        let mut more = self.more.borrow_mut();
        more.try_reserve(1).ok()?;
        more.push(Some(entry));
        Some(FIRST + more.len() - 1)
    }

    pub(super) fn take(&self, number: usize) -> Option<Entry> {
        let Some(start) = self.starts.get(number) else {
            return self.more.borrow_mut().get_mut(number - FIRST)?.take();
        };
        let entry = self.first(number);
        start.set(None);
        entry
    }

    /// Each buffer that was not taken back.
    #[inline(always)]
    pub(super) fn each(&self, mut visit: impl FnMut(&Entry)) {
        for number in 0..self.used.get().min(FIRST) {
            if let Some(entry) = self.first(number) {
                visit(&entry);
            }
        }
        let more = self.more.borrow();
        if !more.is_empty() {
            more.iter().flatten().for_each(visit);
        }
    }
}
