//! Values in a pool, which give their memory back when they go.
//!
//! Rests on any [`Resource`], by a borrow.
#![expect(unsafe_code, reason = "owns values behind a raw pointer")]

use super::MemoryPool;
use arenite_core::{AllocError, Label, Resource};
use arenite_pages::Scalar;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// `count` values of `T` in a pool. Dropping it drops the values and returns the block to the pool.
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

// SAFETY: owns its values like a box; giving the block back from another thread is what a resource that is `Sync` allows.
unsafe impl<T: Send, R: Resource + Sync> Send for PoolPtr<'_, T, R> {}
// SAFETY: a shared pointer lends shared values.
unsafe impl<T: Sync, R: Resource + Sync> Sync for PoolPtr<'_, T, R> {}

fn layout<T>(count: usize, pool: &impl Resource) -> Result<Layout, AllocError> {
    Layout::array::<T>(count).map_err(|_| {
        let size = count.saturating_mul(size_of::<T>());
        AllocError::bad_layout(size, align_of::<T>(), pool.state(), Label::new("pool values"))
    })
}

impl<'p, T, R: Resource> PoolPtr<'p, T, R> {
    /// Takes `count` values at `start`, to give their block back to `pool` in the end.
    ///
    /// # Safety
    /// `start` is a live block of `pool`, of the layout of an array of `count` values, all of them written, and nobody else's.
    #[must_use]
    pub const unsafe fn new(start: NonNull<T>, count: usize, pool: &'p R) -> Self {
        Self { start, count, pool, owns: PhantomData }
    }

    /// `count` zeroes in `pool`.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn zeroed_in(count: usize, pool: &'p R) -> Result<Self, AllocError>
    where
        T: Scalar,
    {
        let start = pool.allocate_zeroed(layout::<T>(count, pool)?)?.cast();
        // SAFETY: a fresh block for them; zeroes are a scalar's.
        Ok(unsafe { Self::new(start, count, pool) })
    }

    /// The block and the number of values, which nobody gives back any more.
    #[must_use]
    pub fn into_raw(this: Self) -> (NonNull<T>, usize) {
        let this = ManuallyDrop::new(this);
        (this.start, this.count)
    }
}

impl<'p, T, R: Resource> PoolPtr<'p, MaybeUninit<T>, R> {
    /// `count` values in `pool` that are yet to be written.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn uninit_in(count: usize, pool: &'p R) -> Result<Self, AllocError> {
        let start = pool.allocate(layout::<T>(count, pool)?)?.cast();
        // SAFETY: a fresh block for them; such values are never unwritten.
        Ok(unsafe { Self::new(start, count, pool) })
    }

    /// The same with every value written, each from its index.
    #[must_use]
    pub fn fill_with(mut self, mut value: impl FnMut(usize) -> T) -> PoolPtr<'p, T, R> {
        for (index, room) in self.iter_mut().enumerate() {
            room.write(value(index));
        }
        let pool = self.pool;
        let (start, count) = Self::into_raw(self);
        // SAFETY: all written, and the same block.
        unsafe { PoolPtr::new(start.cast(), count, pool) }
    }
}

impl<T, R: Resource> Deref for PoolPtr<'_, T, R> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the values that this owns.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl<T, R: Resource> DerefMut for PoolPtr<'_, T, R> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.count) }
    }
}

/// Gives the block back also where a value's destructor panics.
struct DeallocateOnDrop<'p, R: Resource>(NonNull<u8>, Layout, &'p R);

impl<R: Resource> Drop for DeallocateOnDrop<'_, R> {
    fn drop(&mut self) {
        // SAFETY: the block of the values that go, with its layout.
        unsafe { self.2.deallocate(self.0, self.1) };
    }
}

impl<T, R: Resource> Drop for PoolPtr<'_, T, R> {
    fn drop(&mut self) {
        // SAFETY: the block was asked with this layout, so it is one.
        let layout = unsafe {
            Layout::from_size_align_unchecked(self.count.wrapping_mul(size_of::<T>()), align_of::<T>())
        };
        let _block = DeallocateOnDrop(self.start.cast(), layout, self.pool);
        if core::mem::needs_drop::<T>() {
            let values = NonNull::slice_from_raw_parts(self.start, self.count);
            // SAFETY: all written, and their only owner goes.
            unsafe { values.drop_in_place() };
        }
    }
}

impl<T: fmt::Debug, R: Resource> fmt::Debug for PoolPtr<'_, T, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}
