//! Values in a pool whose memory is freed when they are dropped.
#![expect(unsafe_code, reason = "owns values behind a raw pointer")]

use super::MemoryPool;
use crate::checked::Locked;
use arenite_core::{AllocError, Label, Resource};
use arenite_pages::Scalar;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// An owner of `count` values of `T` in a pool. Dropping it drops the values and frees the block.
///
/// ```
/// use arenite_alloc::{MemoryPool, PoolPtr};
/// let pool = MemoryPool::new(1 << 20);
/// let mut weights: PoolPtr<f32> = pool.allocate(1000)?;
/// weights[7] = 1.5;
/// assert_eq!((weights.len(), weights.iter().sum::<f32>()), (1000, 1.5));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub struct PoolPtr<'p, T, R: Resource = MemoryPool> {
    start: NonNull<T>,
    count: usize,
    pool: &'p R,
    owns: PhantomData<T>,
}

// SAFETY: owns its values like a box; a resource that is `Sync` lets any thread free the block.
unsafe impl<T: Send, R: Resource + Sync> Send for PoolPtr<'_, T, R> {}
// SAFETY: a shared pointer gives shared access to the values only.
unsafe impl<T: Sync, R: Resource + Sync> Sync for PoolPtr<'_, T, R> {}

fn layout<T>(count: usize, pool: &impl Resource) -> Result<Layout, AllocError> {
    Layout::array::<T>(count).map_err(|_| {
        let size = count.saturating_mul(size_of::<T>());
        AllocError::bad_layout(size, align_of::<T>(), pool.state(), Label::new("pool values"))
    })
}

impl<'p, T, R: Resource> PoolPtr<'p, T, R> {
    /// Takes ownership of `count` values at `start`, whose block `pool` frees in the end.
    ///
    /// # Safety
    /// `start` is a live block of `pool` and has no other owner. Its layout is that of an array of
    /// `count` values, all of them initialized.
    #[must_use]
    pub const unsafe fn new(start: NonNull<T>, count: usize, pool: &'p R) -> Self {
        Self { start, count, pool, owns: PhantomData }
    }

    /// Allocates `count` zeroes in `pool`.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn zeroed_in(count: usize, pool: &'p R) -> Result<Self, AllocError>
    where
        T: Scalar,
    {
        let start = pool.allocate_zeroed(layout::<T>(count, pool)?)?.cast();
        // SAFETY: a fresh block for them; zeroes are valid scalars.
        Ok(unsafe { Self::new(start, count, pool) })
    }

    /// Returns the block and the number of values without freeing them.
    #[must_use]
    pub fn into_raw(this: Self) -> (NonNull<T>, usize) {
        let this = ManuallyDrop::new(this);
        (this.start, this.count)
    }
}

impl<'p, T, R: Resource> PoolPtr<'p, MaybeUninit<T>, R> {
    /// Allocates `count` uninitialized values in `pool`.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn uninit_in(count: usize, pool: &'p R) -> Result<Self, AllocError> {
        let start = pool.allocate(layout::<T>(count, pool)?)?.cast();
        // SAFETY: a fresh block for them; `MaybeUninit` values need no initialization.
        Ok(unsafe { Self::new(start, count, pool) })
    }

    /// Initializes every value from its index.
    #[must_use]
    pub fn fill_with(mut self, mut value: impl FnMut(usize) -> T) -> PoolPtr<'p, T, R> {
        for (index, slot) in self.iter_mut().enumerate() {
            slot.write(value(index));
        }
        let pool = self.pool;
        let (start, count) = Self::into_raw(self);
        // SAFETY: all values are initialized, and the block is the same.
        unsafe { PoolPtr::new(start.cast(), count, pool) }
    }
}

impl MemoryPool {
    /// Allocates `count` zeroes.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate<T: Scalar>(&self, count: usize) -> Result<PoolPtr<'_, T>, AllocError> {
        PoolPtr::zeroed_in(count, self)
    }

    /// Allocates `count` uninitialized values.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate_uninit<T>(&self, count: usize) -> Result<PoolPtr<'_, MaybeUninit<T>>, AllocError> {
        PoolPtr::uninit_in(count, self)
    }
}

impl Locked<MemoryPool> {
    /// Allocates `count` zeroes.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate<T: Scalar>(&self, count: usize) -> Result<PoolPtr<'_, T, Self>, AllocError> {
        PoolPtr::zeroed_in(count, self)
    }

    /// Allocates `count` uninitialized values.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate_uninit<T>(&self, count: usize) -> Result<PoolPtr<'_, MaybeUninit<T>, Self>, AllocError> {
        PoolPtr::uninit_in(count, self)
    }
}

impl<T, R: Resource> Deref for PoolPtr<'_, T, R> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the initialized values that this pointer owns.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl<T, R: Resource> DerefMut for PoolPtr<'_, T, R> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the initialized values that this pointer owns, borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.count) }
    }
}

/// A guard that frees the block also if a value's destructor panics.
struct DeallocateOnDrop<'p, R: Resource>(NonNull<u8>, Layout, &'p R);

impl<R: Resource> Drop for DeallocateOnDrop<'_, R> {
    fn drop(&mut self) {
        // SAFETY: the block of the dropped values, with its layout.
        unsafe { self.2.deallocate(self.0, self.1) };
    }
}

impl<T, R: Resource> Drop for PoolPtr<'_, T, R> {
    fn drop(&mut self) {
        // SAFETY: the block was allocated with this layout, so the layout is valid.
        let layout = unsafe {
            Layout::from_size_align_unchecked(self.count.wrapping_mul(size_of::<T>()), align_of::<T>())
        };
        let _block = DeallocateOnDrop(self.start.cast(), layout, self.pool);
        if core::mem::needs_drop::<T>() {
            let values = NonNull::slice_from_raw_parts(self.start, self.count);
            // SAFETY: all values are initialized, and their only owner is dropped.
            unsafe { values.drop_in_place() };
        }
    }
}

impl<T: fmt::Debug, R: Resource> fmt::Debug for PoolPtr<'_, T, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}
