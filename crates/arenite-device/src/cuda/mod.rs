//! The CUDA driver, called through a small table of function pointers.
//!
//! No toolkit is needed to build and no driver to start. The table is hand-written: it is small,
//! every missing entry point becomes a typed error, and a test can fill it with its own functions.
//!
//! - `driver_api.rs`: loads the table and calls through it.
//! - `error_code.rs`: the meaning of the driver's error codes.
//! - `devices.rs`: reads the devices.
//! - `fake_driver.rs`: a driver for tests.

mod devices;
mod driver_api;
mod error_code;
#[cfg(test)]
mod fake_driver;

pub(crate) use devices::devices;
pub(crate) use driver_api::driver;
