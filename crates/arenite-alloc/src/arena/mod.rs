//! Arenas: blocks that are freed all at once.
//!
//! In the order in which bytes pass: a [`ChunkSource`] gives ranges (one [`ReservedRange`] range, or [`Chunked`] from an upstream); an
//! [`Arena`] bumps through them and counts; [`Mark`]s and [`ArenaScope`]s free back to a position; [`ArenaBox`] owns a
//! value in it; [`SharedArena`] and [`SharedChunkedArena`] are the twins for threads; [`ArenaAllocator`] is the checked door.

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
