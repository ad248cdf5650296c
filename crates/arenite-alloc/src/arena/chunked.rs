//! A source of chunks that an arena allocates one after the other from any upstream.
//!
//! Chunks stay in the order in which the arena passed through them, and are cached on restore and
//! reset. A step larger than one chunk calls its upstream only the first time.
//!
//! The upstream may run code of the user, which may free, find or allocate blocks of the same
//! arena. So the list of chunks is never borrowed while the upstream runs, and a second growth or
//! trim meanwhile fails.
#![expect(unsafe_code, reason = "frees chunks in their upstream")]

use super::chunk_source::{BumpRange, Chunk, ChunkSource, GRANULE, sealed::Sealed};
use crate::util::fallible_vec::try_with_spare;
use arenite_core::{AllocErrorKind, Label, Resource};
use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::vec::Vec;

/// Default size of a chunk: 64 MiB.
pub(super) const DEFAULT_CHUNK_BYTES: usize = 64 << 20;

/// Chunks of a minimum size from the upstream `R`.
#[derive(Debug)]
pub struct Chunked<R: Resource> {
    upstream: R,
    chunk_size: usize,
    chunks: RefCell<Vec<OwnedChunk>>,
    current: Cell<usize>,
    held: Cell<usize>,
    /// Whether a growth or a trim is in progress.
    busy: Cell<bool>,
}

/// Marks the source as busy until it is dropped.
struct BusyGuard<'a>(&'a Cell<bool>);

impl<'a> BusyGuard<'a> {
    /// Returns `None` if the source is busy already.
    fn begin(busy: &'a Cell<bool>) -> Option<Self> {
        (!busy.replace(true)).then(|| Self(busy))
    }
}

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A chunk of the upstream.
#[derive(Clone, Copy, Debug)]
struct OwnedChunk {
    start: NonNull<u8>,
    layout: Layout,
    /// Bytes used in the previous chunks; valid while the arena is at or above this chunk.
    before: usize,
}

// SAFETY: chunks are plain bytes that this source alone owns; sending it sends the upstream, which
// is `Send`.
unsafe impl<R: Resource + Send> Send for Chunked<R> {}

impl OwnedChunk {
    const fn size(&self) -> usize {
        self.layout.size()
    }

    fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.start.addr().get()) < self.size()
    }

    fn range(&self) -> BumpRange {
        let floor = self.start.as_ptr();
        BumpRange { floor, limit: floor.wrapping_add(self.size()), before: self.before }
    }

    /// Returns whether `layout` fits from the chunk's start.
    fn fits(&self, layout: Layout) -> bool {
        let padding = self.start.addr().get().wrapping_neg() & (layout.align() - 1);
        layout.size().checked_next_multiple_of(GRANULE).is_some_and(|size| {
            size.max(GRANULE).checked_add(padding).is_some_and(|need| need <= self.size())
        })
    }
}

impl<R: Resource> Chunked<R> {
    pub(crate) const fn new(upstream: R, chunk_size: usize) -> Self {
        Self {
            upstream,
            chunk_size,
            chunks: RefCell::new(Vec::new()),
            current: Cell::new(0),
            held: Cell::new(0),
            busy: Cell::new(false),
        }
    }

    /// Allocates a chunk that `layout` fits into and appends it to the list.
    fn append_chunk(&self, layout: Layout) -> Result<(), AllocErrorKind> {
        let align = layout.align().max(64);
        let size = self.chunk_size.max(layout.size()).max(GRANULE);
        let size = size.checked_next_multiple_of(GRANULE).ok_or(AllocErrorKind::BadLayout)?;
        let chunk = Layout::from_size_align(size, align).map_err(|_| AllocErrorKind::BadLayout)?;
        // Only the growth in progress appends, so the space is still there after the call.
        try_with_spare(&self.chunks, |_| ()).map_err(|_| AllocErrorKind::Exhausted { errno: 0 })?;
        let start = self.upstream.allocate(chunk).map_err(|error| error.kind)?.cast();
        self.chunks.borrow_mut().push(OwnedChunk { start, layout: chunk, before: 0 });
        self.held.set(self.held.get() + size);
        Ok(())
    }

    /// Makes the first chunk that `layout` fits into the next one, if there is one after the
    /// current chunk. The chunks before it keep their order behind it.
    fn enter_cached_chunk(&self, cursor: *mut u8, layout: Layout) -> Option<BumpRange> {
        let mut chunks = self.chunks.borrow_mut();
        let (next, before) = match chunks.get(self.current.get()) {
            Some(now) if !cursor.is_null() => {
                (self.current.get() + 1, now.before + (cursor.addr() - now.start.addr().get()))
            }
            _ => (0, 0),
        };
        let ahead = chunks.iter().skip(next).position(|chunk| chunk.fits(layout))?;
        chunks[next..=next + ahead].rotate_right(1);
        chunks[next].before = before;
        self.current.set(next);
        Some(chunks[next].range())
    }

    /// Frees the last chunk to the upstream and returns its size; 0 if the list has at most `keep`
    /// chunks.
    fn release_last_chunk(&self, keep: usize) -> usize {
        let last = {
            let mut chunks = self.chunks.borrow_mut();
            if chunks.len() > keep { chunks.pop() } else { None }
        };
        let Some(chunk) = last else { return 0 };
        self.held.set(self.held.get() - chunk.size());
        // SAFETY: the chunk came from this upstream with this layout, is live, and has left the
        // list: no block is in it.
        unsafe { self.upstream.deallocate(chunk.start, chunk.layout) };
        chunk.size()
    }
}

impl<R: Resource> Sealed for Chunked<R> {}

impl<R: Resource> ChunkSource for Chunked<R> {
    fn grow(
        &self,
        cursor: &Cell<*mut u8>,
        layout: Layout,
        _label: Label,
    ) -> Result<BumpRange, AllocErrorKind> {
        let _busy = BusyGuard::begin(&self.busy).ok_or(AllocErrorKind::Exhausted { errno: 0 })?;
        if let Some(range) = self.enter_cached_chunk(cursor.get(), layout) {
            return Ok(range);
        }
        let appended = self.append_chunk(layout);
        // After a failure, too: code that the upstream called may have freed a cached chunk.
        self.enter_cached_chunk(cursor.get(), layout)
            .ok_or_else(|| appended.err().unwrap_or(AllocErrorKind::Exhausted { errno: 0 }))
    }

    fn is_busy(&self) -> bool {
        self.busy.get()
    }

    fn current(&self) -> usize {
        self.current.get()
    }

    fn rewind(&self, index: usize) -> BumpRange {
        self.current.set(index);
        self.chunks.borrow().get(index).map_or(BumpRange::EMPTY, OwnedChunk::range)
    }

    fn position_in_earlier_chunk(&self, address: *const u8) -> Option<usize> {
        let chunks = self.chunks.borrow();
        let below = chunks.get(..self.current.get())?;
        let chunk = below.iter().rev().find(|chunk| chunk.contains(address))?;
        Some(chunk.before + (address.addr() - chunk.start.addr().get()))
    }

    fn held(&self) -> usize {
        self.held.get()
    }

    fn capacity(&self) -> Option<usize> {
        None
    }

    fn trim(&self, cursor: &Cell<*mut u8>, target_held: usize) -> (usize, BumpRange) {
        if cursor.get().is_null() {
            self.current.set(0);
        }
        let mut released = 0;
        if let Some(_busy) = BusyGuard::begin(&self.busy) {
            while self.held.get() > target_held {
                // The upstream may have moved the arena to another chunk.
                let keep = if cursor.get().is_null() { 0 } else { self.current.get() + 1 };
                let size = self.release_last_chunk(keep);
                if size == 0 {
                    break;
                }
                released += size;
            }
        }
        let range = if cursor.get().is_null() { BumpRange::EMPTY } else { self.rewind(self.current.get()) };
        (released, range)
    }

    fn chunk_count(&self) -> usize {
        self.chunks.borrow().len()
    }

    fn chunks(&self, cursor: *mut u8, visit: &mut dyn FnMut(Chunk)) {
        let (chunks, current) = (self.chunks.borrow(), self.current.get());
        for (index, chunk) in chunks.iter().enumerate() {
            let used = match index.cmp(&current) {
                core::cmp::Ordering::Less => chunks[index + 1].before - chunk.before,
                core::cmp::Ordering::Equal if !cursor.is_null() => cursor.addr() - chunk.start.addr().get(),
                _ => 0,
            };
            visit(Chunk { data: chunk.start.as_ptr(), size: chunk.size(), used });
        }
    }
}

impl<R: Resource> Drop for Chunked<R> {
    fn drop(&mut self) {
        while self.release_last_chunk(0) > 0 {}
    }
}
