//! The trait of resources that recognise their own blocks.
//!
//! Few resources can do so from an address alone. Such a resource can come first in a chain of
//! resources, because every block finds its way back.
#![expect(unsafe_code, reason = "declares an unsafe contract")]

use crate::Resource;
use core::ptr::NonNull;

/// A resource that recognises its blocks by their address. Implemented for resources and boxes of
/// them, not for handles: other handles may use the same resource.
///
/// # Safety
/// `owns` is true for every live block of this resource, and false for every block of another.
pub unsafe trait Owns: Resource {
    /// Returns whether `block` belongs to this resource.
    fn owns(&self, block: NonNull<u8>) -> bool;
}
