//! The GPU devices of this machine, found at run time.
//!
//! The drivers' shared libraries are loaded on first use and never linked. The same program runs
//! without a GPU and gets a typed error that names what is missing. Driver calls live in `cuda`
//! and `vulkan` only.
//!
//! - [`probe`]: finds the devices.
//! - [`visibility`]: how host and device see each other's writes.

mod cuda;
mod error;
mod info;
pub mod probe;
pub mod visibility;
mod vulkan;

pub use error::ProbeError;
pub use info::DeviceInfo;
pub use probe::{Probe, probe_cuda, probe_vulkan};
pub use visibility::MemoryVisibility;
