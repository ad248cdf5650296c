//! A block filled with one byte value, for tests that pass blocks between threads.
#![expect(unsafe_code, reason = "owns a raw block and calls the unchecked API")]

use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A live block whose bytes all have the value `seed`; dropping it leaks the block.
///
/// Every call must name the resource that allocated the block.
///
/// ```
/// use arenite_core::AllocError;
/// use testkit::PatternBlock;
/// let system = arenite_alloc::CountedGlobal::new();
/// let block = PatternBlock::allocate(&system, arenite_core::layout(100, 64)?, 7)?;
/// block.free(&system);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct PatternBlock {
    start: NonNull<u8>,
    layout: Layout,
    seed: u8,
}

// SAFETY: the value owns the block and its bytes, and nothing in it refers to the thread that
// allocated it.
unsafe impl Send for PatternBlock {}

impl PatternBlock {
    /// Allocates a block and fills it with `seed`.
    ///
    /// # Errors
    /// As [`Resource::allocate`].
    ///
    /// # Panics
    /// If the block is not aligned.
    pub fn allocate(resource: &dyn Resource, layout: Layout, seed: u8) -> Result<Self, AllocError> {
        let start = resource.allocate(layout)?.cast::<u8>();
        // SAFETY: a fresh block of this layout, which belongs to this value alone.
        Ok(unsafe { Self::fill(start, layout, seed) })
    }

    /// Wraps a live block and fills it with `seed`.
    ///
    /// # Safety
    /// `start` is a live block of this layout, and nothing else reads, writes or frees it.
    ///
    /// # Panics
    /// If the block is not aligned.
    pub unsafe fn fill(start: NonNull<u8>, layout: Layout, seed: u8) -> Self {
        assert!(start.addr().get().is_multiple_of(layout.align()), "{start:?} for {layout:?}");
        // SAFETY: the caller promised a live block of this layout with no other user.
        unsafe { start.write_bytes(seed, layout.size()) };
        Self { start, layout, seed }
    }

    /// Checks the first `len` bytes.
    ///
    /// # Panics
    /// If one changed, or the block has fewer.
    pub fn check(&self, len: usize) {
        assert!(len <= self.layout.size());
        // SAFETY: the value owns a live block of at least `len` bytes, all of which `fill` wrote.
        let bytes = unsafe { core::slice::from_raw_parts(self.start.as_ptr(), len) };
        assert!(bytes.iter().all(|&byte| byte == self.seed), "a block of {:?} changed", self.layout);
    }

    /// Grows or shrinks the block, checks the common prefix and fills the block again.
    ///
    /// # Errors
    /// As [`Resource::grow`]; the block is then unchanged.
    ///
    /// # Panics
    /// If a byte changed, or `size` has no layout.
    pub fn resize(&mut self, resource: &dyn Resource, size: usize) -> Result<(), AllocError> {
        let (old, new) = (self.layout, arenite_core::layout(size, self.layout.align())?);
        self.check(old.size());
        let resized = if size >= old.size() {
            // SAFETY: a live block of `resource` with this layout; the new size is not smaller.
            unsafe { resource.grow(self.start, old, new) }
        } else {
            // SAFETY: a live block of `resource` with this layout; the new size is smaller.
            unsafe { resource.shrink(self.start, old, new) }
        };
        self.start = resized?.cast();
        self.layout = new;
        self.check(size.min(old.size()));
        // SAFETY: the resized block is live, has the new layout and belongs to this value alone.
        *self = unsafe { Self::fill(self.start, new, self.seed) };
        Ok(())
    }

    /// Checks every byte and frees the block.
    ///
    /// # Panics
    /// If a byte changed.
    pub fn free(self, resource: &dyn Resource) {
        self.check(self.layout.size());
        // SAFETY: a live block of `resource` with this layout; the value ends here.
        unsafe { resource.deallocate(self.start, self.layout) };
    }

    /// Returns the address of the block.
    #[must_use]
    pub const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns the layout of the block.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the byte that fills the block.
    #[must_use]
    pub const fn seed(&self) -> u8 {
        self.seed
    }
}
