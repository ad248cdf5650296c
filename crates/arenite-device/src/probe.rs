//! The search for devices.
//!
//! A machine without a device is the normal case. A [`ProbeError`] names what was tried and what
//! to do about it, and a program without need for a GPU prints it and continues.

pub use crate::error::ProbeError;
pub use crate::info::{CudaDetails, DeviceDetails, DeviceHeap, DeviceInfo, DeviceKind, VulkanDetails};
use crate::{cuda, vulkan};

/// Finds the CUDA devices. The first call loads the driver, which stays loaded, and can take a
/// second while the driver wakes the devices. No context is created, so no device memory is used.
///
/// # Errors
/// [`ProbeError`] with the missing library or the failed call; a machine without a CUDA device is
/// [`ProbeError::CallFailed`] from `cuInit`.
///
/// ```
/// match arenite_device::probe_cuda() {
///     Ok(devices) => {
///         for device in devices {
///             println!("{}: {} bytes", device.name, device.device_bytes);
///         }
///     }
///     Err(error) => println!("no CUDA device: {error}"),
/// }
/// ```
pub fn probe_cuda() -> Result<Vec<DeviceInfo>, ProbeError> {
    cuda::devices(cuda::driver()?)
}

/// Finds the Vulkan devices, software devices included. The first call loads the loader, which
/// stays loaded; the instance is destroyed.
///
/// # Errors
/// [`ProbeError`] with the missing library or the failed call; a machine without a Vulkan driver
/// is [`ProbeError::CallFailed`] from `vkCreateInstance`.
///
/// ```
/// match arenite_device::probe_vulkan() {
///     Ok(devices) => println!("{} Vulkan devices", devices.len()),
///     Err(error) => println!("no Vulkan device: {error}"),
/// }
/// ```
pub fn probe_vulkan() -> Result<Vec<DeviceInfo>, ProbeError> {
    vulkan::devices(vulkan::loader()?)
}

/// The result of probing every driver of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The CUDA devices, or the reason why there are none.
    pub cuda: Result<Vec<DeviceInfo>, ProbeError>,
    /// The Vulkan devices, or the reason why there are none.
    pub vulkan: Result<Vec<DeviceInfo>, ProbeError>,
}

impl Probe {
    /// Probes every driver.
    ///
    /// ```
    /// let probe = arenite_device::Probe::run();
    /// println!("{} CUDA devices", probe.cuda.map_or(0, |devices| devices.len()));
    /// ```
    #[must_use]
    pub fn run() -> Self {
        Self { cuda: probe_cuda(), vulkan: probe_vulkan() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_probe_returns_devices_or_an_error_with_advice() {
        let probe = Probe::run();
        for (driver, result) in [("CUDA", &probe.cuda), ("Vulkan", &probe.vulkan)] {
            match result {
                Ok(devices) => {
                    println!("{driver}: run on the real driver: {devices:?}");
                    assert!(devices.iter().enumerate().all(|(at, device)| device.index == at));
                    assert!(devices.iter().all(|device| !device.name.is_empty() && device.device_bytes > 0));
                }
                Err(error) => {
                    println!("{driver}: not run on a device: {error}");
                    assert!(error.to_string().contains(';'), "advice follows a semicolon");
                }
            }
        }
    }

    #[test]
    fn r36_second_probe_returns_the_same_result() {
        assert_eq!(Probe::run(), Probe::run());
    }
}
