//! A box in an arena: an owner of a value that drops it but frees no memory.
//!
//! A box is one pointer wide: the arena frees the memory, so the box needs no handle of it. Its
//! lifetime is that of the arena's block.
#![expect(unsafe_code, reason = "owns a value behind a raw pointer")]

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// An owner of a value in an arena. Dropping the box drops the value; the memory is freed with the
/// arena.
///
/// ```
/// use arenite_alloc::{Arena, ArenaBox};
/// let arena = Arena::new();
/// let name = arena.alloc(String::from("layer 0"))?; // its heap buffer is freed when `name` goes
/// let seven: &mut i32 = ArenaBox::leak(arena.alloc(7)?); // no destructor will run
/// assert_eq!((name.len(), *seven), (7, 7));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub struct ArenaBox<'a, T: ?Sized> {
    value: NonNull<T>,
    owns: PhantomData<(&'a (), T)>,
}

// SAFETY: the box owns its value like a `Box<T>`.
unsafe impl<T: ?Sized + Send> Send for ArenaBox<'_, T> {}
// SAFETY: `&ArenaBox<T>` gives access to `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for ArenaBox<'_, T> {}

impl<'a, T: ?Sized> ArenaBox<'a, T> {
    /// Wraps a value.
    ///
    /// # Safety
    /// `value` points to an initialized value without another owner, in memory that stays for `'a`.
    #[inline]
    pub(crate) const unsafe fn new(value: NonNull<T>) -> Self {
        Self { value, owns: PhantomData }
    }

    /// Returns the reference alone: the value's destructor will not run.
    #[inline]
    #[must_use]
    pub const fn leak(this: Self) -> &'a mut T {
        let value = this.value;
        let _kept = core::mem::ManuallyDrop::new(this);
        // SAFETY: the value is initialized, in memory that stays for `'a`, and its only owner gave
        // it up.
        unsafe { &mut *value.as_ptr() }
    }
}

impl<T> ArenaBox<'_, T> {
    /// Moves the value out of the arena.
    #[inline]
    #[must_use]
    pub const fn into_inner(this: Self) -> T {
        let value = this.value;
        let _kept = core::mem::ManuallyDrop::new(this);
        // SAFETY: the value is initialized, and its only owner gave it up.
        unsafe { value.read() }
    }
}

impl<T: ?Sized> Deref for ArenaBox<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is initialized and owned by this box.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for ArenaBox<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is initialized and owned by this box, and `&mut self` makes this the
        // only borrow.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized> Drop for ArenaBox<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the value is initialized, and its only owner is dropped.
        unsafe { self.value.drop_in_place() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ArenaBox<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ArenaBox<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}
