//! The program's global allocator as a resource.
//!
//! [`Global`] is a zero-sized handle, so it costs a container nothing. Its counters are one
//! static, so they cover every block that the process allocated through a handle.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::CountedGlobal;
use crate::util::resource_macros::forward_resource;
use arenite_core::{AllocResult, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

static COUNTED: CountedGlobal = CountedGlobal::with_const_label(Label::new("global"));

/// Blocks of the program's global allocator (`malloc`, unless the program chose another). Shared
/// between threads.
///
/// `state()` counts what the whole process allocated through this handle. Each call costs the
/// global allocator's time and three relaxed atomic additions.
///
/// ```
/// use arenite_alloc::Global;
/// use arenite_core::{AllocError, Block};
/// let block = Block::zeroed_in(arenite_core::layout(4096, 64)?, Global)?;
/// assert_eq!(block.as_ptr().as_ptr() as usize % 64, 0);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

// SAFETY: forwards every call to one static resource, which keeps the laws.
unsafe impl Resource for Global {
    forward_resource!(self => COUNTED);
}

impl Trim for Global {
    /// Returns 0: the global allocator has no call to release memory.
    fn trim(&self, _target_held: usize) -> usize {
        0
    }
}
