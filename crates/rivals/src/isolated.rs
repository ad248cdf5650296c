//! A suite run with one process per case.
//!
//! The program starts itself with [`CASE`] and reads JSON. A malloc keeps state from earlier
//! frees, so a case that follows others in one process would measure them too.

use crate::failure::Failure;
use crate::progress::Progress;
use crate::report::{Report, Row};
use crate::suites::Suite;
use std::process::{Command, Stdio};

/// The hidden option that runs one case, by index, and prints its rows as JSON.
pub const CASE: &str = "case";

/// Runs every case of `suite` in a child process of this program with `options`.
///
/// # Errors
/// The [`Failure`] of the first case that fails.
pub fn run_isolated(suite: &Suite, options: &[String], progress: &Progress) -> Result<Report, Failure> {
    let mut rows = Vec::new();
    for (index, case) in suite.cases().enumerate() {
        progress.case(case);
        rows.extend(
            run(suite, index, options).map_err(|cause| Failure::Process { case: case.to_owned(), cause })?,
        );
        progress.step();
    }
    Ok(suite.report(rows))
}

/// Returns the rows of one case, or the error text of its process.
fn run(suite: &Suite, index: usize, options: &[String]) -> Result<Vec<Row>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .arg(suite.name)
        .arg(format!("--{CASE}"))
        .arg(index.to_string())
        .args(options)
        .stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("no rows: {error}"))
}
