//! The checked door: any shared resource, safe to give back to.
//!
//! A [`Ledger`](live_block_table) knows the live blocks; [`Checked`] asks it before it asks its resource; [`SystemAllocator`] and
//! [`ThreadSafeAllocator`] are the two that documents name.

mod checked_resource;
mod live_block_table;
mod locked;
mod system_allocator;
mod thread_safe_allocator;

pub use checked_resource::Checked;
pub(crate) use checked_resource::through_the_door;
pub use locked::Locked;
pub use system_allocator::{System, SystemAllocator};
pub use thread_safe_allocator::ThreadSafeAllocator;
