//! The values that an arena drops when it frees their memory.
//!
//! The list is threaded through the values themselves, newest first. Adding a value costs one
//! pointer; a value without a destructor costs nothing.
#![expect(unsafe_code, reason = "drops values through erased pointers")]

use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;

/// A value and the header that drops it.
#[repr(C)]
pub(crate) struct Adopted<T> {
    header: Header,
    value: T,
}

/// Header of a value in the list.
#[derive(Clone, Copy)]
struct Header {
    older: Option<NonNull<Header>>,
    /// Position of the value in the arena, in bytes in use.
    position: usize,
    /// Function that drops the value behind this header.
    destroy: unsafe fn(NonNull<Header>),
}

/// The adopted values of one arena, newest first.
pub(crate) struct AdoptedList {
    newest: Cell<Option<NonNull<Header>>>,
}

// SAFETY: the values are `Send` by the bound of every `alloc_with_drop`, and the list is their
// only owner.
unsafe impl Send for AdoptedList {}

impl AdoptedList {
    pub(crate) const fn new() -> Self {
        Self { newest: Cell::new(None) }
    }

    /// Moves `value` into `block` and the list.
    ///
    /// # Safety
    /// 1. `block` is valid for writes of an `Adopted<T>`, aligned, and has no other user.
    /// 2. It stays so until [`AdoptedList::drop_down_to`] was called with a position at or below
    ///    `position`.
    /// 3. The returned reference is not used after that.
    pub(crate) unsafe fn push<'a, T: 'static>(
        &self,
        block: NonNull<Adopted<T>>,
        value: T,
        position: usize,
    ) -> &'a mut T {
        let header = Header { older: self.newest.get(), position, destroy: destroy::<T> };
        // SAFETY: the caller's first promise.
        unsafe { block.write(Adopted { header, value }) };
        // Values without a destructor need no entry.
        if core::mem::needs_drop::<T>() {
            self.newest.set(Some(block.cast()));
        }
        // SAFETY: just initialized, and the caller's promises.
        let adopted = unsafe { &mut *block.as_ptr() };
        &mut adopted.value
    }

    /// Drops every value at or above `position`, newest first.
    #[inline]
    pub(crate) fn drop_down_to(&self, position: usize) {
        if self.newest.get().is_some() {
            self.drop_newest_down_to(position);
        }
    }

    #[cold]
    #[inline(never)]
    fn drop_newest_down_to(&self, position: usize) {
        while let Some(header) = self.newest.get() {
            // SAFETY: values in the list are live until dropped here; a header is `Copy`.
            let Header { older, position: at, destroy } = unsafe { header.read() };
            if at < position {
                break;
            }
            // Removed first: if the destructor panics, it does not run again.
            self.newest.set(older);
            // SAFETY: the header of a live value of the type that `destroy` was made for, dropped
            // once.
            unsafe { destroy(header) };
        }
    }
}

/// Drops the value behind `header`.
///
/// # Safety
/// `header` is that of a live `Adopted<T>`, which is not used afterwards.
unsafe fn destroy<T>(header: NonNull<Header>) {
    let adopted = header.cast::<Adopted<T>>();
    // SAFETY: the address of a field of a live value.
    let value = unsafe { &raw mut (*adopted.as_ptr()).value };
    // SAFETY: the caller's guarantees are the same.
    unsafe { value.drop_in_place() }
}

impl fmt::Debug for AdoptedList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AdoptedList").field("empty", &self.newest.get().is_none()).finish()
    }
}
