//! The part of a heap that one thread uses without a lock.
//!
//! - `tls`: the heap that a thread used last, and its thread heap: two words of thread-local
//!   storage
//! - `registry`: the thread heaps of a thread, live heaps, thread exit and fork
//! - `heap_table`: the table of a thread's thread heaps
//! - `thread_heap`: allocation and deallocation of small blocks
//! - `thread_cache`: blocks that this thread freed recently, by class
//! - `remote_cache`: frees of other threads' blocks that are not posted yet
//! - `dealloc_remote`: the path of such a free
//! - `full_scan`: how often full slabs are scanned for remote frees

pub(crate) mod dealloc_remote;
pub(crate) mod full_scan;
pub(crate) mod heap_table;
pub(crate) mod registry;
pub(crate) mod remote_cache;
pub(crate) mod thread_cache;
pub(crate) mod thread_heap;
pub(crate) mod tls;
