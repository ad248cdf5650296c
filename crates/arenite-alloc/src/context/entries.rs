//! What a context has taken.
//!
//! Rests on the standard vector, for contexts of more than four buffers. The first four stand in the context itself, so that
//! a small one asks for no memory but its buffers'.

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
    layouts: [Cell<Layout>; FIRST],
    kinds: [Cell<Option<Kind>>; FIRST],
    count: Cell<usize>,
    more: RefCell<Vec<Option<Entry>>>,
}

impl Entries {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self {
            starts: [const { Cell::new(None) }; FIRST],
            layouts: [const { Cell::new(Layout::new::<()>()) }; FIRST],
            kinds: [const { Cell::new(None) }; FIRST],
            count: Cell::new(0),
            more: RefCell::new(Vec::new()),
        }
    }

    /// How many there were so far.
    #[inline(always)]
    pub(super) const fn count(&self) -> usize {
        self.count.get()
    }

    #[inline(always)]
    fn first(&self, number: usize) -> Option<Entry> {
        let start = self.starts.get(number)?.get()?;
        Some(Entry { start, layout: self.layouts.get(number)?.get(), kind: self.kinds.get(number)?.get() })
    }

    /// Makes room for so many, if there is memory for it: it is a hint.
    pub(super) fn expect(&self, count: usize) {
        let _room = self.more.borrow_mut().try_reserve(count.saturating_sub(FIRST));
    }

    /// Remembers one; its number. `None`: there is no memory for the list.
    #[inline(always)]
    pub(super) fn push(&self, entry: Entry) -> Option<usize> {
        let number = self.count.get();
        match (self.starts.get(number), self.layouts.get(number), self.kinds.get(number)) {
            (Some(start), Some(layout), Some(kind)) => {
                start.set(Some(entry.start));
                layout.set(entry.layout);
                kind.set(entry.kind);
            }
            _ => self.push_more(entry)?,
        }
        self.count.set(number + 1);
        Some(number)
    }

    #[cold]
    #[inline(never)]
    fn push_more(&self, entry: Entry) -> Option<()> {
        let mut more = self.more.borrow_mut();
        more.try_reserve(1).ok()?;
        more.push(Some(entry));
        Some(())
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
        let count = self.count.get();
        for number in 0..count.min(FIRST) {
            if let Some(entry) = self.first(number) {
                visit(&entry);
            }
        }
        if count > FIRST {
            self.more.borrow().iter().flatten().for_each(visit);
        }
    }
}
