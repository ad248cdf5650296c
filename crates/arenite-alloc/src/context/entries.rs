//! What a context has taken.
//!
//! Rests on the standard vector, for contexts of more than four buffers, and for those of types that are aligned higher than buffers are. The
//! first four others stand in the context itself, so that a small one asks for no memory but its buffers'.
#![expect(unsafe_code, reason = "makes layouts of sizes that were in one")]

use super::analytics_context::ALIGN;
use crate::util::fallible_vec::try_push;
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

/// What a number of the list stands for.
#[derive(Clone, Copy, Debug)]
enum Place {
    Asked(Entry),
    /// Taken before it was asked for.
    Ready(NonNull<u8>, Layout),
    /// What was of that layout.
    Gone(Layout),
}

impl Place {
    /// How places that were prepared are in order: by layout, and those that lie ready behind the others of theirs.
    const fn order(&self) -> (usize, usize, bool) {
        let (layout, ready) = match self {
            Self::Asked(entry) => (&entry.layout, false),
            Self::Ready(_, layout) => (layout, true),
            Self::Gone(layout) => (layout, false),
        };
        (layout.size(), layout.align(), ready)
    }
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
    more: RefCell<Vec<Place>>,
    /// How many of those lie ready: they are among the first, before anything was asked for.
    ready: Cell<usize>,
    /// How many were prepared, and whether these are in order.
    prepared: Cell<(usize, bool)>,
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
            ready: Cell::new(0),
            prepared: Cell::new((0, false)),
        }
    }

    /// How many were asked for so far.
    pub(super) fn count(&self) -> usize {
        self.used.get() + self.more.borrow().len() - self.ready.get()
    }

    /// Whether any lies ready.
    #[inline(always)]
    pub(super) const fn any_ready(&self) -> bool {
        self.ready.get() > 0
    }

    /// The bytes that lie ready.
    pub(super) fn ready_bytes(&self) -> usize {
        let bytes = |place: &Place| if let Place::Ready(_, layout) = place { layout.size() } else { 0 };
        self.more.borrow().iter().map(bytes).sum()
    }

    /// Keeps one for later. `None`: there is no memory for the list, or something was asked for already.
    pub(super) fn prepare(&self, start: NonNull<u8>, layout: Layout) -> Option<()> {
        let mut more = self.more.borrow_mut();
        // what was asked for has its number, and stays where it is
        if self.used.get() + more.len() != self.ready.get() {
            return None;
        }
        try_push(&mut more, Place::Ready(start, layout)).ok()?;
        self.ready.set(self.ready.get() + 1);
        self.prepared.set((more.len(), false));
        Some(())
    }

    /// One of that layout that lies ready; it is asked for then. With its number. O(log prepared), and the first puts them in order.
    pub(super) fn ask(&self, layout: Layout, kind: Option<Kind>) -> Option<(NonNull<u8>, usize)> {
        if !self.any_ready() {
            return None;
        }
        let mut more = self.more.borrow_mut();
        let (count, ordered) = self.prepared.replace((self.prepared.get().0, true));
        let prepared = more.get_mut(..count)?;
        if !ordered {
            prepared.sort_unstable_by_key(Place::order);
        }
        let number = prepared.partition_point(|place| place.order() < (layout.size(), layout.align(), true));
        let place = prepared.get_mut(number)?;
        let Place::Ready(start, has) = *place else { return None };
        if has != layout {
            return None;
        }
        *place = Place::Asked(Entry { start, layout, kind });
        self.ready.set(self.ready.get() - 1);
        Some((start, FIRST + number))
    }

    #[inline(always)]
    fn first(&self, number: usize) -> Option<Entry> {
        let start = self.starts.get(number)?.get()?;
        let size = self.sizes.get(number)?.get();
        // SAFETY: a power of two, and the size of a layout with it, by `push`.
        let layout = unsafe { Layout::from_size_align_unchecked(size, ALIGN) };
        Some(Entry { start, layout, kind: self.kinds.get(number)?.get() })
    }

    /// Makes room for as many that will be asked for, and for as many that are prepared, if there is memory for it: it is a hint.
    pub(super) fn expect(&self, count: usize, prepared: usize) {
        let room = count.saturating_sub(FIRST).saturating_add(prepared);
        let _room = self.more.borrow_mut().try_reserve(room);
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
        try_push(&mut more, Place::Asked(entry)).ok()?;
        Some(FIRST + more.len() - 1)
    }

    /// Forgets one that was asked for.
    pub(super) fn take(&self, number: usize) -> Option<Entry> {
        let Some(start) = self.starts.get(number) else {
            let mut more = self.more.borrow_mut();
            let place = more.get_mut(number - FIRST)?;
            let Place::Asked(entry) = *place else { return None };
            *place = Place::Gone(entry.layout);
            return Some(entry);
        };
        let entry = self.first(number);
        start.set(None);
        entry
    }

    /// Each buffer that was asked for and not taken back.
    pub(super) fn each(&self, mut visit: impl FnMut(&Entry)) {
        (0..FIRST).filter_map(|number| self.first(number)).for_each(|entry| visit(&entry));
        for place in self.more.borrow().iter() {
            if let Place::Asked(entry) = place {
                visit(entry);
            }
        }
    }

    /// Each buffer that is there, asked for or ready, as it was taken of the pool. They are the caller's.
    #[inline(always)]
    pub(super) fn give(&mut self, mut back: impl FnMut(NonNull<u8>, Layout)) {
        for number in 0..self.used.get().min(FIRST) {
            if let Some(entry) = self.first(number) {
                back(entry.start, entry.layout);
            }
        }
        if !self.more.get_mut().is_empty() {
            self.give_more(&mut back);
        }
    }

    #[cold]
    #[inline(never)]
    fn give_more(&mut self, back: &mut dyn FnMut(NonNull<u8>, Layout)) {
        for place in core::mem::take(self.more.get_mut()) {
            match place {
                Place::Asked(Entry { start, layout, .. }) | Place::Ready(start, layout) => {
                    back(start, layout)
                }
                Place::Gone(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn r22_what_was_prepared_is_found_by_its_layout(
            prepared in prop::collection::vec((1_usize..6, 0_u32..3), 0..40),
            asked in prop::collection::vec((1_usize..7, 0_u32..3, any::<bool>()), 0..80),
        ) {
            let layout = |size, align: u32| Layout::from_size_align(size, ALIGN << align).unwrap();
            let at = |number: usize| NonNull::new(core::ptr::without_provenance_mut::<u8>(64 * (number + 1))).unwrap();
            let (mut entries, mut ready) = (Entries::new(), BTreeMap::<_, Vec<_>>::new());
            for (number, &(size, align)) in prepared.iter().enumerate() {
                entries.prepare(at(number), layout(size, align)).unwrap();
                ready.entry((size, align)).or_default().push(at(number));
            }
            let mut there: Vec<_> = ready.values().flatten().copied().collect();
            for (number, &(size, align, taken)) in asked.iter().enumerate() {
                let wanted = layout(size, align);
                let found = entries.ask(wanted, None);
                let lies = ready.get_mut(&(size, align)).filter(|lies| !lies.is_empty());
                prop_assert_eq!(found.is_some(), lies.is_some());
                let (start, number) = match (found, lies) {
                    (Some((start, number)), Some(lies)) => {
                        let place = lies.iter().position(|&lies| lies == start);
                        prop_assert!(place.is_some(), "another layout's");
                        lies.swap_remove(place.unwrap_or(0));
                        (start, number)
                    }
                    _ => {
                        let entry = Entry { start: at(1000 + number), layout: wanted, kind: None };
                        there.push(entry.start);
                        (entry.start, entries.push(entry).unwrap())
                    }
                };
                if taken {
                    let entry = entries.take(number).unwrap();
                    prop_assert_eq!((entry.start, entry.layout), (start, wanted));
                    prop_assert!(entries.take(number).is_none(), "twice");
                    there.retain(|&other| other != start);
                }
            }
            prop_assert_eq!(entries.count(), asked.len());
            let mut back = Vec::new();
            entries.give(|start, _| back.push(start));
            back.sort_unstable();
            there.sort_unstable();
            prop_assert_eq!(back, there);
        }
    }
}
