//! Readers of the kernel's text files in `/proc` and `/sys`.
//!
//! - `fixed_path`: a path of fixed capacity.
//! - `sys_root`: the directory that stands for `/`, and the files below it.
//! - `line_reader`: lines of a file of any length.
//! - `parse`: formats that several files share.
//! - `maps`: the mappings of this process.
//! - `cgroup_mount`: the control group of this process, and its mount.
//!
//! Memory pressure is read when memory is short, so the readers need no allocation for short
//! files.

pub(super) mod cgroup_mount;
pub(super) mod fixed_path;
mod line_reader;
pub(crate) mod maps;
pub(super) mod parse;
pub(super) mod sys_root;
