//! Places a block can live: the devices of this machine, found at run time.
//!
//! Rests on the drivers' shared libraries, which are looked up when first asked for and never linked: the same program
//! runs where there is no GPU, and gets a typed answer that says what is missing. Calls into a driver live in `cuda` and
//! `vulkan` alone.
//!
//! In the order in which a program meets them: [`probe`] finds the devices; [`visibility`] says how memory is shared
//! with one.

mod cuda;
pub mod probe;
pub mod visibility;
mod vulkan;

pub use probe::{DeviceInfo, Probe, ProbeError, probe_cuda, probe_vulkan};
pub use visibility::MemoryVisibility;
