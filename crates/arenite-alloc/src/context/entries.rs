//! What a context has taken.
//!
//! Rests on the standard vector, for contexts of more than four buffers. The first four stand in the context itself, so that
//! a small one asks for no memory but its buffers'.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

/// How many buffers a context has without a list.
const FIRST: usize = 4;

/// One buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: NonNull<u8>,
    pub(super) layout: Layout,
    /// The name of the type whose values are in it, where it was asked by a type.
    pub(super) kind: Option<&'static str>,
}

/// Buffers by number; a number is never used twice.
///
/// What the first ones are stands in arrays, field by field: an entry that is made elsewhere and copied in whole waits until its parts,
/// which were stored one by one, can be loaded together.
#[derive(Debug)]
pub(super) struct Entries {
    starts: [Cell<Option<NonNull<u8>>>; FIRST],
    layouts: [Cell<Option<Layout>>; FIRST],
    kinds: [Cell<Option<&'static str>>; FIRST],
    count: Cell<usize>,
    more: RefCell<Vec<Option<Entry>>>,
}

impl Entries {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self {
            starts: [const { Cell::new(None) }; FIRST],
            layouts: [const { Cell::new(None) }; FIRST],
            kinds: [const { Cell::new(None) }; FIRST],
            count: Cell::new(0),
            more: RefCell::new(Vec::new()),
        }
    }

    #[inline(always)]
    fn first(&self, number: usize) -> Option<Entry> {
        let start = self.starts.get(number)?.get()?;
        let layout = self.layouts.get(number)?.get()?;
        Some(Entry { start, layout, kind: self.kinds.get(number)?.get() })
    }

    /// Makes room for so many, if there is memory for it: it is a hint.
    pub(super) fn expect(&self, count: usize) {
        let _room = self.more.borrow_mut().try_reserve(count.saturating_sub(FIRST));
    }

    #[inline(always)]
    pub(super) fn push(&self, entry: Entry) -> usize {
        let number = self.count.get();
        self.count.set(number + 1);
        match (self.starts.get(number), self.layouts.get(number), self.kinds.get(number)) {
            (Some(start), Some(layout), Some(kind)) => {
                start.set(Some(entry.start));
                layout.set(Some(entry.layout));
                kind.set(entry.kind);
            }
            _ => self.push_more(entry),
        }
        number
    }

    #[cold]
    #[inline(never)]
    fn push_more(&self, entry: Entry) {
        self.more.borrow_mut().push(Some(entry));
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
    #[inline]
    pub(super) fn each(&self, mut visit: impl FnMut(&Entry)) {
        let count = self.count.get();
        (0..count.min(FIRST)).filter_map(|number| self.first(number)).for_each(|entry| visit(&entry));
        if count > FIRST {
            self.more.borrow().iter().flatten().for_each(visit);
        }
    }
}
