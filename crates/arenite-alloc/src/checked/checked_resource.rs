//! Any shared resource behind the checked checked.
//!
//! Rests on a [`LiveBlockTable`] of live blocks and a usage. It is an adaptor rather than a part of every resource, so that who uses
//! the fast checked pays for no table.
#![expect(unsafe_code, reason = "gives back blocks that the live_blocks knows to be live")]

use super::live_block_table::LiveBlockTable;
use crate::util::usage_counter::UsageCounter;
use arenite_core::{AllocCause, AllocError, Label, MemoryAllocator, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Makes a [`MemoryAllocator`] of any resource that threads can share. Each call costs the resource's and one look into a
/// hash table under a lock of one sixteenth of it.
///
/// The blocks it lends are given back to it: when it is dropped, what is still lent goes back too.
///
/// ```
/// use arenite_alloc::{Checked, SharedArena};
/// use arenite_core::{AllocError, MemoryAllocator};
/// let allocator: Box<dyn MemoryAllocator<Error = AllocError>> = Box::new(Checked::new(SharedArena::new()));
/// let block = allocator.allocate(1024, 64)?;
/// assert!(allocator.deallocate(block, 1000, 64).is_err()); // another size
/// allocator.deallocate(block, 1024, 64)?;
/// assert!(allocator.deallocate(block, 1024, 64).is_err()); // already free
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Checked<R: Resource> {
    live_blocks: LiveBlockTable,
    usage: UsageCounter,
    label: Label,
    resource: R,
}

impl<R: Resource> Checked<R> {
    /// Puts the checked checked before `resource`.
    pub fn new(resource: R) -> Self {
        Self {
            live_blocks: LiveBlockTable::default(),
            usage: UsageCounter::new(),
            label: Label::new("checked"),
            resource,
        }
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The resource behind the checked.
    pub const fn resource(&self) -> &R {
        &self.resource
    }

    /// Takes back everything that is lent through the checked and lets `each` end it in the resource.
    pub(crate) fn take_all_live(&mut self, mut each: impl FnMut(&mut R, Option<(NonNull<u8>, Layout)>)) {
        let Self { live_blocks, usage, resource, .. } = self;
        live_blocks.drain(|address, layout| {
            usage.record_free(layout.size());
            each(resource, own_pointer(address).map(|block| (block, upstream_layout(layout))));
        });
        each(resource, None);
    }

    fn alloc_error(&self, cause: AllocCause, size: usize, align: usize) -> AllocError {
        AllocError { cause, size, align, state: self.checked_state(), label: self.label }
    }

    /// The resource's state, with what is lent through this checked.
    fn checked_state(&self) -> ResourceState {
        ResourceState { in_use: self.usage.in_use(), peak: self.usage.peak(), ..self.resource.state() }
    }

    fn layout(&self, size: usize, align: usize) -> Result<Layout, AllocError> {
        AllocError::layout(size, align).map_err(|error| error.of(self.checked_state(), self.label))
    }

    fn allocate_tracked(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let block = self.resource.allocate(upstream_layout(layout))?.cast::<u8>();
        self.insert_live(block, layout)?;
        Ok(block)
    }

    /// Enters a block that was just allocated; where there is no memory for that, it goes back.
    fn insert_live(&self, block: NonNull<u8>, layout: Layout) -> Result<(), AllocError> {
        if !self.live_blocks.insert(block.as_ptr().expose_provenance(), layout) {
            // SAFETY: the block just allocated; nobody else has it.
            unsafe { self.resource.deallocate(block, upstream_layout(layout)) };
            return Err(self.alloc_error(AllocCause::Exhausted { errno: 0 }, layout.size(), layout.align()));
        }
        self.usage.record_alloc(layout.size());
        Ok(())
    }
}

/// What is asked of the resource for `layout`: a byte at least, so that every live block has an address of its own_pointer.
fn upstream_layout(layout: Layout) -> Layout {
    Layout::from_size_align(layout.size().max(1), layout.align()).unwrap_or(layout)
}

/// The resource's own_pointer pointer to the live block at `address`; a caller's may be good for less.
fn own_pointer(address: usize) -> Option<NonNull<u8>> {
    NonNull::new(core::ptr::with_exposed_provenance_mut(address))
}

impl<R: Resource + Send + Sync> MemoryAllocator for Checked<R> {
    type Error = AllocError;

    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, AllocError> {
        self.allocate_tracked(self.layout(size, alignment)?).map(NonNull::as_ptr)
    }

    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), AllocError> {
        let layout = self.layout(size, alignment)?;
        let removed = self.live_blocks.remove(ptr.addr(), layout);
        removed.map_err(|cause| self.alloc_error(cause, size, alignment))?;
        self.usage.record_free(size);
        if let Some(block) = own_pointer(ptr.addr()) {
            // SAFETY: the live_blocks had it: a live block of this resource and layout, removed out by this call alone. Using it
            // afterwards is its user's own_pointer unsafe code.
            unsafe { self.resource.deallocate(block, upstream_layout(layout)) };
        }
        Ok(())
    }

    /// Always moves: the new block must be in the live_blocks before the old one goes, so that neither is lost.
    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, AllocError> {
        let old = self.layout(old_size, alignment)?;
        let new = self.layout(new_size, alignment)?;
        let moving = self.live_blocks.begin_move(ptr.addr(), old);
        moving.map_err(|cause| self.alloc_error(cause, old_size, alignment))?;
        let stays = |_: &AllocError| self.live_blocks.end_move(ptr.addr(), false);
        // not in the live_blocks before its bytes are there: until then nobody can give it back
        let moved = self.resource.allocate(upstream_layout(new)).inspect_err(stays)?.cast::<u8>();
        if let Some(block) = own_pointer(ptr.addr()) {
            // SAFETY: 1. both blocks are live and at least as long: the old one is moving by this call, the new one known to it
            // alone. 2. live blocks do not overlap.
            unsafe { moved.copy_from_nonoverlapping(block, old_size.min(new_size)) };
            self.insert_live(moved, new).inspect_err(stays)?;
            self.live_blocks.end_move(ptr.addr(), true);
            self.usage.record_free(old_size);
            // SAFETY: a live block of this resource and layout, upstream_layout out of the live_blocks by this call alone.
            unsafe { self.resource.deallocate(block, upstream_layout(old)) };
        }
        Ok(moved.as_ptr())
    }

    fn allocated_size(&self) -> usize {
        self.usage.in_use()
    }

    fn peak_allocated(&self) -> usize {
        self.usage.peak()
    }

    fn reset_peak(&self) {
        self.usage.reset_peak();
    }
}

// SAFETY: forwards to the resource, which keeps the laws. Blocks lent here are not in the live_blocks, so the checked checked
// refuses them.
unsafe impl<R: Resource> Resource for Checked<R> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.resource.allocate(layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.resource.allocate_zeroed(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.resource.deallocate(block, layout) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { self.resource.grow(block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { self.resource.shrink(block, old, new) }
    }

    fn state(&self) -> ResourceState {
        self.resource.state()
    }
}

impl<R: Resource + Trim> Trim for Checked<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.resource.trim(target_held)
    }
}

impl<R: Resource> Drop for Checked<R> {
    fn drop(&mut self) {
        self.take_all_live(|resource, block| {
            if let Some((block, layout)) = block {
                // SAFETY: a live block of this resource and layout; whoever still has its pointer may not use it: the
                // allocator is gone.
                unsafe { resource.deallocate(block, layout) };
            }
        });
    }
}

/// Implements the checked checked, the fast checked and `Trim` for a type by its one field.
macro_rules! impl_memory_allocator {
    ($type:ty, $field:ident $(, $generic:ident: $bound:path)*) => {
        impl$(<$generic: $bound + Send>)* arenite_core::MemoryAllocator for $type {
            type Error = arenite_core::AllocError;
            fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, Self::Error> {
                arenite_core::MemoryAllocator::allocate(&self.$field, size, alignment)
            }
            fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), Self::Error> {
                arenite_core::MemoryAllocator::deallocate(&self.$field, ptr, size, alignment)
            }
            fn reallocate(
                &self,
                ptr: *mut u8,
                old_size: usize,
                new_size: usize,
                alignment: usize,
            ) -> Result<*mut u8, Self::Error> {
                self.$field.reallocate(ptr, old_size, new_size, alignment)
            }
            fn allocated_size(&self) -> usize {
                self.$field.allocated_size()
            }
            fn peak_allocated(&self) -> usize {
                self.$field.peak_allocated()
            }
            fn reset_peak(&self) {
                self.$field.reset_peak();
            }
        }
    };
}
pub(crate) use impl_memory_allocator;
