//! The checked API (`MemoryAllocator`) over any shared resource.
//!
//! Checking is an adaptor with a table of live blocks, so the unchecked API (`Resource`) needs no
//! table.
#![expect(unsafe_code, reason = "frees blocks that the table lists as live")]

use super::live_block_table::LiveBlockTable;
use crate::util::resource_macros::forward_resource;
use crate::util::usage_counter::UsageCounter;
use arenite_core::{
    AllocError, AllocErrorKind, AllocResult, Label, MemoryAllocator, Resource, ResourceState, Trim,
};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A [`MemoryAllocator`] over any resource that threads can share.
///
/// Each call costs the resource's call and one lookup in a hash table of sixteen shards, each
/// under its own lock. Blocks that are still live when the allocator is dropped are freed.
///
/// ```
/// use arenite_alloc::{Checked, SharedArena};
/// use arenite_core::{AllocError, MemoryAllocator};
/// let checked = Checked::new(SharedArena::new());
/// let allocator: Box<dyn MemoryAllocator<Error = AllocError>> = Box::new(checked);
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
    /// Wraps `resource` in the checked API.
    pub fn new(resource: R) -> Self {
        Self {
            live_blocks: LiveBlockTable::default(),
            usage: UsageCounter::new(),
            label: Label::new("checked"),
            resource,
        }
    }

    /// Sets the label in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Returns the wrapped resource.
    pub const fn resource(&self) -> &R {
        &self.resource
    }

    /// Removes every live block from the table and passes it to `each`, then calls `each` with
    /// `None`.
    pub(crate) fn take_all_live(&mut self, mut each: impl FnMut(&mut R, Option<(NonNull<u8>, Layout)>)) {
        let Self { live_blocks, usage, resource, .. } = self;
        live_blocks.drain(|address, layout| {
            usage.record_free(layout.size());
            each(resource, own_pointer(address).map(|block| (block, upstream_layout(layout))));
        });
        each(resource, None);
    }

    fn alloc_error(&self, cause: AllocErrorKind, size: usize, align: usize) -> AllocError {
        AllocError { kind: cause, size, align, state: self.checked_state(), label: self.label }
    }

    /// Returns the resource's state with the bytes in use and the peak of the checked API.
    fn checked_state(&self) -> ResourceState {
        ResourceState { in_use: self.usage.in_use(), peak: self.usage.peak(), ..self.resource.state() }
    }

    fn layout(&self, size: usize, align: usize) -> Result<Layout, AllocError> {
        arenite_core::layout(size, align)
            .map_err(|error| error.with_context(self.checked_state(), self.label))
    }

    fn allocate_tracked(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let block = self.resource.allocate(upstream_layout(layout))?.cast::<u8>();
        self.insert_live(block, layout)?;
        Ok(block)
    }

    /// Inserts a block that was just allocated, or frees it if there is no memory for the entry.
    fn insert_live(&self, block: NonNull<u8>, layout: Layout) -> Result<(), AllocError> {
        if !self.live_blocks.insert(block.as_ptr().expose_provenance(), layout) {
            // SAFETY: the block was just allocated and has no other user.
            unsafe { self.resource.deallocate(block, upstream_layout(layout)) };
            return Err(self.alloc_error(
                AllocErrorKind::Exhausted { errno: 0 },
                layout.size(),
                layout.align(),
            ));
        }
        self.usage.record_alloc(layout.size());
        Ok(())
    }
}

/// Returns the layout that the resource allocates for `layout`: at least one byte, so that every
/// live block has a unique address.
fn upstream_layout(layout: Layout) -> Layout {
    Layout::from_size_align(layout.size().max(1), layout.align()).unwrap_or(layout)
}

/// Returns the resource's pointer to the live block at `address`. The caller's pointer may have
/// less provenance.
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
            // SAFETY: the table had a live block of this resource and layout, which this call alone
            // removed. Later uses of it are the caller's own unsafe code.
            unsafe { self.resource.deallocate(block, upstream_layout(layout)) };
        }
        Ok(())
    }

    /// Moves the block in every case: the table gets the new block before the old one is freed, so
    /// that neither is lost.
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
        // Inserted only after its bytes are copied: until then no thread can free it.
        let moved = self.resource.allocate(upstream_layout(new)).inspect_err(stays)?.cast::<u8>();
        if let Some(block) = own_pointer(ptr.addr()) {
            // SAFETY: 1. both blocks are live and at least this long: this call alone moves the old
            // one and has the new one. 2. live blocks do not overlap.
            unsafe { moved.copy_from_nonoverlapping(block, old_size.min(new_size)) };
            self.insert_live(moved, new).inspect_err(stays)?;
            self.live_blocks.end_move(ptr.addr(), true);
            self.usage.record_free(old_size);
            // SAFETY: a live block of this resource and layout, which this call alone removed from
            // the table.
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

// SAFETY: forwards to the resource, which keeps the laws. Blocks allocated here are not in the
// table, so the checked API refuses them.
unsafe impl<R: Resource> Resource for Checked<R> {
    forward_resource!(self => self.resource);
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
                // SAFETY: a live block of this resource and layout. Remaining pointers to it may
                // not be used: the allocator is dropped.
                unsafe { resource.deallocate(block, layout) };
            }
        });
    }
}

/// Implements `MemoryAllocator` for a type by forwarding to one of its fields.
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
