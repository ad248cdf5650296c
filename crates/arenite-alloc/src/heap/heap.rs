//! The heap, as a resource.
//!
//! Rests on `ThreadHeap` for blocks up to 64 KiB and on `Central` for larger ones. A block is told from its address alone: the
//! arena's tables say whose it is, and a free by its owner takes no lock and no locked operation.
#![expect(unsafe_code, reason = "lends blocks and takes them back")]

use super::arena::{Kind, header_of, kind_of, owner_of, unit_of};
use super::central::{BACK, Central, SPAN};
use super::classes::{LARGEST, SizeClasses};
use super::large::{Large, OFFSET};
use super::thread_heap::{DIRECT, ThreadHeap};
use super::threads;
use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState, Trim};
use arenite_pages::Pages;
use core::alloc::Layout;
use core::ptr::NonNull;

/// Blocks of any size, given back one by one, from any thread. Shared between threads.
///
/// Each thread has slabs of its own, so most calls take no lock; a block that another thread gives back is put on its slab's
/// list with one atomic exchange. Blocks above 64 KiB are whole units of 64 KiB, above 16 MiB regions of their own that are kept
/// for the next such request, on huge pages, up to 1 GiB; they grow where they are or by moving their OS pages.
///
/// Alignments up to 4096 cost nothing below 64 KiB; 2 MiB is the largest.
///
/// ```
/// use arenite_alloc::Heap;
/// use arenite_core::{AllocError, Block, Resource};
/// let heap = Heap::try_new()?;
/// let block = Block::new_in(AllocError::layout(1000, 16)?, &heap)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| Block::zeroed_in(AllocError::layout(100_000, 64)?, &heap).map(drop));
/// });
/// assert_eq!(heap.state().live_blocks, 1);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Heap {
    central: NonNull<Central>,
    life: u64,
    label: Label,
}

// SAFETY: what threads share is `Central`, which is `Sync`; what each has of its own is found by thread.
unsafe impl Send for Heap {}
// SAFETY: as for `Send`.
unsafe impl Sync for Heap {}

const CENTRAL: Layout = Layout::new::<Central>();

impl Heap {
    /// A heap of its own, with the fine size classes. Takes an OS page or two now, and addresses when it is first used.
    ///
    /// # Errors
    /// [`AllocError`] where there is no memory for its tables.
    pub fn try_new() -> Result<Self, AllocError> {
        Self::with_classes(SizeClasses::Fine)
    }

    /// A heap of its own with these size classes.
    ///
    /// # Errors
    /// As [`Heap::try_new`].
    pub fn with_classes(classes: SizeClasses) -> Result<Self, AllocError> {
        let memory: NonNull<Central> = Pages::new().allocate(CENTRAL)?.cast();
        let central = Central::new(classes);
        let life = central.life;
        // SAFETY: fresh memory of that layout.
        unsafe { memory.write(central) };
        threads::enter(memory);
        Ok(Self { central: memory, life, label: Label::new("heap") })
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The size classes.
    #[must_use]
    pub fn classes(&self) -> SizeClasses {
        self.central().classes
    }

    #[inline(always)]
    fn central(&self) -> &Central {
        // SAFETY: made in `with_classes`, ended in `drop`.
        unsafe { self.central.as_ref() }
    }

    #[inline(always)]
    fn thread(&self) -> Option<&ThreadHeap> {
        let last = threads::last(self.life);
        // SAFETY: the calling thread's part of this heap, which lives as long as the heap.
        match unsafe { last.as_ref() } {
            Some(thread) => Some(thread),
            // SAFETY: as above.
            None => threads::find(self.central).map(|thread| unsafe { thread.as_ref() }),
        }
    }

    #[cold]
    fn refuse(&self, layout: Layout) -> AllocError {
        let cause = match layout.align() {
            align if align > OFFSET => AllocCause::TooLarge { largest: OFFSET },
            _ => AllocCause::Exhausted { errno: 0 },
        };
        AllocError::new(cause, layout, self.state(), self.label)
    }

    /// The size of the block that a layout gets, where that has a class.
    #[inline(always)]
    fn classed(layout: Layout) -> Option<usize> {
        let align = layout.align();
        if align > 4096 {
            return None;
        }
        let size = if layout.size() == 0 { align } else { (layout.size() + align - 1) & !(align - 1) };
        (size <= LARGEST).then_some(size)
    }

    #[inline]
    fn take(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, AllocError> {
        let Some(size) = Self::classed(layout) else {
            return self.take_large(layout, zeroed);
        };
        let thread = self.thread().ok_or_else(|| self.refuse(layout))?;
        let block = if size <= DIRECT {
            thread.allocate_small(size)
        } else {
            thread.allocate_class(self.central().classes.class_of(size))
        };
        let block = block.ok_or_else(|| self.refuse(layout))?;
        if zeroed {
            // SAFETY: a fresh block of at least that size, which is this call's alone.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[cold]
    fn take_large(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.central().take_large(layout.size().max(1), layout.align(), zeroed);
        let block = block.ok_or_else(|| self.refuse(layout))?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// A block that is not the calling thread's.
    ///
    /// # Safety
    /// As [`Resource::deallocate`].
    #[inline(never)]
    unsafe fn give_elsewhere(&self, block: NonNull<u8>, owner: usize) {
        // SAFETY: a live block of this heap.
        match unsafe { kind_of(block) } {
            Kind::Large => self.central().give_large(header_of(block).cast::<Large>()),
            Kind::Arena if owner == SPAN => self.central().give_span(block),
            Kind::Arena => {
                let first = unit_of(block) - (owner & BACK);
                // SAFETY: a live block lies in an arena whose tables are whole.
                let header = unsafe { header_of(block).as_ref() };
                // SAFETY: a live block of the slab that begins there, and the caller gives it up.
                unsafe { header.remote[first].push(block) };
            }
            Kind::Nothing => debug_assert!(false, "not a block of a heap"),
        }
    }

    /// Gives the calling thread's empty slabs to the heap, and the memory behind what nobody uses to the system. How many
    /// bytes went to the system.
    pub fn defrag(&self) -> usize {
        if let Some(thread) = self.thread() {
            thread.give_empty();
        }
        self.central().trim(0)
    }
}

// SAFETY: laws 1 to 3 and 6: blocks are slots of slabs, spans and regions, disjoint by the lists and the tables, aligned as
// `classed` and `take_large` see to; law 4: a request of no bytes gets a block of its alignment; law 7: `grow` moves or widens
// what it keeps.
unsafe impl Resource for Heap {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.take(layout, false)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.take(layout, true)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        // SAFETY: a live block of this heap.
        let owner = unsafe { owner_of(block) };
        let last = threads::last(self.life);
        if owner & !BACK == last.addr() && !last.is_null() {
            // SAFETY: a block with an owner lies in an arena whose tables are whole.
            let header = unsafe { header_of(block).as_ref() };
            // SAFETY: the calling thread's part of this heap.
            let thread = unsafe { &*last };
            // SAFETY: the table says that the slab is this thread's; the block is live and given up.
            return unsafe { thread.give(&header.slabs[unit_of(block) - (owner & BACK)], block) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.give_elsewhere(block, owner) };
    }

    fn state(&self) -> ResourceState {
        self.central().state()
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if old.align() == new.align() {
            if let (Some(from), Some(to)) = (Self::classed(old), Self::classed(new)) {
                let classes = self.central().classes;
                if classes.class_of(from) == classes.class_of(to) {
                    return Ok(NonNull::slice_from_raw_parts(block, new.size()));
                }
            } else if Self::classed(old).is_none() {
                // SAFETY: a live block of this heap.
                if unsafe { kind_of(block) } == Kind::Large
                    && let Some(block) = self.central().grow_large(header_of(block).cast(), new.size())
                {
                    return Ok(NonNull::slice_from_raw_parts(block, new.size()));
                }
            }
        }
        // SAFETY: the caller's promises.
        unsafe { arenite_core::relocate(self, block, old, new, old.size()) }
    }
}

impl Trim for Heap {
    fn trim(&self, target_held: usize) -> usize {
        if let Some(thread) = self.thread() {
            thread.give_empty();
        }
        self.central().trim(target_held)
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        threads::strike(self.central);
        // SAFETY: made in `with_classes`; nobody borrows the heap, and no thread that ends comes back to it.
        unsafe { self.central.drop_in_place() };
        // SAFETY: taken from `Pages` with this layout.
        unsafe { Pages::new().deallocate(self.central.cast(), CENTRAL) };
    }
}
