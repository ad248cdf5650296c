//! The checked API (`MemoryAllocator`): any shared resource, with every deallocation verified.
//!
//! - `checked_resource`: [`Checked`] verifies each pointer before it calls its resource.
//! - `live_block_table`: the live blocks.
//! - `locked`: [`Locked`] shares a resource of one thread.
//! - `system_allocator`: [`SystemAllocator`], the global allocator.
//! - `thread_safe_allocator`: [`ThreadSafeAllocator`], any resource behind a lock.

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
