//! The checked checked: any shared resource, safe to give back to.
//!
//! A [`LiveBlockTable`](live_block_table) knows the live blocks; [`Checked`] asks it before it asks its resource; [`SystemAllocator`] and
//! [`ThreadSafeAllocator`] are the two that documents name.

mod checked_resource;
mod live_block_table;
mod locked;
mod system_allocator;
mod thread_safe_allocator;

pub use checked_resource::Checked;
pub(crate) use checked_resource::impl_memory_allocator;
pub use locked::Locked;
pub use system_allocator::SystemAllocator;
pub use thread_safe_allocator::ThreadSafeAllocator;
