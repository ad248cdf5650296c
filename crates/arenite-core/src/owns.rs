//! Owns: whose block is this?
//!
//! Rests on [`Resource`]. Few resources can tell from an address alone; those that can may stand first in a chain of
//! resources, because what is given back finds its way.
#![expect(unsafe_code, reason = "declares an unsafe contract")]

use crate::Resource;
use core::ptr::NonNull;

/// Tells its own blocks from others by their address. Implemented for resources and boxes of them, not for handles: behind a
/// handle, others may draw on the same resource.
///
/// # Safety
/// `owns` is true for every live block of this resource, and false for every block of another.
pub unsafe trait Owns: Resource {
    /// Whether `block` is one of this resource's.
    fn owns(&self, block: NonNull<u8>) -> bool;
}
