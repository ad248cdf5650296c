//! The heap as a resource: blocks up to 64 KiB from the thread heap, larger ones from `Central`.
//!
//! A block is identified by its address alone. The owner word of its unit says whose it is, so a
//! free by the owning thread takes no lock and no atomic read-modify-write.
#![expect(unsafe_code, reason = "allocates and frees blocks by address")]

use crate::heap::central::central::Central;
use crate::heap::central::large_block::{DATA_OFFSET, LargeHeader};
use crate::heap::classes::SizeClasses;
use crate::heap::geometry::{MAX_SMALL, UNIT};
use crate::heap::hardened::misuse::{Misuse, abort_misuse, abort_with_report};
use crate::heap::hardened::options::Hardening;
use crate::heap::owner::{HARDENED, NO_HOLDER, OwnerWord, SPAN};
use crate::heap::segment::segment::{WindowKind, owner_of, segment_of, unit_of, window_kind};
use crate::heap::thread::registry;
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::util::sync::plain::{AtomicPtr, AtomicU64, Ordering};
use arenite_core::{AllocError, AllocErrorKind, AllocResult, Label, Resource, ResourceState, Trim};
use arenite_pages::PageAllocator;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::time::Duration;

/// A general-purpose allocator: blocks of any size, freed one by one, from any thread.
///
/// The heap is shared between threads. Each thread allocates from slabs of its own, so most calls
/// take no lock. A free from another thread sets one bit of the slab with one atomic operation and
/// does not touch the block.
///
/// # Thread caches
///
/// Each thread caches the blocks that it freed last, by size class (jemalloc: tcache).
///
/// | limit | initially | at most |
/// |---|---|---|
/// | blocks of a class | 64 KiB, at least 4 blocks | 512 KiB, at least 24; at most 62 blocks |
/// | all classes | | 24 MiB |
/// | empty slabs | | 2 MiB |
///
/// A bin grows when it overflows and was empty in between. [`Trim::trim`], the decay and the
/// thread's exit flush the cache and reset the limits. A thread serves a trim request when it next
/// runs out of blocks of a class, or posts remote frees. Frees of another thread's blocks up to 8
/// KiB are buffered, up to 16 KiB per class, and posted together.
///
/// # Large blocks
///
/// A block above 64 KiB is a span of whole 64 KiB units. A block above 16 MiB has a region of its
/// own, on huge pages. Up to 1 GiB of freed regions are cached. Large blocks grow in place, by
/// moving their OS pages, or by a copy. Alignments up to 4096 cost nothing below 64 KiB; the
/// largest is 2 MiB.
///
/// # Detection of misuse
///
/// The unchecked API (`Resource`) ends the program with a report at some invalid frees. For a
/// block of another thread, it detects a free by an interior address, or a second free before the
/// owner collected the first. For a thread's own block of 1 KiB and more, it detects both once the
/// block leaves the thread cache. Other misuse of small blocks goes unnoticed; a heap
/// [with hardening](Self::with_hardening) detects it.
///
/// # Statistics
///
/// `state()` is exact while no thread uses the heap, and approximate otherwise. The peak is
/// sampled when `state()` is called and when the heap grows. A request beyond the machine's memory
/// succeeds if there are addresses for it, since memory is found when it is touched.
///
/// # fork
///
/// A child of `fork` can use the heap, even if the parent has threads. What those threads had
/// cached stays unused in the child.
///
/// ```
/// use arenite_alloc::Heap;
/// use arenite_core::{AllocError, Block, Resource};
/// let heap = Heap::new();
/// let block = Block::new_in(arenite_core::layout(1000, 16)?, &heap)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| Block::zeroed_in(arenite_core::layout(100_000, 64)?, &heap).map(drop));
/// });
/// assert_eq!(heap.state().live_blocks, 1);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Heap {
    central: AtomicPtr<Central>,
    /// Identity of the heap once it is used.
    pub(crate) heap_id: AtomicU64,
    classes: SizeClasses,
    decay: Option<Duration>,
    huge_pages: bool,
    hardening: Option<Hardening>,
    label: Label,
}

/// Initial decay period.
const DECAY: Duration = Duration::from_secs(1);

const CENTRAL: Layout = Layout::new::<Central>();

impl Heap {
    /// Creates a heap with the fine size classes. Takes no memory before its first use; usable in a
    /// static.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_classes(SizeClasses::Fine)
    }

    /// Creates a heap with these size classes.
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

    /// Sets the decay period: memory that was free for so long is purged. One second by default;
    /// `None` purges on request alone. The time is checked when slabs and large blocks are
    /// allocated and freed; see [`Heap::decay_in_background`] for programs that idle.
    #[must_use]
    pub const fn with_decay(mut self, period: Option<Duration>) -> Self {
        self.decay = period;
        self
    }

    /// Sets whether the heap advises huge pages, which it does by default from 64 MiB on. They
    /// cause fewer faults and TLB misses, and use memory in steps of 2 MiB.
    #[must_use]
    pub const fn with_huge_pages(mut self, enabled: bool) -> Self {
        self.huge_pages = enabled;
        self
    }

    /// Hardens the heap: it detects double frees, invalid pointers, writes after a free and buffer
    /// overflows. Misuse of the unchecked API ends the program with a report;
    /// [`Heap::checked_free`] returns the report instead. Each call takes a lock. A heap without
    /// hardening pays nothing for this.
    #[must_use]
    pub const fn with_hardening(mut self, hardening: Hardening) -> Self {
        self.hardening = Some(hardening);
        self
    }

    /// Returns the decay period.
    #[must_use]
    pub const fn decay(&self) -> Option<Duration> {
        self.decay
    }

    /// Sets the name that errors report.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Makes the shared part; one of several racing threads wins. Returns `None` without memory.
    #[cold]
    fn init(&self) -> Option<NonNull<Central>> {
        let memory: NonNull<Central> = PageAllocator::new().allocate(CENTRAL).ok()?.cast();
        let central = Central::new(self.classes, self.decay, self.huge_pages, self.hardening);
        let heap_id = central.heap_id;
        // SAFETY: fresh memory of that layout.
        unsafe { memory.write(central) };
        // registered before any thread can use it: an exiting thread abandons registered heaps only
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
                // SAFETY: no other thread has a pointer to it, and it holds no memory yet.
                unsafe { PageAllocator::new().deallocate(memory.cast(), CENTRAL) };
                NonNull::new(first)
            }
        }
    }

    pub(crate) fn central_ptr(&self) -> Option<NonNull<Central>> {
        NonNull::new(self.central.load(Ordering::Acquire)).or_else(|| self.init())
    }

    /// Returns the size classes.
    #[must_use]
    pub const fn classes(&self) -> SizeClasses {
        self.classes
    }

    /// Returns the shared part, or `None` if the heap was never used.
    #[inline(always)]
    pub(crate) fn central(&self) -> Option<&Central> {
        // SAFETY: made in `init`, dropped in `drop`.
        unsafe { self.central.load(Ordering::Acquire).as_ref() }
    }

    /// Returns the calling thread's part if this heap is the one that the thread used last.
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

    /// Returns the thread heap that a free uses. A thread that used no heap yet gets one, so that
    /// it can buffer remote frees.
    pub(crate) fn thread_heap_for_free(&self) -> Option<&ThreadHeap> {
        if registry::has_no_heap() { self.lookup_thread_heap() } else { None }
    }

    #[cold]
    pub(crate) fn alloc_error(&self, layout: Layout) -> AllocError {
        let cause = match layout.align() {
            align if align > DATA_OFFSET => AllocErrorKind::TooLarge { largest: DATA_OFFSET },
            _ => AllocErrorKind::Exhausted { errno: 0 },
        };
        AllocError::new(cause, layout, self.state(), self.label)
    }

    /// Returns the size to find a class for, or `None` if the layout needs a large block.
    #[inline(always)]
    pub(crate) fn class_size(layout: Layout) -> Option<usize> {
        let align = layout.align();
        if align > 4096 {
            return None;
        }
        let size = if layout.size() == 0 { align } else { (layout.size() + align - 1) & !(align - 1) };
        (size <= MAX_SMALL).then_some(size)
    }

    /// Allocates from the thread cache or the current slab of the class. Returns `None` on every
    /// slower path.
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
    fn allocate_block(&self, layout: Layout) -> AllocResult {
        match self.alloc_fast(layout) {
            Some(block) => Ok(NonNull::slice_from_raw_parts(block, layout.size())),
            None => self.alloc_slow(layout, false),
        }
    }

    fn allocate_zeroed_block(&self, layout: Layout) -> AllocResult {
        let Some(block) = self.alloc_fast(layout) else { return self.alloc_slow(layout, true) };
        // SAFETY: a fresh block of at least that size, which this call alone has.
        unsafe { block.write_bytes(0, layout.size()) };
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// Allocates on the slow path, for callers that need the address alone.
    #[inline(never)]
    fn alloc_slow_ptr(&self, layout: Layout) -> *mut u8 {
        self.alloc_slow(layout, false).map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
    }

    #[inline(never)]
    fn alloc_slow(&self, layout: Layout, zeroed: bool) -> AllocResult {
        let Some(size) = Self::class_size(layout) else {
            return self.alloc_large(layout, zeroed);
        };
        let Some(thread) = self.thread_heap() else { return self.alloc_large(layout, zeroed) };
        let block = match thread.allocate(self.classes.class_of(size)) {
            Some(block) => block,
            None => self.alloc_hardened(layout, size)?,
        };
        if zeroed {
            // SAFETY: a fresh block of at least that size, which this call alone has.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// Allocates a block of a hardened heap. A heap without hardening is out of memory here.
    #[cold]
    fn alloc_hardened(&self, layout: Layout, size: usize) -> Result<NonNull<u8>, AllocError> {
        let central = self.central().ok_or_else(|| self.alloc_error(layout))?;
        let hardening = central.hardening.get().ok_or_else(|| self.alloc_error(layout))?;
        match central.alloc_hardened(*hardening, self.classes.class_of(size), layout.size()) {
            Ok(block) => block.ok_or_else(|| self.alloc_error(layout)),
            Err(report) => abort_with_report(&report),
        }
    }

    /// Returns the options of a hardened heap.
    pub(crate) fn hardening(&self) -> Option<Hardening> {
        self.central().map_or(self.hardening, |central| central.hardening.get().copied())
    }

    #[cold]
    fn alloc_large(&self, layout: Layout, zeroed: bool) -> AllocResult {
        let allocate = |central: NonNull<Central>| {
            // SAFETY: made in `init`, dropped in `drop`.
            unsafe { central.as_ref() }.alloc_large(layout.size().max(1), layout.align(), zeroed)
        };
        let block = self.central_ptr().and_then(allocate).ok_or_else(|| self.alloc_error(layout))?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// Frees a block on every path but the fast one of `deallocate`.
    ///
    /// # Safety
    /// As [`Resource::deallocate`].
    #[inline(never)]
    unsafe fn free_slow(&self, block: NonNull<u8>, owner: OwnerWord) {
        let Some(central) = self.central() else { return };
        match owner.holder() {
            SPAN => {
                // only the first unit of a span has an owner word
                if !block.addr().get().is_multiple_of(UNIT) {
                    abort_misuse(Misuse::InteriorPointer, block.addr().get());
                }
                return central.free_span(block);
            }
            NO_HOLDER => {
                // SAFETY: a live block of this heap.
                if unsafe { window_kind(block) } != WindowKind::LargeBlock {
                    abort_misuse(Misuse::InvalidPointer, block.addr().get());
                }
                let header = segment_of(block).cast::<LargeHeader>();
                if block != LargeHeader::data(header) {
                    abort_misuse(Misuse::InteriorPointer, block.addr().get());
                }
                return central.free_large(header).unwrap_or_else(|report| abort_with_report(&report));
            }
            HARDENED => {
                // SAFETY: the caller guarantees a live block; its owner word says that a hardened
                // heap has it.
                if let Err(report) = unsafe { self.free_hardened(block, owner) } {
                    abort_with_report(&report);
                }
                return;
            }
            _ => {}
        }
        let first = unit_of(block) - owner.tag().slab_offset();
        // SAFETY: a live block with an owner lies in a segment whose metadata is committed.
        let segment = unsafe { segment_of(block).as_ref() };
        match self.current_thread_heap() {
            // `deallocate` missed this thread's own slab if the heap's id was published meanwhile.
            // SAFETY: the owner word says that the slab is this thread's; the caller gives up the
            // live block.
            Some(thread) if thread.is_holder(owner.holder()) => unsafe {
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

    /// Grows a large block to at least `size` bytes without a copy. Returns its address, or `None`
    /// for a block of a slab and if there is no space.
    ///
    /// # Safety
    /// A live block of this heap, which the caller alone uses.
    pub(crate) unsafe fn grow_in_place(&self, block: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
        let central = self.central()?;
        // SAFETY: the caller guarantees a live block.
        match unsafe { window_kind(block) } {
            WindowKind::LargeBlock => central.grow_large(segment_of(block).cast(), size),
            // SAFETY: as above.
            WindowKind::Segment if unsafe { owner_of(block) }.holder() == SPAN => {
                central.grow_span(block, size).then_some(block)
            }
            _ => None,
        }
    }

    /// Purges what no thread uses: empty slabs, and the OS pages inside free blocks, of the calling
    /// thread and of exited ones. Returns the bytes purged so far.
    ///
    /// Other threads follow when they next run out of blocks of a class, or post remote frees. A
    /// sleeping thread releases nothing. Its empty slabs and its thread cache stay. Up to 16 KiB of
    /// unposted remote frees per class pin the slabs they lie in.
    pub fn defrag(&self) -> usize {
        self.trim(0)
    }
}

// SAFETY: laws 1 to 3 and 6: blocks are slots of slabs, spans and regions, disjoint by the free
// lists and the owner words. They are aligned as `class_size` and `alloc_large` ensure. Law 4: a
// request of no bytes gets a block of its alignment. Law 7: `grow` moves or extends the block and
// keeps its contents.
unsafe impl Resource for Heap {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.allocate_block(layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        self.allocate_zeroed_block(layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        // SAFETY: a live block of this heap.
        let owner = unsafe { owner_of(block) };
        let (used, thread) = registry::current(self.heap_id.load(Ordering::Relaxed));
        if let (true, Some(tag)) = (used, owner.tag_if_held_by(thread.addr())) {
            // SAFETY: the calling thread's part of this heap, which lives as long as the heap.
            let thread = unsafe { &*thread };
            // SAFETY: the owner word says that the slab is this thread's; the caller gives up the
            // live block.
            return unsafe { thread.free_local(tag, block) };
        }
        // SAFETY: the caller guarantees a live block of this heap.
        unsafe { self.free_slow(block, owner) };
    }

    fn state(&self) -> ResourceState {
        self.central().map(Central::state).unwrap_or_default()
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if old.align() == new.align() {
            if let (Some(from), Some(to)) = (Self::class_size(old), Self::class_size(new)) {
                if self.classes.class_of(from) == self.classes.class_of(to) && self.hardening().is_none() {
                    return Ok(NonNull::slice_from_raw_parts(block, new.size()));
                }
            } else if Self::class_size(old).is_none()
                // SAFETY: a live block of this heap, which the caller alone uses.
                && let Some(block) = unsafe { self.grow_in_place(block, new.size()) }
            {
                return Ok(NonNull::slice_from_raw_parts(block, new.size()));
            }
        }
        // SAFETY: 1. the caller's guarantees are those of `Resource::grow`. 2. `old.size()` is the
        // smaller size.
        unsafe { arenite_core::realloc_by_copy(self, block, old, new, old.size()) }
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if old.align() == new.align() {
            let stays = match (Self::class_size(old), Self::class_size(new)) {
                (Some(from), Some(to)) => {
                    self.classes.class_of(from) == self.classes.class_of(to) && self.hardening().is_none()
                }
                (None, None) => new.size() >= old.size() / 2, // more than half would be wasted
                _ => false,
            };
            if stays {
                return Ok(NonNull::slice_from_raw_parts(block, new.size()));
            }
        }
        // SAFETY: 1. the caller's guarantees are those of `Resource::shrink`. 2. `new.size()` is
        // the smaller size.
        unsafe { arenite_core::realloc_by_copy(self, block, old, new, new.size()) }
    }
}

impl Trim for Heap {
    fn trim(&self, target_held: usize) -> usize {
        let Some(central) = self.central() else { return 0 };
        let mut purged_bytes = central.trim_large_cache(target_held);
        if central.state().held > target_held {
            let epoch = central.request_full_trim();
            purged_bytes += self.thread_heap().map_or(0, |thread| thread.serve_trim(epoch));
            purged_bytes += central.trim_free_units();
        }
        purged_bytes
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks are those of `Resource`, whose laws 1 to 4, 6 and 7 are what this trait needs.
// Nothing unwinds. The thread-local storage has no destructors, and locks and memory come from the
// system.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.alloc_fast(layout).map_or_else(|| self.alloc_slow_ptr(layout), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller's guarantees are the same.
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
            // SAFETY: the caller's guarantees are those of `grow`.
            unsafe { self.grow(block, layout, new) }
        } else {
            // SAFETY: the caller's guarantees are those of `shrink`.
            unsafe { self.shrink(block, layout, new) }
        };
        moved.map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let Some(central) = NonNull::new(*self.central.get_mut()) else { return };
        registry::unregister(central);
        // SAFETY: made in `init`; the heap is not borrowed, and no exiting thread finds it any
        // more.
        unsafe { central.drop_in_place() };
        // SAFETY: allocated from `PageAllocator` with this layout.
        unsafe { PageAllocator::new().deallocate(central.cast(), CENTRAL) };
    }
}
