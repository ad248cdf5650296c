//! The words of arenite: what a memory resource is, what it promises, and how it answers when it cannot.
//!
//! Rests on nothing: no operating system, no dependency, `no_std` with `alloc`. Every other room speaks these words, so
//! they are few and change slowly.
//!
//! In the order in which bytes pass: a request has a size ([`Bytes`]) and an [`Alignment`]; a [`Resource`] serves it or
//! answers with an [`AllocError`] that carries the resource's [`ResourceState`] and [`Label`]; [`MemoryAllocator`] is the
//! checked door to the same blocks; a [`Block`] owns one; [`Event`]s tell a [`Sink`] what happened; [`Trim`] gives back when
//! [`PressureLevel`] rises.
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
pub use error::{AllocCause, AllocError};
pub use event::{Event, EventKind, NoSink, Sink};
pub use label::Label;
pub use memory_allocator::MemoryAllocator;
pub use owns::Owns;
pub use pressure::{MemoryPressure, PressureLevel};
pub use resource::{Resource, relocate};
pub use state::ResourceState;
pub use trim::Trim;
