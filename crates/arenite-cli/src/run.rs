//! `arenite run`: a program on arenite's heap instead of the C library's, and what that changes.
//!
//! The dynamic loader loads `arenite-preload` before the C library. The program is neither changed
//! nor linked again.

mod args;
mod compare;
mod error;
mod library;
mod single;

pub(crate) use library::find_program;
pub(crate) use single::exit_code;

pub use args::RunArgs;
pub use error::RunError;

/// Runs the program and returns its exit code, or 1 if the outputs of a comparison differ.
///
/// # Errors
/// [`RunError`]. The program did not start, except for [`RunError::ExitCodesDiffer`] and
/// [`RunError::NoReport`].
pub fn run(args: &RunArgs) -> Result<u8, RunError> {
    if args.json.is_some() && !args.stats && !args.compare {
        return Err(RunError::NothingToWrite);
    }
    if args.compare { compare::run(args) } else { single::run(args) }
}
