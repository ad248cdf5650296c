//! The one test command, and the rules of the house.
//!
//! Rests on `cargo` alone, asked for its metadata and run as a program. The rules are functions over names and texts, so
//! that each is shown to fail on a made-up case before it is trusted with the real one.
//!
//! The command: [`plan`] says what is run, [`run`] runs it and reads along ([`reading`]), [`summary`] tells what came of
//! it. The rules: [`graph`] reads the crates and what each uses, [`layers`] says who may use whom, [`sources`] what a file
//! must look like, [`dependencies`] that every third-party crate has its reason.

pub mod baseline;
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
