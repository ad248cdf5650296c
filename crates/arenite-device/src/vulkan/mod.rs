//! The Vulkan loader and its devices.
//!
//! The crate `ash` loads the loader at run time. Vulkan's structs are many and generated, so there
//! is no hand-written table as for CUDA.
//!
//! - `loader` loads the library.
//! - `devices` creates an instance, reads the devices and destroys the instance.

mod instance;

pub(crate) use instance::{devices, loader};
