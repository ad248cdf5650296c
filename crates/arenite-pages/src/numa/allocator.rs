//! An allocator with a NUMA policy.
//!
//! Each block is a mapping of its own, because the kernel has one policy per mapping.
#![expect(unsafe_code, reason = "allocates and frees blocks")]

use super::placement::ResolvedPolicy;
use super::{NumaDistribution, NumaError, NumaPolicy, numa_distribution};
use crate::PageAllocator;
use arenite_core::{AllocError, AllocErrorKind, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A resource of OS pages whose NUMA policy is set before their first access. Shared between
/// threads.
///
/// An allocation costs two system calls, a deallocation one. The policy is checked when the
/// allocator is made; [`numa_distribution`] returns where the memory of a block really lies.
///
/// ```
/// use arenite_core::{Block, Resource};
/// use arenite_pages::{NumaAllocator, NumaPolicy};
/// let local = NumaAllocator::new(NumaPolicy::Local)?;
/// let block = Block::zeroed_in(core::alloc::Layout::new::<[f64; 1000]>(), &local)?;
/// assert_eq!(local.state().live_blocks, 1);
/// assert!(NumaAllocator::new(NumaPolicy::Bind(1000)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NumaAllocator {
    pages: PageAllocator,
    policy: NumaPolicy,
    resolved: ResolvedPolicy,
}

const LABEL: Label = Label::new("numa");

impl NumaAllocator {
    /// Makes an allocator with `policy`. Reads the machine's nodes.
    ///
    /// # Errors
    /// [`NumaError`] if the policy names a node that the machine lacks, or one without memory.
    pub fn new(policy: NumaPolicy) -> Result<Self, NumaError> {
        Ok(Self { pages: PageAllocator::new(), policy, resolved: ResolvedPolicy::new(policy)? })
    }

    /// Returns the policy.
    #[must_use]
    pub const fn policy(&self) -> NumaPolicy {
        self.policy
    }
}

// SAFETY: as `PageAllocator`, whose blocks these are (laws 1 to 7); a policy changes neither
// contents nor access.
unsafe impl Resource for NumaAllocator {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.pages.allocate(layout).map_err(|error| error.with_context(error.state, LABEL))?;
        if let Err(error) = self.resolved.bind(block.cast(), block.len(), false) {
            // SAFETY: the block just allocated, with its layout.
            unsafe { self.pages.deallocate(block.cast(), layout) };
            let errno = if let NumaError::Os { errno, .. } = error { errno } else { 0 };
            return Err(AllocError::new(AllocErrorKind::Exhausted { errno }, layout, self.state(), LABEL));
        }
        Ok(block)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.pages.deallocate(block, layout) };
    }

    fn state(&self) -> ResourceState {
        self.pages.state()
    }
}

impl Trim for NumaAllocator {
    /// Returns 0: nothing is held that is not in use.
    fn trim(&self, target_held: usize) -> usize {
        self.pages.trim(target_held)
    }
}

/// Zeroed bytes bound to one node; freed on drop.
#[derive(Debug)]
pub struct NumaBlock {
    block: NonNull<[u8]>,
    layout: Layout,
    from: NumaAllocator,
}

// SAFETY: the bytes are this value's own.
unsafe impl Send for NumaBlock {}
// SAFETY: a shared borrow only reads them.
unsafe impl Sync for NumaBlock {}

/// Allocates `size` zeroed bytes bound to `node`. Three system calls, and a page fault per OS page
/// at its first access.
///
/// ```
/// use arenite_pages::{machine::numa_info, numa_alloc, numa_free};
/// let node = numa_info().nodes[0].id;
/// let mut block = numa_alloc(1 << 20, node)?;
/// block.fill(7);
/// assert_eq!(block.distribution()?.bytes_on_node(node), 1 << 20); // verified, not assumed
/// numa_free(block);
/// # Ok::<(), arenite_pages::NumaError>(())
/// ```
///
/// # Errors
/// [`NumaError`] if the size is zero or too large, the node does not exist or has no memory, or
/// the system has no more.
pub fn numa_alloc(size: usize, node: usize) -> Result<NumaBlock, NumaError> {
    let layout = Layout::from_size_align(size, crate::page_size()).ok().filter(|layout| layout.size() > 0);
    let layout = layout.ok_or(NumaError::BadSize { size })?;
    let from = NumaAllocator::new(NumaPolicy::Bind(node))?;
    let block = from.allocate(layout).map_err(|error| match error.kind {
        AllocErrorKind::Exhausted { errno } => NumaError::Os { call: "allocate memory", errno },
        _ => NumaError::BadSize { size },
    })?;
    let block = NonNull::slice_from_raw_parts(block.cast(), size);
    Ok(NumaBlock { block, layout, from })
}

/// Frees a block, like a drop.
pub fn numa_free(block: NumaBlock) {
    drop(block);
}

impl NumaBlock {
    /// Returns the nodes of its memory; OS pages without an access lie on none yet.
    ///
    /// # Errors
    /// [`NumaError::Os`] if the kernel does not report it.
    pub fn distribution(&self) -> Result<NumaDistribution, NumaError> {
        numa_distribution(self.as_ptr(), self.len())
    }
}

impl core::ops::Deref for NumaBlock {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the block is this value's own, zeroed when it was allocated.
        unsafe { self.block.as_ref() }
    }
}

impl core::ops::DerefMut for NumaBlock {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the block is this value's own, zeroed when it was allocated, and borrowed
        // exclusively.
        unsafe { self.block.as_mut() }
    }
}

impl Drop for NumaBlock {
    fn drop(&mut self) {
        // SAFETY: the block of this layout, which is no longer borrowed.
        unsafe { self.from.deallocate(self.block.cast(), self.layout) };
    }
}
