//! The `arenite` command, as a library: each subcommand is a module with its arguments and a `run`.
//!
//! Rests on every room. The binary does no more than parse, call and turn an error into an exit code.

pub mod doctor;
pub mod rank;
pub mod report;
pub mod run;
pub mod squeeze;
pub mod train;
mod atomic_file;
