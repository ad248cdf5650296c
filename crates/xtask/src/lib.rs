//! The test command of the workspace, and its source checks.
//!
//! A check is a function over names and texts, so that a test can show it fail on a small case.
//!
//! - Command: [`plan`] makes the steps, [`run`] runs them, [`test_output`] reads their output, and
//!   [`summary`] prints the table at the end.
//! - Crates: [`graph`] reads the dependencies, [`layers`] checks them, and [`dependencies`] checks
//!   the list of third-party crates.
//! - Files: [`sources`] checks length, opening and unsafe code, [`style`] the comments.
//!   [`imports`] and [`circles`] find files that import each other.
//! - Text: [`strip`] separates code from comments and literals.

pub mod circles;
pub mod dependencies;
pub mod graph;
pub mod imports;
pub mod layers;
pub mod plan;
pub mod run;
pub mod sources;
pub mod strip;
pub mod style;
pub mod summary;
pub mod test_output;
mod tokens;
