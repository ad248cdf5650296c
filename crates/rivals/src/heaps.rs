//! The heaps: system malloc, mimalloc, jemalloc and snmalloc, side by side in one process.
//!
//! Rests on their `GlobalAlloc` types, none of which is this program's global allocator: each is called by name. Every heap is one
//! static of a type of its own, so a block's type says which heap it goes back to.
#![expect(unsafe_code, reason = "calls the allocators")]

use crate::arenas::{Bump, Marked, Put, Take};
use crate::blocks::Blocks;
use crate::failure::Refused;
use crate::live_blocks::Lent;
use crate::tally;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A heap that is one static.
pub(crate) trait Heap: Send + Sync + 'static {
    type Allocator: GlobalAlloc + Sync;
    const NAME: &'static str;
    fn allocator() -> &'static Self::Allocator;
    /// Gives to the system what the heap gives when it is asked.
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
    // SAFETY: the C library's own.
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
        // SAFETY: mimalloc's own, with its signature.
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
            // SAFETY: jemalloc's own, with its signature; neither name takes or gives a value. 4096 is all arenas.
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
        // SAFETY: rpmalloc's own, with its signature.
        unsafe { rpmalloc_thread_collect() };
    }
);

/// What is done with each heap that was built in.
pub(crate) trait ForHeap {
    fn visit<H: Heap>(&mut self);
}

/// Visits every heap that was built in.
pub(crate) fn each(visitor: &mut impl ForHeap) {
    visitor.visit::<SystemMalloc>();
    #[cfg(feature = "mimalloc")]
    visitor.visit::<Mimalloc>();
    #[cfg(feature = "jemalloc")]
    visitor.visit::<Jemalloc>();
    #[cfg(feature = "snmalloc")]
    visitor.visit::<Snmalloc>();
    #[cfg(feature = "rpmalloc")]
    visitor.visit::<Rpmalloc>();
}

/// The heaps that this program was built without, by feature.
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
fn allocate<H: Heap>(layout: Layout) -> Result<NonNull<u8>, Refused> {
    assert!(layout.size() > 0, "no case asks for nothing");
    // SAFETY: the size is not zero, just checked.
    NonNull::new(unsafe { H::allocator().alloc(layout) }).ok_or(Refused)
}

/// # Safety
/// 1. `block` came from `allocate::<H>` with this layout and is live. 2. It is not used afterwards.
#[inline(always)]
unsafe fn deallocate<H: Heap>(block: NonNull<u8>, layout: Layout) {
    // SAFETY: `H` has one allocator, and the caller promised the rest.
    unsafe { H::allocator().dealloc(block.as_ptr(), layout) }
}

/// A heap with the list of what it lent: what a program keeps that frees everything at once without an arena.
#[derive(Debug)]
pub(crate) struct Listed<H: Heap> {
    list: RefCell<Vec<(NonNull<u8>, Layout)>>,
    heap: PhantomData<H>,
}

impl<H: Heap> Listed<H> {
    pub(crate) fn new() -> Self {
        Self { list: RefCell::new(Vec::with_capacity(128)), heap: PhantomData }
    }

    /// Frees what was lent after the first `kept`, newest first.
    #[inline(always)]
    fn free_down_to(&mut self, kept: usize) {
        let list = self.list.get_mut();
        while list.len() > kept {
            if let Some((block, layout)) = list.pop() {
                // SAFETY: only `take` fills the list, with blocks of `allocate::<H>` and their layouts; a block leaves the
                // list here, and `&mut self` says that no `Lent` of it is left.
                unsafe { deallocate::<H>(block, layout) }
            }
        }
    }
}

impl<H: Heap> Take for Listed<H> {
    #[inline(always)]
    fn take(&self, layout: Layout) -> Result<Lent<'_>, Refused> {
        let block = allocate::<H>(layout)?;
        self.list.borrow_mut().push((block, layout));
        // SAFETY: a fresh block of this layout, which is freed through `&mut self` alone.
        Ok(unsafe { Lent::new(block, layout) })
    }
}

impl<H: Heap> Bump for Listed<H> {
    #[inline(always)]
    fn reset(&mut self) {
        self.free_down_to(0);
    }
}

impl<H: Heap> Put for Listed<H> {
    #[inline(always)]
    fn put(&self, value: [u64; 8]) -> Result<*mut [u64; 8], Refused> {
        let place = self.take(Layout::new::<[u64; 8]>())?.start().cast::<[u64; 8]>();
        // SAFETY: a fresh block of the value's layout.
        unsafe { place.write(value) };
        Ok(place.as_ptr())
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.free_down_to(0);
    }
}

impl<H: Heap> Marked for Listed<H> {
    #[inline(always)]
    fn marked(&mut self, inside: impl FnOnce(&Self) -> Result<(), Refused>) -> Result<(), Refused> {
        let kept = self.list.get_mut().len();
        let done = inside(self);
        self.free_down_to(kept);
        done
    }
}

impl<H: Heap> Drop for Listed<H> {
    fn drop(&mut self) {
        self.free_down_to(0);
    }
}

/// A heap that lends blocks of any layout, one by one.
#[derive(Debug)]
pub(crate) struct AnyBlocks<H: Heap>(PhantomData<H>);

/// A block of an `AnyBlocks<H>`; made by `take` alone.
#[derive(Debug)]
pub(crate) struct AnyBlock<H: Heap>(NonNull<u8>, Layout, PhantomData<H>);

// SAFETY: a heap's blocks may be given back by any thread, and a block's bytes are its holder's.
unsafe impl<H: Heap> Send for AnyBlock<H> {}

impl<H: Heap> AnyBlock<H> {
    /// Writes every byte of it.
    pub(crate) fn fill(&self) {
        // SAFETY: a live block of that size, whose bytes are its holder's.
        unsafe { self.0.write_bytes(1, self.1.size()) };
    }
}

impl<H: Heap> AnyBlocks<H> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }

    /// A block with its first word written.
    #[inline(always)]
    pub(crate) fn take_with_a_word(&self, layout: Layout) -> Result<AnyBlock<H>, Refused> {
        let block = allocate::<H>(layout)?;
        tally::lent(layout.size());
        tally::wrote();
        // SAFETY: inside a fresh block of eight bytes or more, which is aligned to them.
        unsafe { block.cast::<u64>().write(1) };
        Ok(AnyBlock(black_box(block), layout, PhantomData))
    }

    /// A block with a byte written in every OS page of it.
    #[inline(always)]
    pub(crate) fn take(&self, layout: Layout) -> Result<AnyBlock<H>, Refused> {
        let block = allocate::<H>(layout)?;
        tally::lent(layout.size());
        tally::wrote();
        for at in (0..layout.size()).step_by(4096) {
            // SAFETY: inside a fresh block of that size.
            unsafe { block.as_ptr().wrapping_add(at).write(1) };
        }
        Ok(AnyBlock(black_box(block), layout, PhantomData))
    }

    /// The same block of at least `size` bytes, with a byte written in every new OS page of it.
    pub(crate) fn grow(&self, block: AnyBlock<H>, size: usize) -> Result<AnyBlock<H>, Refused> {
        let AnyBlock(start, old, _) = block;
        tally::wrote();
        // SAFETY: a block of `allocate::<H>` with this layout, which is used no more; the size is larger.
        let grown = unsafe { H::allocator().realloc(start.as_ptr(), old, size) };
        let (grown, layout) = (
            NonNull::new(grown).ok_or(Refused)?,
            Layout::from_size_align(size, old.align()).map_err(|_| Refused)?,
        );
        for at in (old.size()..size).step_by(4096) {
            // SAFETY: inside a block of that size.
            unsafe { grown.as_ptr().wrapping_add(at).write(1) };
        }
        Ok(AnyBlock(black_box(grown), layout, PhantomData))
    }

    #[inline(always)]
    pub(crate) fn give(&self, block: AnyBlock<H>) {
        tally::freed();
        // SAFETY: blocks of this type come from `allocate::<H>` with their layout, cannot be copied, and end here.
        unsafe { deallocate::<H>(block.0, block.1) };
    }
}

/// Takes `count` blocks from arenite's heap by one call and gives them back by another, `turns` times.
pub(crate) fn batches(layout: Layout, count: usize, turns: u64) -> Result<(), Refused> {
    for _ in 0..turns {
        let blocks = Arenite::allocator().alloc_batch(layout, count).map_err(|_| Refused)?;
        blocks.iter().for_each(|_| tally::lent(layout.size()));
        let blocks = black_box(blocks);
        blocks.iter().for_each(|_| tally::freed());
        // SAFETY: taken just now with this layout, each once, and given up.
        unsafe { Arenite::allocator().free_batch(&blocks, layout) };
    }
    Ok(())
}

/// The same one by one, and nothing is written to the blocks either.
pub(crate) fn singles<H: Heap>(layout: Layout, count: usize, turns: u64) -> Result<(), Refused> {
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..turns {
        for _ in 0..count {
            blocks.push(black_box(allocate::<H>(layout)?));
            tally::lent(layout.size());
        }
        for block in blocks.drain(..) {
            tally::freed();
            // SAFETY: taken just now with this layout, and given up.
            unsafe { deallocate::<H>(block, layout) };
        }
    }
    Ok(())
}

/// A heap that lends blocks of `SIZE` bytes.
#[derive(Debug)]
pub(crate) struct HeapBlocks<H: Heap, const SIZE: usize>(PhantomData<H>);

impl<H: Heap, const SIZE: usize> HeapBlocks<H, SIZE> {
    const LAYOUT: Layout = match Layout::from_size_align(SIZE, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("no such size"),
    };

    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A block of a `HeapBlocks<H, SIZE>`; made by `take` alone.
#[derive(Debug)]
pub(crate) struct HeapBlock<H: Heap, const SIZE: usize>(NonNull<u8>, PhantomData<H>);

impl<H: Heap, const SIZE: usize> Blocks for HeapBlocks<H, SIZE> {
    type Token = HeapBlock<H, SIZE>;

    #[inline(always)]
    fn take(&mut self, word: u64) -> Result<Self::Token, Refused> {
        let block = allocate::<H>(Self::LAYOUT)?;
        tally::lent(SIZE);
        tally::wrote();
        // SAFETY: a fresh block of `LAYOUT`, aligned to 8, of 8 bytes at least in every case.
        unsafe { block.cast::<u64>().write(word) };
        Ok(HeapBlock(black_box(block), PhantomData))
    }

    #[inline(always)]
    fn give(&mut self, token: Self::Token) -> Result<(), Refused> {
        tally::freed();
        // SAFETY: tokens of this type come from `allocate::<H>` with `LAYOUT`, cannot be copied, and end here.
        unsafe { deallocate::<H>(token.0, Self::LAYOUT) };
        Ok(())
    }
}
