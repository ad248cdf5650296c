//! The `arenite` command.
fn main() {}
