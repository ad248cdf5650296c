//! Arenas: blocks that are freed all at once.
//!
//! - `chunk_source`: [`ChunkSource`], the source of memory; `reserved_range` is one range,
//!   `chunked` takes chunks of an upstream.
//! - `local`: [`Arena`] bumps through the memory and counts.
//! - `marks`, `scope`: [`Mark`]s and [`ArenaScope`]s free back to a position.
//! - `typed`, `arena_box`: values in an arena; [`ArenaBox`] owns one.
//! - `adopted`: values that the arena drops.
//! - `options`: [`ArenaOptions`], the builder.
//! - `shared_cursor`, `shared`: [`SharedArena`], which threads share without a lock.
//! - `shared_chunked`: [`SharedChunkedArena`], which threads share through a lock.
//! - `arena_allocator`: [`ArenaAllocator`], an arena with the checked API.

mod adopted;
mod arena_allocator;
mod arena_box;
mod chunk_source;
mod chunked;
mod local;
mod marks;
mod options;
mod reserved_range;
mod scope;
mod shared;
mod shared_chunked;
mod shared_cursor;
mod typed;

pub use arena_allocator::ArenaAllocator;
pub use arena_box::ArenaBox;
pub use chunk_source::{BumpRange, Chunk, ChunkSource};
pub use chunked::Chunked;
pub use local::Arena;
pub use marks::{Mark, RestoreError};
pub use options::ArenaOptions;
pub use reserved_range::{HugePages, ReservedRange};
pub use scope::{ArenaScope, ScopeGuard};
pub use shared::SharedArena;
pub use shared_chunked::SharedChunkedArena;
