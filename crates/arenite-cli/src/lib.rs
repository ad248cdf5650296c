//! The `arenite` command as a library: each subcommand is a module with its arguments and a `run`.
//!
//! The binary parses the command line, calls `run` and turns an error into an exit code.
//!
//! - `train`, `run`, `squeeze`, `rank`, `doctor`: the subcommands
//! - `report`: the JSON and the page of `train`
//! - `format`: numbers and tables on the terminal
//! - `atomic_file`: files that are written completely or not at all
//! - `option_file`: the files that options name, and the target of `--json`
//! - `error_chain`: the text of an error and its sources
//! - `renamed`: old names of variables and options

mod atomic_file;
pub mod doctor;
mod error_chain;
mod format;
mod option_file;
pub mod rank;
mod renamed;
pub mod report;
pub mod run;
pub mod squeeze;
pub mod train;

pub use error_chain::error_chain;
pub use option_file::{FileAccess, FileError};
pub use renamed::{RenamedVariable, check_renamed_variables};
