//! Methods of `Resource` that many implementations have in common.
//!
//! The macros name the types of `arenite_core` and `core` that each implementation imports anyway.

/// Implements the methods of `Resource` by forwarding each to `$target`.
macro_rules! forward_resource {
    ($this:ident => $target:expr) => {
        #[inline]
        fn allocate(&$this, layout: Layout) -> AllocResult {
            $target.allocate(layout)
        }

        #[inline]
        fn allocate_zeroed(&$this, layout: Layout) -> AllocResult {
            $target.allocate_zeroed(layout)
        }

        #[inline]
        unsafe fn deallocate(&$this, block: NonNull<u8>, layout: Layout) {
            // SAFETY: the caller's guarantees hold for the forwarded call.
            unsafe { $target.deallocate(block, layout) }
        }

        #[inline]
        unsafe fn grow(&$this, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
            // SAFETY: the caller's guarantees hold for the forwarded call.
            unsafe { $target.grow(block, old, new) }
        }

        #[inline]
        unsafe fn shrink(&$this, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
            // SAFETY: the caller's guarantees hold for the forwarded call.
            unsafe { $target.shrink(block, old, new) }
        }

        fn state(&$this) -> ResourceState {
            $target.state()
        }
    };
}
pub(crate) use forward_resource;

/// Implements `Resource::grow` and `Resource::shrink` by one function that does both.
macro_rules! grow_and_shrink_by {
    ($resize:path) => {
        #[inline]
        unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
            // SAFETY: the caller's guarantees hold for the forwarded call.
            unsafe { $resize(self, block, old, new) }
        }

        #[inline]
        unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
            // SAFETY: the caller's guarantees hold for the forwarded call.
            unsafe { $resize(self, block, old, new) }
        }
    };
}
pub(crate) use grow_and_shrink_by;
