//! Which devices this machine has, and why not, where it has none.
//!
//! Rests on the CUDA driver and on the Vulkan loader, each looked up at run time. Absence is the ordinary case, so it is
//! an answer and not a failure: a [`ProbeError`] names what was tried and what to do about it, and a program that never
//! wanted a GPU prints it and goes on.

use crate::{cuda, vulkan};
use thiserror::Error;

/// Why no device was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The driver's shared library is not there, or does not load.
    #[error("cannot load {}: {reason}; {advice}", tried.join(" or "))]
    LibraryMissing {
        /// The names that were tried, in order.
        tried: Vec<String>,
        /// What the dynamic loader said of the first.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// The library is there but lacks an entry point.
    #[error("{library} has no {symbol}; {advice}")]
    SymbolMissing {
        /// The library.
        library: String,
        /// The entry point.
        symbol: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The driver refused a call.
    #[error("{call} answered {code}: {meaning}; {advice}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The driver's code.
        code: i32,
        /// What the code means.
        meaning: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The driver answered what cannot be.
    #[error("{call} answered {answer}, which cannot be; reinstall or update the driver")]
    Implausible {
        /// The call.
        call: &'static str,
        /// The answer.
        answer: i64,
    },
}

/// What sort of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceKind {
    /// With memory of its own.
    Discrete,
    /// Shares the machine's memory.
    Integrated,
    /// A share of a device, lent to a virtual machine.
    Virtual,
    /// The processor, playing a device.
    Cpu,
    /// None of these.
    Other,
}

/// A memory heap of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceHeap {
    /// Size in bytes.
    pub bytes: u64,
    /// Near the device, as opposed to the machine's memory it can also reach.
    pub device_local: bool,
}

/// What the CUDA driver says of a device. A `bool` is false where the driver does not know the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CudaDetails {
    /// Version of CUDA the driver speaks, major and minor.
    pub driver_version: (u32, u32),
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Managed memory exists.
    pub managed_memory: bool,
    /// Host and device may touch managed memory at the same time.
    pub concurrent_managed: bool,
    /// The device can reach memory that the host allocated as it pleased.
    pub pageable_access: bool,
    /// Atomics between host and device are done by hardware.
    pub host_atomics: bool,
}

/// What the Vulkan driver says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VulkanDetails {
    /// Version of Vulkan the device speaks: major, minor, patch.
    pub api_version: (u32, u32, u32),
    /// Its memory heaps.
    pub heaps: Vec<DeviceHeap>,
}

/// What one driver alone says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceDetails {
    /// The CUDA driver.
    Cuda(CudaDetails),
    /// A Vulkan driver.
    Vulkan(VulkanDetails),
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// Its place in the driver's list, from 0.
    pub index: usize,
    /// The maker's name.
    pub name: String,
    /// What sort of device it is.
    pub kind: DeviceKind,
    /// Bytes of memory near it.
    pub device_bytes: u64,
    /// What its driver alone says.
    pub details: DeviceDetails,
}

/// Finds the CUDA devices. The driver is loaded by the first call and stays loaded; no context is made, so no device
/// memory is taken. The first call can take a second while the driver wakes the devices.
///
/// # Errors
/// [`ProbeError`], which says what is missing or what the driver refused; a machine without a CUDA device is
/// [`ProbeError::Refused`] by `cuInit`.
///
/// ```
/// match arenite_device::probe_cuda() {
///     Ok(devices) => devices.iter().for_each(|device| println!("{}: {} bytes", device.name, device.device_bytes)),
///     Err(why) => println!("no CUDA device: {why}"),
/// }
/// ```
pub fn probe_cuda() -> Result<Vec<DeviceInfo>, ProbeError> {
    cuda::devices(cuda::driver()?)
}

/// Finds the Vulkan devices, software ones included. The loader is loaded by the first call and stays loaded; the
/// instance made for the question is destroyed.
///
/// # Errors
/// [`ProbeError`], which says what is missing or what the loader refused; no driver at all is [`ProbeError::Refused`] by
/// `vkCreateInstance`.
///
/// ```
/// match arenite_device::probe_vulkan() {
///     Ok(devices) => devices.iter().for_each(|device| println!("{}: {:?}", device.name, device.kind)),
///     Err(why) => println!("no Vulkan device: {why}"),
/// }
/// ```
pub fn probe_vulkan() -> Result<Vec<DeviceInfo>, ProbeError> {
    vulkan::devices(vulkan::loader()?)
}

/// What every driver of this machine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The CUDA devices, or why there is none.
    pub cuda: Result<Vec<DeviceInfo>, ProbeError>,
    /// The Vulkan devices, or why there is none.
    pub vulkan: Result<Vec<DeviceInfo>, ProbeError>,
}

impl Probe {
    /// Asks all of them.
    ///
    /// ```
    /// let probe = arenite_device::Probe::run();
    /// println!("CUDA: {}", probe.cuda.map_or_else(|why| why.to_string(), |devices| devices.len().to_string()));
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
    fn r36_real_probe_answers_devices_or_a_reason_that_says_what_to_do() {
        let probe = Probe::run();
        for (driver, answer) in [("CUDA", &probe.cuda), ("Vulkan", &probe.vulkan)] {
            match answer {
                Ok(devices) => {
                    println!("{driver}: run on the real driver: {devices:?}");
                    assert!(devices.iter().enumerate().all(|(at, device)| device.index == at));
                    assert!(devices.iter().all(|device| !device.name.is_empty() && device.device_bytes > 0));
                }
                Err(why) => {
                    println!("{driver}: not run on a device: {why}");
                    assert!(why.to_string().contains(';'), "advice follows a semicolon");
                }
            }
        }
    }

    #[test]
    fn r36_a_second_probe_answers_as_the_first() {
        assert_eq!(Probe::run(), Probe::run());
    }
}
