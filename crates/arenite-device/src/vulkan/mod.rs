//! The Vulkan loader, and the devices it finds.
//!
//! Rests on `ash`, which looks the loader up at run time. `ash` and not a table of our own, as for CUDA, because Vulkan's
//! structs are many and generated from its registry.
//!
//! [`loader`] loads it; [`devices`] makes an instance, reads through it and destroys it.

mod instance;

pub(crate) use instance::{devices, loader};
