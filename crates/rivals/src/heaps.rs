//! Adapters for the heaps: arenite, system malloc, mimalloc, jemalloc, snmalloc and rpmalloc in
//! one process.
//!
//! None of them is this program's global allocator; each is called through its `GlobalAlloc` type.
//! Every heap is one static of its own type, so a block's type identifies its heap.
#![expect(unsafe_code, reason = "calls the allocators")]

use crate::arenas::{AllocBlock, AllocValue, Bump, WithMark};
use crate::blocks::Blocks;
use crate::competitor::{Competitor, Side};
use crate::failure::AllocFailed;
use crate::live_block::LiveBlock;
use crate::tally;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A heap with one static instance.
pub(crate) trait Heap: Send + Sync + 'static {
    type Allocator: GlobalAlloc + Sync;
    const NAME: &'static str;
    fn allocator() -> &'static Self::Allocator;
    /// Returns the heap's unused memory to the OS, as far as its API allows.
    fn trim();
}

macro_rules! heap {
    ($(#[$condition:meta])* $name:ident, $label:literal, $allocator:ty, $value:expr, $trim:expr) => {
        $(#[$condition])*
        #[derive(Debug)]
        pub(crate) struct $name;

        $(#[$condition])*
        impl Heap for $name {
            type Allocator = $allocator;
            const NAME: &'static str = $label;
            #[inline(always)]
            fn allocator() -> &'static $allocator {
                static HEAP: $allocator = $value;
                &HEAP
            }
            fn trim() {
                let trim: fn() = $trim;
                trim();
            }
        }
    };
}

heap!(Arenite, "arenite", arenite_alloc::Heap, arenite_alloc::Heap::new(), || {
    _ = arenite_core::Trim::trim(Arenite::allocator(), 0);
});
heap!(SystemMalloc, "system", System, System, || {
    // SAFETY: a function of the C library without preconditions.
    let _any = unsafe { libc::malloc_trim(0) };
});
heap!(
    #[cfg(feature = "mimalloc")]
    Mimalloc,
    "mimalloc",
    mimalloc::MiMalloc,
    mimalloc::MiMalloc,
    || {
        unsafe extern "C" {
            fn mi_collect(force: bool);
        }
        // SAFETY: a function of mimalloc, declared with its signature, without preconditions.
        unsafe { mi_collect(true) };
    }
);
heap!(
    #[cfg(feature = "jemalloc")]
    Jemalloc,
    "jemalloc",
    tikv_jemallocator::Jemalloc,
    tikv_jemallocator::Jemalloc,
    || {
        use core::ffi::{c_char, c_int, c_void};
        unsafe extern "C" {
            #[link_name = "_rjem_mallctl"]
            fn mallctl(
                name: *const c_char,
                old: *mut c_void,
                old_len: *mut usize,
                new: *mut c_void,
                new_len: usize,
            ) -> c_int;
        }
        let nothing = core::ptr::null_mut();
        for name in [c"thread.tcache.flush", c"arena.4096.purge"] {
            // SAFETY: a function of jemalloc, declared with its signature; both names are commands
            // without a value. 4096 is all arenas.
            let _done = unsafe { mallctl(name.as_ptr(), nothing, nothing.cast(), nothing, 0) };
        }
    }
);
heap!(
    #[cfg(feature = "snmalloc")]
    Snmalloc,
    "snmalloc",
    snmalloc_rs::SnMalloc,
    snmalloc_rs::SnMalloc,
    || {} // its crate has no such call
);

heap!(
    #[cfg(feature = "rpmalloc")]
    Rpmalloc,
    "rpmalloc",
    rpmalloc::RpMalloc,
    rpmalloc::RpMalloc,
    || {
        unsafe extern "C" {
            fn rpmalloc_thread_collect();
        }
        // SAFETY: a function of rpmalloc, declared with its signature, without preconditions.
        unsafe { rpmalloc_thread_collect() };
    }
);

/// A factory of one competitor per heap.
pub(crate) trait PerHeap<'a> {
    /// Returns the competitor that runs on heap `H`.
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'a>;
}

/// Appends the factory's competitor for each peer that was built in.
pub(crate) fn with_peers<'a, 'f: 'a>(
    mut competitors: Vec<Competitor<'a>>,
    factory: &impl PerHeap<'f>,
) -> Vec<Competitor<'a>> {
    competitors.push(factory.competitor::<SystemMalloc>(Side::Rival));
    #[cfg(feature = "mimalloc")]
    competitors.push(factory.competitor::<Mimalloc>(Side::Rival));
    #[cfg(feature = "jemalloc")]
    competitors.push(factory.competitor::<Jemalloc>(Side::Rival));
    #[cfg(feature = "snmalloc")]
    competitors.push(factory.competitor::<Snmalloc>(Side::Rival));
    #[cfg(feature = "rpmalloc")]
    competitors.push(factory.competitor::<Rpmalloc>(Side::Rival));
    competitors
}

/// Creates the competitors of arenite's heap and all peers.
pub(crate) fn all_heaps<'a>(factory: &impl PerHeap<'a>) -> Vec<Competitor<'a>> {
    with_peers(vec![factory.competitor::<Arenite>(Side::Ours)], factory)
}

/// Returns the heaps whose features are disabled in this build.
#[must_use]
pub fn left_out() -> Vec<&'static str> {
    let features = [
        (cfg!(feature = "mimalloc"), "mimalloc"),
        (cfg!(feature = "jemalloc"), "jemalloc"),
        (cfg!(feature = "snmalloc"), "snmalloc"),
        (cfg!(feature = "rpmalloc"), "rpmalloc"),
    ];
    features.iter().filter(|(built, _)| !built).map(|(_, name)| *name).collect()
}

#[inline(always)]
fn allocate<H: Heap>(layout: Layout) -> Result<NonNull<u8>, AllocFailed> {
    assert!(layout.size() > 0, "no case has zero-size blocks");
    // SAFETY: the size is not zero, as just checked.
    NonNull::new(unsafe { H::allocator().alloc(layout) }).ok_or(AllocFailed)
}

/// Frees a block.
///
/// # Safety
/// 1. `block` came from `allocate::<H>` with this layout and is live. 2. It is not used
///    afterwards.
#[inline(always)]
unsafe fn deallocate<H: Heap>(block: NonNull<u8>, layout: Layout) {
    // SAFETY: `H` has one allocator, and the caller promised the rest.
    unsafe { H::allocator().dealloc(block.as_ptr(), layout) }
}

/// A heap with a list of its live blocks, as a program without an arena needs to free everything
/// at once.
#[derive(Debug)]
pub(crate) struct Listed<H: Heap> {
    list: RefCell<Vec<(NonNull<u8>, Layout)>>,
    heap: PhantomData<H>,
}

impl<H: Heap> Listed<H> {
    pub(crate) fn new() -> Self {
        Self { list: RefCell::new(Vec::with_capacity(128)), heap: PhantomData }
    }

    /// Frees all blocks after the first `kept`, newest first.
    #[inline(always)]
    fn free_to(&mut self, kept: usize) {
        let list = self.list.get_mut();
        while list.len() > kept {
            if let Some((block, layout)) = list.pop() {
                // SAFETY: only `alloc_block` fills the list, with blocks of `allocate::<H>` and
                // their layouts. A block leaves the list here, and `&mut self` implies that no
                // `LiveBlock` of it exists.
                unsafe { deallocate::<H>(block, layout) }
            }
        }
    }
}

impl<H: Heap> AllocBlock for Listed<H> {
    #[inline(always)]
    fn alloc_block(&self, layout: Layout) -> Result<LiveBlock<'_>, AllocFailed> {
        let block = allocate::<H>(layout)?;
        self.list.borrow_mut().push((block, layout));
        // SAFETY: a fresh block of this layout, which is freed through `&mut self` alone.
        Ok(unsafe { LiveBlock::new(block, layout) })
    }
}

impl<H: Heap> Bump for Listed<H> {
    #[inline(always)]
    fn reset(&mut self) {
        self.free_to(0);
    }
}

impl<H: Heap> AllocValue for Listed<H> {
    #[inline(always)]
    fn alloc_value(&self, value: [u64; 8]) -> Result<*mut [u64; 8], AllocFailed> {
        let start = self.alloc_block(Layout::new::<[u64; 8]>())?.start().cast::<[u64; 8]>();
        // SAFETY: a fresh block of the value's layout.
        unsafe { start.write(value) };
        Ok(start.as_ptr())
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.free_to(0);
    }
}

impl<H: Heap> WithMark for Listed<H> {
    #[inline(always)]
    fn with_mark(
        &mut self,
        inside: impl FnOnce(&Self) -> Result<(), AllocFailed>,
    ) -> Result<(), AllocFailed> {
        let kept = self.list.get_mut().len();
        let done = inside(self);
        self.free_to(kept);
        done
    }
}

impl<H: Heap> Drop for Listed<H> {
    fn drop(&mut self) {
        self.free_to(0);
    }
}

/// A heap as an allocator of single blocks of any layout.
#[derive(Debug)]
pub(crate) struct AnyBlocks<H: Heap>(PhantomData<H>);

/// A block of an `AnyBlocks<H>`; only its methods create one.
#[derive(Debug)]
pub(crate) struct AnyBlock<H: Heap>(NonNull<u8>, Layout, PhantomData<H>);

// SAFETY: every heap allows frees on any thread, and the value owns the bytes of its block.
unsafe impl<H: Heap> Send for AnyBlock<H> {}

impl<H: Heap> AnyBlock<H> {
    /// Writes every byte of the block.
    pub(crate) fn fill(&self) {
        // SAFETY: a live block of that size, whose bytes this value owns.
        unsafe { self.0.write_bytes(1, self.1.size()) };
    }
}

impl<H: Heap> AnyBlocks<H> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }

    /// Allocates a block and writes its first word.
    #[inline(always)]
    pub(crate) fn alloc_word(&self, layout: Layout) -> Result<AnyBlock<H>, AllocFailed> {
        let block = allocate::<H>(layout)?;
        tally::allocated(layout.size());
        tally::wrote();
        // SAFETY: inside a fresh block of at least eight bytes, aligned to eight.
        unsafe { block.cast::<u64>().write(1) };
        Ok(AnyBlock(black_box(block), layout, PhantomData))
    }

    /// Allocates a block and writes a byte in every OS page of it.
    #[inline(always)]
    pub(crate) fn alloc_touched(&self, layout: Layout) -> Result<AnyBlock<H>, AllocFailed> {
        let block = allocate::<H>(layout)?;
        tally::allocated(layout.size());
        tally::wrote();
        for at in (0..layout.size()).step_by(4096) {
            // SAFETY: inside a fresh block of that size.
            unsafe { block.as_ptr().wrapping_add(at).write(1) };
        }
        Ok(AnyBlock(black_box(block), layout, PhantomData))
    }

    /// Grows a block to `size` bytes and writes a byte in every new OS page of it.
    pub(crate) fn grow(&self, block: AnyBlock<H>, size: usize) -> Result<AnyBlock<H>, AllocFailed> {
        let AnyBlock(start, old, _) = block;
        tally::wrote();
        // SAFETY: a block of `allocate::<H>` with this layout, not used again under its old
        // address; the size is larger.
        let grown = unsafe { H::allocator().realloc(start.as_ptr(), old, size) };
        let (grown, layout) = (
            NonNull::new(grown).ok_or(AllocFailed)?,
            Layout::from_size_align(size, old.align()).map_err(|_| AllocFailed)?,
        );
        for at in (old.size()..size).step_by(4096) {
            // SAFETY: inside a live block of that size.
            unsafe { grown.as_ptr().wrapping_add(at).write(1) };
        }
        Ok(AnyBlock(black_box(grown), layout, PhantomData))
    }

    #[inline(always)]
    pub(crate) fn free(&self, block: AnyBlock<H>) {
        tally::freed();
        // SAFETY: blocks of this type come from `allocate::<H>` with their layout, cannot be
        // copied, and end here.
        unsafe { deallocate::<H>(block.0, block.1) };
    }
}

/// Allocates `count` blocks of arenite's heap with one call and frees them with another, `turns`
/// times.
pub(crate) fn batches(layout: Layout, count: usize, turns: u64) -> Result<(), AllocFailed> {
    for _ in 0..turns {
        let blocks = Arenite::allocator().alloc_batch(layout, count).map_err(|_| AllocFailed)?;
        blocks.iter().for_each(|_| tally::allocated(layout.size()));
        let blocks = black_box(blocks);
        blocks.iter().for_each(|_| tally::freed());
        // SAFETY: allocated just now with this layout, each contained once, and not used again.
        unsafe { Arenite::allocator().free_batch(&blocks, layout) };
    }
    Ok(())
}

/// Allocates `count` blocks one by one and frees them one by one, `turns` times; nothing is
/// written to the blocks.
pub(crate) fn singles<H: Heap>(layout: Layout, count: usize, turns: u64) -> Result<(), AllocFailed> {
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..turns {
        for _ in 0..count {
            blocks.push(black_box(allocate::<H>(layout)?));
            tally::allocated(layout.size());
        }
        for block in blocks.drain(..) {
            tally::freed();
            // SAFETY: allocated just now with this layout and not used again.
            unsafe { deallocate::<H>(block, layout) };
        }
    }
    Ok(())
}

/// A heap as an allocator of blocks of `SIZE` bytes.
#[derive(Debug)]
pub(crate) struct HeapBlocks<H: Heap, const SIZE: usize>(PhantomData<H>);

impl<H: Heap, const SIZE: usize> HeapBlocks<H, SIZE> {
    const LAYOUT: Layout = match Layout::from_size_align(SIZE, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("invalid block size"),
    };

    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A block of a `HeapBlocks<H, SIZE>`; only `alloc` creates one.
#[derive(Debug)]
pub(crate) struct HeapBlock<H: Heap, const SIZE: usize>(NonNull<u8>, PhantomData<H>);

impl<H: Heap, const SIZE: usize> Blocks for HeapBlocks<H, SIZE> {
    type Token = HeapBlock<H, SIZE>;

    #[inline(always)]
    fn alloc(&mut self, word: u64) -> Result<Self::Token, AllocFailed> {
        let block = allocate::<H>(Self::LAYOUT)?;
        tally::allocated(SIZE);
        tally::wrote();
        // SAFETY: a fresh block of `LAYOUT`, aligned to 8, of at least 8 bytes in every case.
        unsafe { block.cast::<u64>().write(word) };
        Ok(HeapBlock(black_box(block), PhantomData))
    }

    #[inline(always)]
    fn free(&mut self, token: Self::Token) -> Result<(), AllocFailed> {
        tally::freed();
        // SAFETY: tokens of this type come from `allocate::<H>` with `LAYOUT`, cannot be copied,
        // and end here.
        unsafe { deallocate::<H>(token.0, Self::LAYOUT) };
        Ok(())
    }
}
