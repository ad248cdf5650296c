//! The buffers of a context.
//!
//! The context's own memory holds the first four buffers, so a small context needs no list. A
//! vector holds further buffers, and those with a larger alignment.
#![expect(unsafe_code, reason = "makes layouts of sizes that came from layouts")]

use crate::util::fallible_vec::try_push;
use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

/// Alignment of every buffer, in bytes.
pub(super) const ALIGN: usize = 64;
/// Number of buffers that a context has without a list.
const INLINE: usize = 4;

/// A function that returns a type's name: one word, and called seldom.
pub(super) type Kind = fn() -> &'static str;

/// A live buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: NonNull<u8>,
    /// Layout with which the pool allocated it. Types with a larger alignment than buffers keep it.
    pub(super) layout: Layout,
    /// The element type, if the buffer was requested by type.
    pub(super) kind: Option<Kind>,
}

/// State of an id of the list.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Live(Entry),
    /// Allocated before it was requested.
    Prepared(NonNull<u8>, Layout),
    /// Freed; it had that layout.
    Freed(Layout),
}

impl Slot {
    /// Returns the key of prepared slots: their layout, and unused ones behind the others of the
    /// same layout.
    const fn sort_key(&self) -> (usize, usize, bool) {
        let (layout, unused) = match self {
            Self::Live(entry) => (&entry.layout, false),
            Self::Prepared(_, layout) => (layout, true),
            Self::Freed(layout) => (layout, false),
        };
        (layout.size(), layout.align(), unused)
    }
}

/// Buffers by id; an id is never reused.
///
/// The first four entries are a struct of arrays. Storing the fields separately avoids a
/// store-forwarding stall when an entry is loaded back.
#[derive(Debug)]
pub(super) struct Entries {
    starts: [Cell<Option<NonNull<u8>>>; INLINE],
    /// Sizes of the inline buffers. All have the alignment of buffers.
    sizes: [Cell<usize>; INLINE],
    kinds: [Cell<Option<Kind>>; INLINE],
    /// Number of inline buffers so far.
    used: Cell<usize>,
    /// The other buffers; their ids start at `INLINE`.
    more: RefCell<Vec<Slot>>,
    /// Number of prepared buffers that were not requested. They precede all requested ones of the
    /// list.
    unused: Cell<usize>,
    /// Number of prepared slots, and whether they are sorted.
    prepared: Cell<(usize, bool)>,
}

impl Entries {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self {
            starts: [const { Cell::new(None) }; INLINE],
            sizes: [const { Cell::new(0) }; INLINE],
            kinds: [const { Cell::new(None) }; INLINE],
            used: Cell::new(0),
            more: RefCell::new(Vec::new()),
            unused: Cell::new(0),
            prepared: Cell::new((0, false)),
        }
    }

    /// Returns the number of buffers requested so far.
    pub(super) fn count(&self) -> usize {
        self.used.get() + self.more.borrow().len() - self.unused.get()
    }

    /// Returns whether any prepared buffer is unused.
    #[inline(always)]
    pub(super) const fn has_prepared(&self) -> bool {
        self.unused.get() > 0
    }

    /// Returns the bytes of unused prepared buffers.
    pub(super) fn prepared_bytes(&self) -> usize {
        let bytes = |slot: &Slot| if let Slot::Prepared(_, layout) = slot { layout.size() } else { 0 };
        self.more.borrow().iter().map(bytes).sum()
    }

    /// Adds a prepared buffer. Returns `None` if there is no memory for the list, or after the
    /// first request.
    pub(super) fn prepare(&self, start: NonNull<u8>, layout: Layout) -> Option<()> {
        let mut more = self.more.borrow_mut();
        // A requested buffer has its id and must stay in its slot.
        if self.used.get() + more.len() != self.unused.get() {
            return None;
        }
        try_push(&mut more, Slot::Prepared(start, layout)).ok()?;
        self.unused.set(self.unused.get() + 1);
        self.prepared.set((more.len(), false));
        Some(())
    }

    /// Returns a prepared buffer of that layout and its id. O(log prepared); the first call sorts.
    pub(super) fn request(&self, layout: Layout, kind: Option<Kind>) -> Option<(NonNull<u8>, usize)> {
        if !self.has_prepared() {
            return None;
        }
        let mut more = self.more.borrow_mut();
        let (count, ordered) = self.prepared.replace((self.prepared.get().0, true));
        let prepared = more.get_mut(..count)?;
        if !ordered {
            prepared.sort_unstable_by_key(Slot::sort_key);
        }
        let id = prepared.partition_point(|slot| slot.sort_key() < (layout.size(), layout.align(), true));
        let slot = prepared.get_mut(id)?;
        let Slot::Prepared(start, has) = *slot else { return None };
        if has != layout {
            return None;
        }
        *slot = Slot::Live(Entry { start, layout, kind });
        self.unused.set(self.unused.get() - 1);
        Some((start, INLINE + id))
    }

    #[inline(always)]
    fn inline_entry(&self, id: usize) -> Option<Entry> {
        let start = self.starts.get(id)?.get()?;
        let size = self.sizes.get(id)?.get();
        // SAFETY: a power of two, and the size came from a layout with it, by `push`.
        let layout = unsafe { Layout::from_size_align_unchecked(size, ALIGN) };
        Some(Entry { start, layout, kind: self.kinds.get(id)?.get() })
    }

    /// Reserves list capacity for `count` requests and `prepared` buffers, if there is memory: a
    /// hint.
    pub(super) fn reserve_for(&self, count: usize, prepared: usize) {
        let capacity = count.saturating_sub(INLINE).saturating_add(prepared);
        let _hint = self.more.borrow_mut().try_reserve(capacity);
    }

    /// Adds a buffer. Returns its id, or `None` if there is no memory for the list.
    #[inline(always)]
    pub(super) fn push(&self, entry: Entry) -> Option<usize> {
        let id = self.used.get();
        match (self.starts.get(id), self.sizes.get(id), self.kinds.get(id)) {
            (Some(start), Some(size), Some(kind)) if entry.layout.align() == ALIGN => {
                start.set(Some(entry.start));
                size.set(entry.layout.size());
                kind.set(entry.kind);
                self.used.set(id + 1);
                Some(id)
            }
            _ => self.push_overflow(entry),
        }
    }

    #[cold]
    #[inline(never)]
    fn push_overflow(&self, entry: Entry) -> Option<usize> {
        let mut more = self.more.borrow_mut();
        try_push(&mut more, Slot::Live(entry)).ok()?;
        Some(INLINE + more.len() - 1)
    }

    /// Removes a requested buffer.
    pub(super) fn take(&self, id: usize) -> Option<Entry> {
        let Some(start) = self.starts.get(id) else {
            let mut more = self.more.borrow_mut();
            let slot = more.get_mut(id - INLINE)?;
            let Slot::Live(entry) = *slot else { return None };
            *slot = Slot::Freed(entry.layout);
            return Some(entry);
        };
        let entry = self.inline_entry(id);
        start.set(None);
        entry
    }

    /// Visits each requested buffer that was not removed.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Entry)) {
        (0..INLINE).filter_map(|id| self.inline_entry(id)).for_each(|entry| visit(&entry));
        for slot in self.more.borrow().iter() {
            if let Slot::Live(entry) = slot {
                visit(entry);
            }
        }
    }

    /// Passes every buffer, requested or prepared, to `free`.
    #[inline(always)]
    pub(super) fn release_all(&mut self, mut free: impl FnMut(NonNull<u8>, Layout)) {
        for id in 0..self.used.get().min(INLINE) {
            if let Some(entry) = self.inline_entry(id) {
                free(entry.start, entry.layout);
            }
        }
        if !self.more.get_mut().is_empty() {
            self.release_overflow(&mut free);
        }
    }

    #[cold]
    #[inline(never)]
    fn release_overflow(&mut self, free: &mut dyn FnMut(NonNull<u8>, Layout)) {
        for slot in core::mem::take(self.more.get_mut()) {
            match slot {
                Slot::Live(Entry { start, layout, .. }) | Slot::Prepared(start, layout) => {
                    free(start, layout)
                }
                Slot::Freed(_) => {}
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
        fn r22_prepared_buffers_are_found_by_their_layout(
            prepared in prop::collection::vec((1_usize..6, 0_u32..3), 0..40),
            requests in prop::collection::vec((1_usize..7, 0_u32..3, any::<bool>()), 0..80),
        ) {
            let layout = |size, align: u32| Layout::from_size_align(size, ALIGN << align).unwrap();
            let at = |id: usize| NonNull::new(core::ptr::without_provenance_mut::<u8>(64 * (id + 1))).unwrap();
            let (mut entries, mut unused) = (Entries::new(), BTreeMap::<_, Vec<_>>::new());
            for (id, &(size, align)) in prepared.iter().enumerate() {
                entries.prepare(at(id), layout(size, align)).unwrap();
                unused.entry((size, align)).or_default().push(at(id));
            }
            let mut there: Vec<_> = unused.values().flatten().copied().collect();
            for (id, &(size, align, taken)) in requests.iter().enumerate() {
                let requested = layout(size, align);
                let found = entries.request(requested, None);
                let lies = unused.get_mut(&(size, align)).filter(|lies| !lies.is_empty());
                prop_assert_eq!(found.is_some(), lies.is_some());
                let (start, id) = match (found, lies) {
                    (Some((start, id)), Some(lies)) => {
                        let slot = lies.iter().position(|&lies| lies == start);
                        prop_assert!(slot.is_some(), "another layout's");
                        lies.swap_remove(slot.unwrap_or(0));
                        (start, id)
                    }
                    _ => {
                        let entry = Entry { start: at(1000 + id), layout: requested, kind: None };
                        there.push(entry.start);
                        (entry.start, entries.push(entry).unwrap())
                    }
                };
                if taken {
                    let entry = entries.take(id).unwrap();
                    prop_assert_eq!((entry.start, entry.layout), (start, requested));
                    prop_assert!(entries.take(id).is_none(), "twice");
                    there.retain(|&other| other != start);
                }
            }
            prop_assert_eq!(entries.count(), requests.len());
            let mut back = Vec::new();
            entries.release_all(|start, _| back.push(start));
            back.sort_unstable();
            there.sort_unstable();
            prop_assert_eq!(back, there);
        }
    }
}
