//! Any shared resource behind the checked door.
//!
//! Rests on a [`Ledger`] of live blocks and a tally. It is an adaptor rather than a part of every resource, so that who uses
//! the fast door pays for no table.
#![expect(unsafe_code, reason = "gives back blocks that the ledger knows to be live")]

use super::live_block_table::Ledger;
use crate::util::usage_counter::Tally;
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
    ledger: Ledger,
    tally: Tally,
    label: Label,
    resource: R,
}

impl<R: Resource> Checked<R> {
    /// Puts the checked door before `resource`.
    pub fn new(resource: R) -> Self {
        Self { ledger: Ledger::default(), tally: Tally::new(), label: Label::new("checked"), resource }
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The resource behind the door.
    pub const fn resource(&self) -> &R {
        &self.resource
    }

    /// Takes back everything that is lent through the door and lets `each` end it in the resource.
    pub(crate) fn forget_all(&mut self, mut each: impl FnMut(&mut R, Option<(NonNull<u8>, Layout)>)) {
        let Self { ledger, tally, resource, .. } = self;
        ledger.drain(|address, layout| {
            tally.remove(layout.size());
            each(resource, own(address).map(|block| (block, taken(layout))));
        });
        each(resource, None);
    }

    fn refuse(&self, cause: AllocCause, size: usize, align: usize) -> AllocError {
        AllocError { cause, size, align, state: self.door_state(), label: self.label }
    }

    /// The resource's state, with what is lent through this door.
    fn door_state(&self) -> ResourceState {
        ResourceState { in_use: self.tally.in_use(), peak: self.tally.peak(), ..self.resource.state() }
    }

    fn layout(&self, size: usize, align: usize) -> Result<Layout, AllocError> {
        AllocError::layout(size, align).map_err(|error| error.of(self.door_state(), self.label))
    }

    fn lend(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let block = self.resource.allocate(taken(layout))?.cast::<u8>();
        self.list(block, layout)?;
        Ok(block)
    }

    /// Enters a block that was just allocated; where there is no memory for that, it goes back.
    fn list(&self, block: NonNull<u8>, layout: Layout) -> Result<(), AllocError> {
        if !self.ledger.enter(block.as_ptr().expose_provenance(), layout) {
            // SAFETY: the block just allocated; nobody else has it.
            unsafe { self.resource.deallocate(block, taken(layout)) };
            return Err(self.refuse(AllocCause::Exhausted { errno: 0 }, layout.size(), layout.align()));
        }
        self.tally.add(layout.size());
        Ok(())
    }
}

/// What is asked of the resource for `layout`: a byte at least, so that every live block has an address of its own.
fn taken(layout: Layout) -> Layout {
    Layout::from_size_align(layout.size().max(1), layout.align()).unwrap_or(layout)
}

/// The resource's own pointer to the live block at `address`; a caller's may be good for less.
fn own(address: usize) -> Option<NonNull<u8>> {
    NonNull::new(core::ptr::with_exposed_provenance_mut(address))
}

impl<R: Resource + Send + Sync> MemoryAllocator for Checked<R> {
    type Error = AllocError;

    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, AllocError> {
        self.lend(self.layout(size, alignment)?).map(NonNull::as_ptr)
    }

    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), AllocError> {
        let layout = self.layout(size, alignment)?;
        let struck = self.ledger.strike(ptr.addr(), layout);
        struck.map_err(|cause| self.refuse(cause, size, alignment))?;
        self.tally.remove(size);
        if let Some(block) = own(ptr.addr()) {
            // SAFETY: the ledger had it: a live block of this resource and layout, struck out by this call alone. Using it
            // afterwards is its user's own unsafe code.
            unsafe { self.resource.deallocate(block, taken(layout)) };
        }
        Ok(())
    }

    /// Always moves: the new block must be in the ledger before the old one goes, so that neither is lost.
    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, AllocError> {
        let old = self.layout(old_size, alignment)?;
        let new = self.layout(new_size, alignment)?;
        let claimed = self.ledger.claim(ptr.addr(), old);
        claimed.map_err(|cause| self.refuse(cause, old_size, alignment))?;
        let stays = |_: &AllocError| self.ledger.settle(ptr.addr(), false);
        // not in the ledger before its bytes are there: until then nobody can give it back
        let moved = self.resource.allocate(taken(new)).inspect_err(stays)?.cast::<u8>();
        if let Some(block) = own(ptr.addr()) {
            // SAFETY: 1. both blocks are live and at least as long: the old one is claimed by this call, the new one known to it
            // alone. 2. live blocks do not overlap.
            unsafe { moved.copy_from_nonoverlapping(block, old_size.min(new_size)) };
            self.list(moved, new).inspect_err(stays)?;
            self.ledger.settle(ptr.addr(), true);
            self.tally.remove(old_size);
            // SAFETY: a live block of this resource and layout, taken out of the ledger by this call alone.
            unsafe { self.resource.deallocate(block, taken(old)) };
        }
        Ok(moved.as_ptr())
    }

    fn allocated_size(&self) -> usize {
        self.tally.in_use()
    }

    fn peak_allocated(&self) -> usize {
        self.tally.peak()
    }

    fn reset_peak(&self) {
        self.tally.reset_peak();
    }
}

// SAFETY: forwards to the resource, which keeps the laws. Blocks lent here are not in the ledger, so the checked door
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
        self.forget_all(|resource, block| {
            if let Some((block, layout)) = block {
                // SAFETY: a live block of this resource and layout; whoever still has its pointer may not use it: the
                // allocator is gone.
                unsafe { resource.deallocate(block, layout) };
            }
        });
    }
}

/// Implements the checked door, the fast door and `Trim` for a type by its one field.
macro_rules! through_the_door {
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
pub(crate) use through_the_door;
