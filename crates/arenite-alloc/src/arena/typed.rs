//! Typed blocks: values, slices and strings, with one set of methods for arenas, scopes and shared
//! arenas.
//!
//! A macro writes the methods four times. The lifetime of a block is the borrow's for an arena and
//! the scope's for a scope; no trait can express both.
#![expect(unsafe_code, reason = "writes values into fresh blocks")]

use super::ArenaBox;
use super::chunk_source::ChunkSource;
use super::{Arena, ArenaScope, SharedArena};
use crate::checked::Locked;
use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Allocates a block for `len` values of `T`.
#[inline]
fn allocate_array<T>(resource: &impl Resource, len: usize) -> Result<NonNull<T>, AllocError> {
    let Ok(layout) = Layout::array::<T>(len) else {
        return Err(AllocError::bad_layout(
            len.saturating_mul(size_of::<T>()),
            align_of::<T>(),
            resource.state(),
            arenite_core::Label::new("typed slice"),
        ));
    };
    Ok(resource.allocate(layout)?.cast())
}

/// Allocates `len` uninitialized values of `T`.
#[inline]
fn allocate_uninit<'a, T>(
    resource: &impl Resource,
    len: usize,
) -> Result<&'a mut [MaybeUninit<T>], AllocError> {
    let start = allocate_array::<MaybeUninit<T>>(resource, len)?;
    // SAFETY: a fresh block for `len` values, aligned, without another user; `MaybeUninit` may be
    // uninitialized. The callers tie `'a` to the time for which the arena keeps the block.
    Ok(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), len) })
}

/// A guard that drops the values written so far if the next one panics.
struct PartialFill<T> {
    start: NonNull<T>,
    filled: usize,
}

impl<T> Drop for PartialFill<T> {
    fn drop(&mut self) {
        let filled = NonNull::slice_from_raw_parts(self.start, self.filled);
        // SAFETY: the first `filled` values are initialized and belong to this guard alone.
        unsafe { filled.drop_in_place() }
    }
}

/// Writes `len` values into a fresh block and returns their owner.
///
/// # Safety
/// `start` is a fresh block for `len` values, which stays for `'a`.
#[inline]
unsafe fn fill_with<'a, T>(
    start: NonNull<T>,
    len: usize,
    mut value: impl FnMut(usize) -> T,
) -> ArenaBox<'a, [T]> {
    let mut partial = PartialFill { start, filled: 0 };
    while partial.filled < len {
        let next = value(partial.filled);
        // SAFETY: below `len`, so inside the block.
        let slot = unsafe { start.add(partial.filled) };
        // SAFETY: inside the block, aligned, and not yet initialized.
        unsafe { slot.write(next) };
        partial.filled += 1;
    }
    partial.filled = 0;
    // SAFETY: all `len` values are initialized, the guard gave them up, and the memory stays for
    // `'a`.
    unsafe { ArenaBox::new(NonNull::slice_from_raw_parts(start, len)) }
}

macro_rules! typed_methods {
    ($life:lifetime, [$($own:lifetime)?]) => {
        /// Moves `value` into the arena. Dropping the box drops the value.
        ///
        /// # Errors
        /// [`AllocError`]; the value is then dropped.
        #[inline]
        pub fn alloc<$($own,)? T>(&$($own)? self, value: T) -> Result<ArenaBox<$life, T>, AllocError> {
            let start = allocate_array::<T>(self, 1)?;
            // SAFETY: a fresh block of `T`'s layout.
            unsafe { start.write(value) };
            // SAFETY: just initialized, without another user, and kept for the lifetime of the box.
            Ok(unsafe { ArenaBox::new(start) })
        }

        /// Copies `values` into the arena.
        ///
        /// # Errors
        /// [`AllocError`].
        #[inline]
        pub fn alloc_slice_copy<$($own,)? T: Copy>(&$($own)? self, values: &[T]) -> Result<&$life mut [T], AllocError> {
            let copy = allocate_uninit::<T>(self, values.len())?;
            Ok(copy.write_copy_of_slice(values))
        }

        /// Makes `len` values, each by `value` from its index. If `value` panics, the values made
        /// so far are dropped.
        ///
        /// # Errors
        /// [`AllocError`].
        #[inline]
        pub fn alloc_slice_fill_with<$($own,)? T: $life>(
            &$($own)? self,
            len: usize,
            value: impl FnMut(usize) -> T,
        ) -> Result<ArenaBox<$life, [T]>, AllocError> {
            let start = allocate_array::<T>(self, len)?;
            // SAFETY: a fresh block for `len` values, kept for the lifetime of the box.
            Ok(unsafe { fill_with(start, len, value) })
        }

        /// Allocates `len` uninitialized values.
        ///
        /// # Errors
        /// [`AllocError`].
        #[inline]
        pub fn alloc_slice_uninit<$($own,)? T: $life>(
            &$($own)? self,
            len: usize,
        ) -> Result<&$life mut [MaybeUninit<T>], AllocError> {
            allocate_uninit(self, len)
        }

        /// Copies `text` into the arena.
        ///
        /// # Errors
        /// [`AllocError`].
        #[inline]
        pub fn alloc_str<$($own)?>(&$($own)? self, text: &str) -> Result<&$life mut str, AllocError> {
            let bytes = self.alloc_slice_copy(text.as_bytes())?;
            // SAFETY: a copy of valid UTF-8.
            Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes) })
        }

        /// Allocates `size` uninitialized bytes at the default alignment of 64, for raw and tensor
        /// data.
        ///
        /// # Errors
        /// [`AllocError`].
        #[inline]
        pub fn alloc_bytes<$($own)?>(&$($own)? self, size: usize) -> Result<&$life mut [MaybeUninit<u8>], AllocError> {
            let layout = match arenite_core::Alignment::DEFAULT.layout(size) {
                Some(layout) => layout,
                None => return Err(AllocError::bad_layout(size, 64, self.state(), arenite_core::Label::new("bytes"))),
            };
            let start = self.allocate(layout)?.cast::<MaybeUninit<u8>>();
            // SAFETY: a fresh block of `size` bytes, without another user, kept for the lifetime of
            // the reference.
            Ok(unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), size) })
        }
    };
}

#[expect(clippy::mut_from_ref, reason = "each call returns its own block")]
impl<S: ChunkSource> Arena<S> {
    typed_methods!('s, ['s]);
}

impl<'s, S: ChunkSource> ArenaScope<'s, S> {
    typed_methods!('s, []);
}

#[expect(clippy::mut_from_ref, reason = "each call returns its own block")]
impl SharedArena {
    typed_methods!('s, ['s]);
}

#[expect(clippy::mut_from_ref, reason = "each call returns its own block")]
impl<S: ChunkSource> Locked<Arena<S>> {
    typed_methods!('s, ['s]);
}
