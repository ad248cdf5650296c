//! Blocks of any size in one range, joined when they are freed.
//!
//! Rests on `Tlsf`, which finds a block that fits in constant time.

mod bounded_heap;
mod tlsf;

pub use bounded_heap::BoundedHeap;
pub(crate) use tlsf::Tlsf;
