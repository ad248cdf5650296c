//! The heap, as a resource.
//!
//! Rests on `ThreadHeap` for blocks up to 64 KiB and on `Central` for larger ones. A block is told from its address alone: the
//! arena's tables say whose it is, and a free by its owner takes no lock and no locked operation.
#![expect(unsafe_code, reason = "lends blocks and takes them back")]

use crate::heap::central::central::Central;
use crate::heap::central::large_block::{DATA_OFFSET, LargeHeader};
use crate::heap::classes::SizeClasses;
use crate::heap::geometry::{MAX_SMALL, UNIT};
use crate::heap::hardened::misuse::{Misuse, MisuseReport, abort_with_report};
use crate::heap::hardened::options::Hardening;
use crate::heap::owner::{HARDENED, NO_HOLDER, OwnerWord, SPAN};
use crate::heap::segment::segment::{WindowKind, owner_of, segment_of, unit_of, window_kind};
use crate::heap::thread::registry;
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::sync::plain::{AtomicPtr, AtomicU64, Ordering};
use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState, Trim};
use arenite_pages::Pages;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::time::Duration;

/// Blocks of any size, given back one by one, from any thread. Shared between threads.
///
/// Each thread has slabs of its own, so most calls take no lock; a block that another thread gives back is marked by one bit of its
/// slab, with one atomic operation, and is not touched. A thread keeps the blocks of each size that it gave back
/// last for its next requests: 62 of them, or 64 KiB, or 4 of the largest; where it runs out of them and has too many of them by turns twice as many,
/// up to 512 KiB or 24, and of all sizes at most 24 MiB (until it runs out of
/// blocks of some size after a [`Trim::trim`] or the decay, or ends), and up to 2 MiB of empty slabs. Blocks above 64 KiB are whole units of 64 KiB, above 16 MiB regions of their
/// own that are kept for the next such request, on huge pages, up to 1 GiB; they grow where they are, by moving their OS pages, or by a copy,
/// and take those of a kept block that is too large for the request itself.
///
/// Through the fast door too, a block that another thread than its slab's gives back twice, or by an address inside of it, ends the program
/// with a report, when its owner is told of it; so does one of 1 KiB and more that its own thread gives back so, when it reaches its slab.
///
/// A thread that frees blocks of another, of 8 KiB at most, tells of many at once: up to 16 KiB of each size wait for it to free more, or to end.
///
/// Alignments up to 4096 cost nothing below 64 KiB; 2 MiB is the largest.
///
/// `state()` is exact while no thread is at work, and approximate while some are: what they give each other is on its way. Its
/// peak is seen when it is asked for, and when a large block is taken. A request beyond the machine's memory is granted where
/// there are addresses for it, as memory is found when it is touched. A child of `fork` can use the heap, also where the parent has
/// threads; what those had cached stays out of use in the child.
///
/// ```
/// use arenite_alloc::Heap;
/// use arenite_core::{AllocError, Block, Resource};
/// let heap = Heap::new();
/// let block = Block::new_in(AllocError::layout(1000, 16)?, &heap)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| Block::zeroed_in(AllocError::layout(100_000, 64)?, &heap).map(drop));
/// });
/// assert_eq!(heap.state().live_blocks, 1);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Heap {
    central: AtomicPtr<Central>,
    /// Which heap this is, once it is used.
    pub(crate) heap_id: AtomicU64,
    classes: SizeClasses,
    decay: Option<Duration>,
    huge_pages: bool,
    hardening: Option<Hardening>,
    label: Label,
}

/// How long memory is free before it goes back to the system by itself.
const DECAY: Duration = Duration::from_secs(1);

const CENTRAL: Layout = Layout::new::<Central>();

impl Heap {
    /// A heap of its own, with the fine size classes. Takes nothing before it is first used, and can be a static.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_classes(SizeClasses::Fine)
    }

    /// A heap of its own with these size classes.
    #[must_use]
    pub const fn with_classes(classes: SizeClasses) -> Self {
        let (central, heap_id) = (AtomicPtr::new(core::ptr::null_mut()), AtomicU64::new(registry::NO_HEAP));
        Self {
            central,
            heap_id,
            classes,
            decay: Some(DECAY),
            huge_pages: true,
            hardening: None,
            label: Label::new("heap"),
        }
    }

    /// The same, whose memory goes back to the system when it was free for `period`, one second at first; `None`: only when it is
    /// asked for. The time is looked at when slabs and large blocks come and go; see [`Heap::decay_in_background`] for programs
    /// that idle.
    #[must_use]
    pub const fn with_decay(mut self, period: Option<Duration>) -> Self {
        self.decay = period;
        self
    }

    /// The same, which asks for huge pages or does not. It does at first, from 64 MiB on: fewer faults, and addresses that the
    /// processor looks up faster, for memory that is found 2 MiB at a time.
    #[must_use]
    pub const fn with_huge_pages(mut self, enabled: bool) -> Self {
        self.huge_pages = enabled;
        self
    }

    /// The same, hardened: it finds double frees, frees of what is no block, writes after a free and beyond an end, and ends the
    /// program with a report where the fast door is misused; [`Heap::try_free`] answers with the report instead. Each call takes a
    /// lock. A heap that is not hardened pays nothing for this.
    #[must_use]
    pub const fn with_hardening(mut self, hardening: Hardening) -> Self {
        self.hardening = Some(hardening);
        self
    }

    /// How long memory is free before it goes back to the system by itself.
    #[must_use]
    pub const fn decay(&self) -> Option<Duration> {
        self.decay
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The shared part, made by whoever comes first; `None` where there is no memory for it.
    #[cold]
    fn init(&self) -> Option<NonNull<Central>> {
        let memory: NonNull<Central> = Pages::new().allocate(CENTRAL).ok()?.cast();
        let central = Central::new(self.classes, self.decay, self.huge_pages, self.hardening);
        let heap_id = central.heap_id;
        // SAFETY: fresh memory of that layout.
        unsafe { memory.write(central) };
        // before anyone can use it: a thread that ends leaves only heaps that are entered
        registry::register(memory);
        match self.central.compare_exchange(
            core::ptr::null_mut(),
            memory.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => {
                self.heap_id.store(heap_id, Ordering::Release);
                registry::install_fork_handlers();
                Some(memory)
            }
            Err(first) => {
                registry::unregister(memory);
                // SAFETY: nobody else knows of it; it has nothing to give back.
                unsafe { Pages::new().deallocate(memory.cast(), CENTRAL) };
                NonNull::new(first)
            }
        }
    }

    pub(crate) fn central_ptr(&self) -> Option<NonNull<Central>> {
        NonNull::new(self.central.load(Ordering::Acquire)).or_else(|| self.init())
    }

    /// The size classes.
    #[must_use]
    pub const fn classes(&self) -> SizeClasses {
        self.classes
    }

    /// The shared part, if the heap was used.
    #[inline(always)]
    pub(crate) fn central(&self) -> Option<&Central> {
        // SAFETY: made in `begin`, ended in `drop`.
        unsafe { self.central.load(Ordering::Acquire).as_ref() }
    }

    /// The calling thread's part, if this heap was the last one that it used.
    #[inline(always)]
    pub(crate) fn current_thread_heap(&self) -> Option<&ThreadHeap> {
        let (used, thread) = registry::current(self.heap_id.load(Ordering::Relaxed));
        // SAFETY: the calling thread's part of this heap, which lives as long as the heap.
        used.then(|| unsafe { &*thread })
    }

    #[inline(always)]
    pub(crate) fn thread_heap(&self) -> Option<&ThreadHeap> {
        self.current_thread_heap().or_else(|| self.lookup_thread_heap())
    }

    #[cold]
    fn lookup_thread_heap(&self) -> Option<&ThreadHeap> {
        let thread = registry::lookup(self.central_ptr()?)?;
        // SAFETY: the calling thread's part of this heap, which lives as long as the heap.
        Some(unsafe { thread.as_ref() })
    }

    /// The part of a thread that used no heap yet and gives a block back: with one, it can tell of many blocks at once.
    pub(crate) fn thread_heap_for_free(&self) -> Option<&ThreadHeap> {
        if registry::has_no_heap() { self.lookup_thread_heap() } else { None }
    }

    #[cold]
    pub(crate) fn alloc_error(&self, layout: Layout) -> AllocError {
        let cause = match layout.align() {
            align if align > DATA_OFFSET => AllocCause::TooLarge { largest: DATA_OFFSET },
            _ => AllocCause::Exhausted { errno: 0 },
        };
        AllocError::new(cause, layout, self.state(), self.label)
    }

    /// The size of the block that a layout gets, where that has a class.
    #[inline(always)]
    pub(crate) fn class_size(layout: Layout) -> Option<usize> {
        let align = layout.align();
        if align > 4096 {
            return None;
        }
        let size = if layout.size() == 0 { align } else { (layout.size() + align - 1) & !(align - 1) };
        (size <= MAX_SMALL).then_some(size)
    }

    /// What most calls are: the thread used this heap last, and gave a block of the class back lately, or its slab of the class has a free
    /// one. `None` is everything else.
    #[inline(always)]
    fn alloc_fast(&self, layout: Layout) -> Option<NonNull<u8>> {
        let size = Self::class_size(layout)?;
        let (used, thread) = registry::current(self.heap_id.load(Ordering::Relaxed));
        if !used {
            return None;
        }
        // SAFETY: the calling thread's part of this heap, which lives as long as the heap.
        unsafe { &*thread }.pop(self.classes.class_of(size))
    }

    #[inline(always)]
    fn allocate_block(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match self.alloc_fast(layout) {
            Some(block) => Ok(NonNull::slice_from_raw_parts(block, layout.size())),
            None => self.alloc_slow(layout, false),
        }
    }

    fn allocate_zeroed_block(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(block) = self.alloc_fast(layout) else { return self.alloc_slow(layout, true) };
        // SAFETY: a fresh block of at least that size, which is this call's alone.
        unsafe { block.write_bytes(0, layout.size()) };
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// The same for who asks for no more than the address.
    #[inline(never)]
    fn alloc_slow_ptr(&self, layout: Layout) -> *mut u8 {
        self.alloc_slow(layout, false).map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
    }

    #[inline(never)]
    fn alloc_slow(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, AllocError> {
        let Some(size) = Self::class_size(layout) else {
            return self.alloc_large(layout, zeroed);
        };
        let Some(thread) = self.thread_heap() else { return self.alloc_large(layout, zeroed) };
        let block = match thread.allocate(self.classes.class_of(size)) {
            Some(block) => block,
            None => self.alloc_hardened(layout, size)?,
        };
        if zeroed {
            // SAFETY: a fresh block of at least that size, which is this call's alone.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// A block of a hardened heap, whose threads have none; another heap is out of memory here.
    #[cold]
    fn alloc_hardened(&self, layout: Layout, size: usize) -> Result<NonNull<u8>, AllocError> {
        let central = self.central().ok_or_else(|| self.alloc_error(layout))?;
        let hardening = central.hardening.get().ok_or_else(|| self.alloc_error(layout))?;
        match central.alloc_hardened(*hardening, self.classes.class_of(size), layout.size()) {
            Ok(block) => block.ok_or_else(|| self.alloc_error(layout)),
            Err(report) => abort_with_report(&report),
        }
    }

    /// What a hardened heap does.
    pub(crate) fn hardening(&self) -> Option<Hardening> {
        self.central().map_or(self.hardening, |central| central.hardening.get().copied())
    }

    #[cold]
    fn alloc_large(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, AllocError> {
        let take = |central: NonNull<Central>| {
            // SAFETY: made in `begin`, ended in `drop`.
            unsafe { central.as_ref() }.alloc_large(layout.size().max(1), layout.align(), zeroed)
        };
        let block = self.central_ptr().and_then(take).ok_or_else(|| self.alloc_error(layout))?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// A block that is not the calling thread's.
    ///
    /// # Safety
    /// As [`Resource::deallocate`].
    #[inline(never)]
    unsafe fn free_slow(&self, block: NonNull<u8>, owner: OwnerWord) {
        let Some(central) = self.central() else { return };
        let misuse = |misuse| abort_with_report(&MisuseReport::new(misuse, block.addr().get()));
        match owner.holder() {
            SPAN => {
                // only the first unit of a span has an owner word
                if !block.addr().get().is_multiple_of(UNIT) {
                    misuse(Misuse::InteriorPointer);
                }
                return central.free_span(block);
            }
            NO_HOLDER => {
                // SAFETY: a live block of this heap.
                if unsafe { window_kind(block) } != WindowKind::LargeBlock {
                    misuse(Misuse::InvalidPointer);
                }
                let header = segment_of(block).cast::<LargeHeader>();
                if block != LargeHeader::data(header) {
                    misuse(Misuse::InteriorPointer);
                }
                return central.free_large(header).unwrap_or_else(|report| abort_with_report(&report));
            }
            HARDENED => {
                // SAFETY: the caller guarantees a live block; the owner word says whose it is.
                if let Err(report) = unsafe { self.free_hardened(block, owner) } {
                    abort_with_report(&report);
                }
                return;
            }
            _ => {}
        }
        let first = unit_of(block) - owner.tag().slab_offset();
        // SAFETY: a live block with an owner lies in an arena whose tables are whole.
        let segment = unsafe { segment_of(block).as_ref() };
        match self.current_thread_heap() {
            // SAFETY: the table says that the slab is this thread's; the block is live and given up.
            Some(thread) if thread.is_owner(owner.holder()) => unsafe {
                thread.free_local(owner.tag(), block)
            },
            thread => {
                let thread = thread.or_else(|| self.thread_heap_for_free());
                if let Err(report) = ThreadHeap::dealloc_remote(thread, central, segment, first, block) {
                    abort_with_report(&report);
                }
            }
        }
    }

    /// Makes a span or a block with a region of its own at least `size` bytes without a copy; where it lies then. `None`: a block
    /// of a slab, or there is no room.
    ///
    /// # Safety
    /// A live block of this heap, the caller's alone.
    pub(crate) unsafe fn grow_in_place(&self, block: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
        let central = self.central()?;
        // SAFETY: the caller's promise.
        match unsafe { window_kind(block) } {
            WindowKind::LargeBlock => central.grow_large(segment_of(block).cast(), size),
            // SAFETY: as above.
            WindowKind::Segment if unsafe { owner_of(block) }.holder() == SPAN => {
                central.grow_span(block, size).then_some(block)
            }
            _ => None,
        }
    }

    /// Gives to the system the memory behind what nobody uses: empty slabs, and the OS pages inside free blocks, of the calling
    /// thread and of those that are gone; other threads follow when they next run out of a slab, or tell others of what they freed.
    /// A thread that sleeps keeps its empty slabs, the blocks that it freed last (see [`Heap`]), and the slabs in which up to 16 KiB of blocks of a size wait that it freed for others. How many bytes went so far.
    pub fn defrag(&self) -> usize {
        self.trim(0)
    }
}

// SAFETY: laws 1 to 3 and 6: blocks are slots of slabs, spans and regions, disjoint by the lists and the tables, aligned as
// `classed` and `take_large` see to; law 4: a request of no bytes gets a block of its alignment; law 7: `grow` moves or widens
// what it keeps.
unsafe impl Resource for Heap {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_block(layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_zeroed_block(layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        // SAFETY: a live block of this heap.
        let owner = unsafe { owner_of(block) };
        let (used, thread) = registry::current(self.heap_id.load(Ordering::Relaxed));
        if let (true, Some(tag)) = (used, owner.tag_if_held_by(thread.addr())) {
            // SAFETY: the calling thread's heap, which lives as long as this heap.
            let thread = unsafe { &*thread };
            // SAFETY: the owner word says that the slab is this thread's; the block is live and given up.
            return unsafe { thread.free_local(tag, block) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.free_slow(block, owner) };
    }

    fn state(&self) -> ResourceState {
        self.central().map(Central::state).unwrap_or_default()
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if old.align() == new.align() {
            if let (Some(from), Some(to)) = (Self::class_size(old), Self::class_size(new)) {
                if self.classes.class_of(from) == self.classes.class_of(to) && self.hardening().is_none() {
                    return Ok(NonNull::slice_from_raw_parts(block, new.size()));
                }
            } else if Self::class_size(old).is_none()
                // SAFETY: a live block of this heap, the caller's alone.
                && let Some(block) = unsafe { self.grow_in_place(block, new.size()) }
            {
                return Ok(NonNull::slice_from_raw_parts(block, new.size()));
            }
        }
        // SAFETY: the caller's promises.
        unsafe { arenite_core::relocate(self, block, old, new, old.size()) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.align() == new.align() {
            let stays = match (Self::class_size(old), Self::class_size(new)) {
                (Some(from), Some(to)) => {
                    self.classes.class_of(from) == self.classes.class_of(to) && self.hardening().is_none()
                }
                (None, None) => new.size() >= old.size() / 2, // what it has too much of goes with it
                _ => false,
            };
            if stays {
                return Ok(NonNull::slice_from_raw_parts(block, new.size()));
            }
        }
        // SAFETY: the caller's promises.
        unsafe { arenite_core::relocate(self, block, old, new, new.size()) }
    }
}

impl Trim for Heap {
    fn trim(&self, target_held: usize) -> usize {
        let Some(central) = self.central() else { return 0 };
        let mut gone = central.trim_large_cache(target_held);
        if central.state().held > target_held {
            let call = central.request_full_trim();
            gone += self.thread_heap().map_or(0, |thread| thread.serve_trim(call));
            gone += central.trim_free_units();
        }
        gone
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks are those of `Resource`, whose laws 1 to 4, 6 and 7 are what is asked here; nothing unwinds; the thread-local
// storage that it uses has no destructors, and its own locks and memory come from the system.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.alloc_fast(layout).map_or_else(|| self.alloc_slow_ptr(layout), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller's promises are the same.
            unsafe { self.deallocate(block, layout) };
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.allocate_zeroed_block(layout).map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some(block), Ok(new)) = (NonNull::new(block), Layout::from_size_align(size, layout.align()))
        else {
            return core::ptr::null_mut();
        };
        let moved = if size >= layout.size() {
            // SAFETY: as above.
            unsafe { self.grow(block, layout, new) }
        } else {
            // SAFETY: as above.
            unsafe { self.shrink(block, layout, new) }
        };
        moved.map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let Some(central) = NonNull::new(*self.central.get_mut()) else { return };
        registry::unregister(central);
        // SAFETY: made in `begin`; nobody borrows the heap, and no thread that ends comes back to it.
        unsafe { central.drop_in_place() };
        // SAFETY: taken from `Pages` with this layout.
        unsafe { Pages::new().deallocate(central.cast(), CENTRAL) };
    }
}
