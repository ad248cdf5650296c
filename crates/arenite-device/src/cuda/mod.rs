//! The CUDA driver, spoken to through a table of our own.
//!
//! Rests on `libloading`: no toolkit is needed to build and no driver to start. The table is ours because it is small,
//! because every missing entry point becomes a typed error, and because a test can fill it with functions of its own.
//!
//! [`driver`] loads the table; [`devices`] reads through it; `code` says what the driver's numbers mean.

mod error_code;
mod devices;
#[cfg(test)]
mod fake_driver;
mod driver_api;

pub(crate) use devices::devices;
pub(crate) use driver_api::driver;
