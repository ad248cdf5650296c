//! Files as memory.
mod mapping;
pub(crate) use mapping::Mapping;
