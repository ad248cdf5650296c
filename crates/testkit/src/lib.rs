//! What tests of memory share: the laws of a resource as checks, models, and doubles.
//!
//! Rests on `arenite-core` alone, so that every room can test with it. The laws stand here and not beside each resource,
//! because a law that every implementation checks for itself is a law that each of them reads in its own way.
//!
//! [`laws`] checks the numbered laws of [`Resource`](arenite_core::Resource) over any implementation, one line each by
//! [`resource_laws!`]; [`model`] runs random operations against a naive model; [`door`] does both for the checked door;
//! [`Lent`] is the set of blocks that they hold; [`doubles`] are resources that scribble and count; [`soundness`] shows what
//! safe code cannot do to an arena.

pub mod checked_api;
pub mod doubles;
pub mod laws;
mod live_blocks;
pub mod model;
pub mod soundness;

pub use live_blocks::Lent;
