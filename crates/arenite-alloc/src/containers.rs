//! Containers of `allocator-api2` in arenite's memory: `Vec`, `Box`, and `hashbrown`'s maps.
//!
//! `allocator-api2` 0.2 is the version that those containers use. A macro repeats the
//! implementation for every resource: the orphan rule forbids a blanket one.
#![expect(unsafe_code, reason = "implements an unsafe trait by another with the same contract")]

use crate::util::resource_macros::forward_resource;
use allocator_api2::alloc::{AllocError as ApiAllocError, Allocator};
use arenite_core::{AllocResult, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

macro_rules! container_allocator {
    ($([$($generics:tt)*] $type:ty),* $(,)?) => {$(
        // SAFETY: laws 1 to 3 and 7 of `Resource` are this trait's contract. A live block stays
        // until it is deallocated or until a method proves that no container holds it. A container
        // holds this value or a handle of it, which prevents those methods; clones of a handle are
        // handles of the same resource.
        unsafe impl<$($generics)*> Allocator for $type {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, ApiAllocError> {
                Resource::allocate(self, layout).map_err(|_| ApiAllocError)
            }
            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, ApiAllocError> {
                Resource::allocate_zeroed(self, layout).map_err(|_| ApiAllocError)
            }
            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promises are the same.
                unsafe { Resource::deallocate(self, block, layout) }
            }
            #[inline]
            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, ApiAllocError> {
                // SAFETY: the caller's promises are the same.
                unsafe { Resource::grow(self, block, old, new) }.map_err(|_| ApiAllocError)
            }
            #[inline]
            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, ApiAllocError> {
                // SAFETY: the caller's promises are the same.
                unsafe { Resource::shrink(self, block, old, new) }.map_err(|_| ApiAllocError)
            }
        }
    )*};
}

/// A counted handle of a resource for one thread. The handle keeps the resource alive and borrows
/// nothing.
///
/// ```
/// use arenite_alloc::{Arena, LocalHandle};
/// use allocator_api2::vec::Vec;
/// let arena = LocalHandle::new(Arena::new());
/// let mut values: Vec<u32, LocalHandle<Arena>> = Vec::new_in(arena.clone());
/// values.push(7);
/// let mark = arena.mark()?;
/// drop(arena); // `values` keeps the arena
/// assert_eq!(values[0], 7);
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct LocalHandle<R: ?Sized>(Rc<R>);

/// A counted handle of a resource for many threads. The handle keeps the resource alive and
/// borrows nothing.
///
/// ```
/// use arenite_alloc::{SharedArena, SharedHandle};
/// use allocator_api2::vec::Vec;
/// let arena = SharedHandle::new(SharedArena::new());
/// let values: Vec<u32, _> = Vec::with_capacity_in(8, arena.clone());
/// std::thread::spawn(move || drop(values)).join().unwrap();
/// ```
#[derive(Debug, Default)]
pub struct SharedHandle<R: ?Sized>(Arc<R>);

macro_rules! handle {
    ($handle:ident, $counted:ident) => {
        impl<R> $handle<R> {
            /// Wraps a resource in its first handle.
            pub fn new(resource: R) -> Self {
                Self($counted::new(resource))
            }

            /// Returns the resource for exclusive use, or `None` if there are other handles.
            pub fn get_mut(&mut self) -> Option<&mut R> {
                $counted::get_mut(&mut self.0)
            }
        }

        impl<R: ?Sized> Clone for $handle<R> {
            fn clone(&self) -> Self {
                Self($counted::clone(&self.0))
            }
        }

        impl<R: ?Sized> core::ops::Deref for $handle<R> {
            type Target = R;

            fn deref(&self) -> &R {
                &self.0
            }
        }

        // SAFETY: forwards to the one resource behind the handle, which keeps the laws.
        unsafe impl<R: Resource + ?Sized> Resource for $handle<R> {
            forward_resource!(self => self.0);
        }

        impl<R: Trim + ?Sized> Trim for $handle<R> {
            fn trim(&self, target_held: usize) -> usize {
                self.0.trim(target_held)
            }
        }
    };
}

handle!(LocalHandle, Rc);
handle!(SharedHandle, Arc);

container_allocator! {
    [] crate::Global,
    [] crate::CountedGlobal,
    [S: crate::ChunkSource] crate::Arena<S>,
    [S: crate::ChunkSource] crate::ArenaScope<'_, S>,
    [] crate::SharedArena,
    [R: Resource] crate::Pool<R>,
    [R: Resource] crate::SharedPool<R>,
    [] crate::BinnedPools,
    [R: Resource] crate::Aligned<R>,
    [R: Resource] crate::Limit<R>,
    [A: arenite_core::Owns, B: Resource] crate::Fallback<A, B>,
    [R: Resource, S: arenite_core::Sink] crate::Traced<R, S>,
    [R: Resource] crate::Failing<R>,
    [R: Resource] crate::Checked<R>,
    [R: Resource] crate::Locked<R>,
    [] crate::Heap,
    [] crate::BoundedHeap<'_>,
    [] crate::MemoryPool,
    [R: Resource] crate::LocalStratifiedPool<R>,
    [R: Resource + Sync] crate::StratifiedMemoryPool<R>,
    [R: Resource] crate::Budgeted<R>,
    [R: Resource] crate::CacheOptimizedAllocator<R>,
    [R: Resource] crate::Spill<R>,
    [R: Resource + ?Sized] LocalHandle<R>,
    [R: Resource + ?Sized] SharedHandle<R>,
}
