//! The traits and types that every arenite crate shares: resources, errors, labels, events.
//!
//! The crate is `no_std` with `alloc` and has no dependency. In the order of a request:
//!
//! - [`Bytes`] and [`Alignment`]: the requested size and alignment.
//! - [`Resource`]: the unchecked API, with nine numbered laws.
//! - [`MemoryAllocator`]: the checked API of the same blocks.
//! - [`AllocError`]: a failed request, with the resource's [`ResourceState`] and [`Label`].
//! - [`Block`]: the owner of one block.
//! - [`Event`] and [`Sink`]: what happened to a block.
//! - [`Trim`] and [`PressureLevel`]: memory released when it is short.
#![no_std]

extern crate alloc;

mod alignment;
mod block;
mod bytes;
mod error;
mod event;
mod label;
mod memory_allocator;
mod owns;
mod pressure;
mod resource;
mod resource_ref;
mod state;
mod trim;

pub use alignment::{Alignment, AlignmentError};
pub use block::Block;
pub use bytes::{Bytes, ParseBytesError};
pub use error::{AllocError, AllocErrorKind, layout};
pub use event::{Event, EventKind, NoSink, Sink};
pub use label::Label;
pub use memory_allocator::MemoryAllocator;
pub use owns::Owns;
pub use pressure::{MemoryPressure, PressureLevel};
pub use resource::{AllocResult, Resource, realloc_by_copy};
pub use state::ResourceState;
pub use trim::Trim;
