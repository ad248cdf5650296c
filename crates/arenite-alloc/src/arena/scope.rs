//! Scopes: parts of an arena's life that end at a brace.
//!
//! A scope borrows the arena (or the outer scope) exclusively, and its blocks have a lifetime of
//! their own instead of the borrow's. So the compiler keeps inner blocks from leaving the scope,
//! and outer blocks stay usable.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::chunk_source::ChunkSource;
use super::marks::MarkFrame;
use super::{Arena, ReservedRange};
use crate::util::resource_macros::forward_resource;
use arenite_core::{AllocError, AllocResult, Resource, ResourceState};
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A scope of an arena. Made by [`Arena::scope`] and [`ScopeGuard::scope`].
///
/// Its blocks have the lifetime `'s`, not that of a borrow of the scope, so they stay usable while
/// an inner scope is open. It is a resource, for containers that hold `&ArenaScope`.
#[derive(Debug)]
pub struct ArenaScope<'s, S: ChunkSource = ReservedRange> {
    pub(super) arena: &'s Arena<S>,
    /// Invariant: a scope must not be used as one that ends earlier or later.
    invariant: PhantomData<fn(&'s ()) -> &'s ()>,
}

/// A guard that frees the blocks of its scope when it is dropped. Made by [`Arena::scope_guard`].
///
/// ```
/// use arenite_alloc::Arena;
/// let mut arena = Arena::new();
/// {
///     let mut guard = arena.scope_guard();
///     let scope = guard.scope();
///     let text = scope.alloc_str("temporary")?;
///     assert_eq!(text.len(), 9);
/// }
/// assert_eq!(arena.in_use(), 0);
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct ScopeGuard<'a, S: ChunkSource = ReservedRange> {
    arena: &'a Arena<S>,
    start: MarkFrame,
}

impl<S: ChunkSource> Arena<S> {
    /// Runs `body` with a scope, whose blocks are freed when `body` returns. Blocks of an outer
    /// scope stay usable inside, and no inner block can leave.
    ///
    /// ```
    /// use arenite_alloc::Arena;
    /// let mut arena = Arena::new();
    /// let sum = arena.scope(|outer| {
    ///     let mut total = outer.alloc(0)?;
    ///     for step in 0..3 {
    ///         outer.scope(|inner| {
    ///             let part = inner.alloc(step)?;
    ///             *total += *part;
    ///             Ok::<(), arenite_core::AllocError>(())
    ///         })?;
    ///     }
    ///     Ok::<i32, arenite_core::AllocError>(*total)
    /// })?;
    /// assert_eq!(sum, 3);
    /// assert_eq!(arena.in_use(), 0);
    /// # Ok::<(), arenite_core::AllocError>(())
    /// ```
    ///
    /// A block cannot leave its scope:
    /// ```compile_fail
    /// let mut arena = arenite_alloc::Arena::new();
    /// let escaped = arena.scope(|scope| scope.alloc(1));
    /// ```
    #[inline]
    pub fn scope<T>(&mut self, body: impl for<'s> FnOnce(&mut ArenaScope<'s, S>) -> T) -> T {
        let mut guard = self.scope_guard();
        body(&mut guard.scope())
    }

    /// Opens a scope that ends when the guard is dropped, for code that cannot use a closure.
    #[inline]
    pub fn scope_guard(&mut self) -> ScopeGuard<'_, S> {
        ScopeGuard::enter(self)
    }
}

impl<'a, S: ChunkSource> ScopeGuard<'a, S> {
    #[inline]
    pub(super) fn enter(arena: &'a mut Arena<S>) -> Self {
        let arena = &*arena;
        Self { arena, start: arena.position() }
    }

    /// Returns the scope to allocate in.
    #[inline]
    pub fn scope(&mut self) -> ArenaScope<'_, S> {
        ArenaScope { arena: self.arena, invariant: PhantomData }
    }
}

impl<S: ChunkSource> Drop for ScopeGuard<'_, S> {
    #[inline]
    fn drop(&mut self) {
        self.arena.leave_scope(self.start);
    }
}

impl<'s, S: ChunkSource> ArenaScope<'s, S> {
    /// Runs `body` with an inner scope; see [`Arena::scope`].
    #[inline]
    pub fn scope<T>(&mut self, body: impl for<'i> FnOnce(&mut ArenaScope<'i, S>) -> T) -> T {
        let mut guard = self.scope_guard();
        body(&mut guard.scope())
    }

    /// Opens an inner scope that ends when the guard is dropped.
    #[inline]
    pub fn scope_guard(&mut self) -> ScopeGuard<'_, S> {
        ScopeGuard { arena: self.arena, start: self.arena.position() }
    }

    /// Returns the bytes in use in the arena.
    pub fn in_use(&self) -> usize {
        self.arena.in_use()
    }

    /// Moves `value` into the arena, which drops it at the end of this scope; see
    /// [`Arena::alloc_with_drop`].
    ///
    /// # Errors
    /// [`AllocError`]; the value is then dropped.
    pub fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&'s mut T, AllocError> {
        self.arena.alloc_with_drop(value)
    }
}

// SAFETY: forwards to the arena, which keeps the laws; a block stays until `'s` ends, and the
// scope cannot outlive that.
unsafe impl<S: ChunkSource> Resource for ArenaScope<'_, S> {
    forward_resource!(self => self.arena);
}
