//! A source of chunks that an arena allocates one after the other from any upstream.
//!
//! Chunks stay in the order in which the arena passed through them, and are cached on restore and
//! reset. A step larger than one chunk calls its upstream only the first time.
#![expect(unsafe_code, reason = "frees chunks in their upstream")]

use super::chunk_source::{BumpRange, Chunk, ChunkSource, GRANULE, sealed::Sealed};
use arenite_core::{AllocErrorKind, Label, Resource};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::vec::Vec;

/// Default size of a chunk: 64 MiB.
pub(super) const DEFAULT_CHUNK_BYTES: usize = 64 << 20;

/// Chunks of a minimum size from the upstream `R`.
#[derive(Debug)]
pub struct Chunked<R: Resource> {
    upstream: R,
    chunk_size: usize,
    chunks: Vec<OwnedChunk>,
    current: usize,
    held: usize,
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
        Self { upstream, chunk_size, chunks: Vec::new(), current: 0, held: 0 }
    }

    /// Allocates a chunk that `layout` fits into and inserts it at `index`.
    fn allocate_chunk(&mut self, layout: Layout, index: usize) -> Result<(), AllocErrorKind> {
        let align = layout.align().max(64);
        let size = self.chunk_size.max(layout.size()).max(GRANULE);
        let size = size.checked_next_multiple_of(GRANULE).ok_or(AllocErrorKind::BadLayout)?;
        let chunk = Layout::from_size_align(size, align).map_err(|_| AllocErrorKind::BadLayout)?;
        self.chunks.try_reserve(1).map_err(|_| AllocErrorKind::Exhausted { errno: 0 })?;
        let start = self.upstream.allocate(chunk).map_err(|error| error.kind)?.cast();
        self.chunks.insert(index, OwnedChunk { start, layout: chunk, before: 0 });
        self.held += size;
        Ok(())
    }

    /// Frees chunk `index` to the upstream and returns its size.
    fn release_chunk(&mut self, index: usize) -> usize {
        let chunk = self.chunks.remove(index);
        // SAFETY: the chunk came from this upstream with this layout, is live, and leaves the list:
        // no block is in it.
        unsafe { self.upstream.deallocate(chunk.start, chunk.layout) };
        self.held -= chunk.size();
        chunk.size()
    }
}

impl<R: Resource> Sealed for Chunked<R> {}

impl<R: Resource> ChunkSource for Chunked<R> {
    fn grow(&mut self, cursor: *mut u8, layout: Layout, _label: Label) -> Result<BumpRange, AllocErrorKind> {
        let (next, before) = match self.chunks.get(self.current) {
            Some(now) if !cursor.is_null() => {
                (self.current + 1, now.before + (cursor.addr() - now.start.addr().get()))
            }
            _ => (0, 0),
        };
        match self.chunks.iter().skip(next).position(|chunk| chunk.fits(layout)) {
            Some(0) => {}
            // A cached chunk further on fits: it moves here, and the others keep their order behind
            // it.
            Some(ahead) => self.chunks[next..=next + ahead].rotate_right(1),
            None => self.allocate_chunk(layout, next)?,
        }
        self.chunks[next].before = before;
        self.current = next;
        Ok(self.chunks[next].range())
    }

    fn current(&self) -> usize {
        self.current
    }

    fn rewind(&mut self, index: usize) -> BumpRange {
        self.current = index;
        self.chunks.get(index).map_or(BumpRange::EMPTY, OwnedChunk::range)
    }

    fn position_in_earlier_chunk(&self, address: *const u8) -> Option<usize> {
        let below = self.chunks.get(..self.current)?;
        let chunk = below.iter().rev().find(|chunk| chunk.contains(address))?;
        Some(chunk.before + (address.addr() - chunk.start.addr().get()))
    }

    fn held(&self) -> usize {
        self.held
    }

    fn capacity(&self) -> Option<usize> {
        None
    }

    fn trim(&mut self, cursor: *mut u8, target_held: usize) -> (usize, BumpRange) {
        if cursor.is_null() {
            self.current = 0;
        }
        let keep = if cursor.is_null() { 0 } else { self.current + 1 };
        let mut released = 0;
        while self.held > target_held && self.chunks.len() > keep {
            released += self.release_chunk(self.chunks.len() - 1);
        }
        (released, if cursor.is_null() { BumpRange::EMPTY } else { self.rewind(self.current) })
    }

    fn chunks(&self, cursor: *mut u8, visit: &mut dyn FnMut(Chunk)) {
        for (index, chunk) in self.chunks.iter().enumerate() {
            let used = match index.cmp(&self.current) {
                core::cmp::Ordering::Less => self.chunks[index + 1].before - chunk.before,
                core::cmp::Ordering::Equal if !cursor.is_null() => cursor.addr() - chunk.start.addr().get(),
                _ => 0,
            };
            visit(Chunk { data: chunk.start.as_ptr(), size: chunk.size(), used });
        }
    }
}

impl<R: Resource> Drop for Chunked<R> {
    fn drop(&mut self) {
        while !self.chunks.is_empty() {
            self.release_chunk(self.chunks.len() - 1);
        }
    }
}
