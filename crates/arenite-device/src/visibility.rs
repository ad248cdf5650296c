//! Visibility of memory writes between host and device.
//!
//! The visibility decides whether a program may share a flag in memory with a running kernel or
//! must copy; a wrong guess hangs. The source is the driver's attributes, or `/proc/version`
//! without a driver.

use crate::info::{DeviceDetails, DeviceInfo, DeviceKind};
use crate::probe::probe_cuda;

/// The visibility of memory writes between host and device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryVisibility {
    /// Both ways while a kernel runs, by atomics of system scope.
    SystemScope,
    /// Within the device while a kernel runs; between host and device after a synchronisation.
    DeviceScope,
    /// By explicit copies only.
    ExplicitDma,
}

impl MemoryVisibility {
    /// Returns the visibility of the first CUDA device. Without a device: system scope on Linux,
    /// device scope in WSL2, copies elsewhere.
    ///
    /// ```
    /// println!("{:?}", arenite_device::MemoryVisibility::detect());
    /// ```
    #[must_use]
    pub fn detect() -> Self {
        let devices = probe_cuda().unwrap_or_default();
        devices.first().map_or_else(|| Self::for_platform(cfg!(target_os = "linux"), is_wsl2()), Self::of)
    }

    /// Returns the visibility of a device. Vulkan promises nothing while a kernel runs: shared
    /// memory has device scope, other memory is copied.
    ///
    /// ```
    /// use arenite_device::{MemoryVisibility, probe_vulkan};
    /// for device in probe_vulkan().unwrap_or_default() {
    ///     assert_ne!(MemoryVisibility::of(&device), MemoryVisibility::SystemScope);
    /// }
    /// ```
    #[must_use]
    pub fn of(device: &DeviceInfo) -> Self {
        match &device.details {
            DeviceDetails::Cuda(cuda) if cuda.host_atomics || cuda.concurrent_managed => Self::SystemScope,
            DeviceDetails::Cuda(cuda) if cuda.managed_memory => Self::DeviceScope,
            DeviceDetails::Vulkan(_) if matches!(device.kind, DeviceKind::Integrated | DeviceKind::Cpu) => {
                Self::DeviceScope
            }
            _ => Self::ExplicitDma,
        }
    }

    fn for_platform(linux: bool, wsl2: bool) -> Self {
        match (linux, wsl2) {
            (true, false) => Self::SystemScope,
            (true, true) => Self::DeviceScope,
            (false, _) => Self::ExplicitDma,
        }
    }
}

/// Returns whether this process runs in WSL2 (Linux inside Windows).
///
/// ```
/// println!("{}", arenite_device::visibility::is_wsl2());
/// ```
#[must_use]
pub fn is_wsl2() -> bool {
    std::fs::read("/proc/version").is_ok_and(|bytes| is_wsl2_version(&String::from_utf8_lossy(&bytes)))
}

/// Returns whether a kernel version is that of WSL2. WSL1 has no Linux kernel and reports
/// `Microsoft`. The kernel of WSL2 reports `microsoft-standard-WSL2`, its first releases
/// `microsoft-standard`. A kernel built by the user usually retains the suffix `WSL2`.
fn is_wsl2_version(version: &str) -> bool {
    version.contains("microsoft-standard") || version.contains("WSL2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::{CudaDetails, VulkanDetails};

    fn cuda(managed_memory: bool, concurrent_managed: bool, host_atomics: bool) -> DeviceInfo {
        let (driver_version, compute_capability, pageable_access) = ((12, 4), (9, 0), false);
        let details = DeviceDetails::Cuda(CudaDetails {
            driver_version,
            compute_capability,
            managed_memory,
            concurrent_managed,
            pageable_access,
            host_atomics,
        });
        DeviceInfo { index: 0, name: "x".into(), kind: DeviceKind::Discrete, device_bytes: 1, details }
    }

    #[test]
    fn r36_visibility_follows_the_driver_attributes() {
        assert_eq!(MemoryVisibility::of(&cuda(true, true, false)), MemoryVisibility::SystemScope);
        assert_eq!(MemoryVisibility::of(&cuda(true, false, true)), MemoryVisibility::SystemScope);
        assert_eq!(MemoryVisibility::of(&cuda(true, false, false)), MemoryVisibility::DeviceScope);
        assert_eq!(MemoryVisibility::of(&cuda(false, false, false)), MemoryVisibility::ExplicitDma);
        let details = DeviceDetails::Vulkan(VulkanDetails { api_version: (1, 3, 0), heaps: vec![] });
        let shared = DeviceInfo { kind: DeviceKind::Integrated, details, ..cuda(false, false, false) };
        assert_eq!(MemoryVisibility::of(&shared), MemoryVisibility::DeviceScope);
        let apart = DeviceInfo { kind: DeviceKind::Discrete, ..shared };
        assert_eq!(MemoryVisibility::of(&apart), MemoryVisibility::ExplicitDma);
    }

    #[test]
    fn r36_fallback_reads_the_kernel_version() {
        assert!(is_wsl2_version("Linux version 5.15.90.1-microsoft-standard-WSL2 (oe-user@oe-host)"));
        assert!(is_wsl2_version("Linux version 4.19.84-microsoft-standard (gcc 8.3)"));
        assert!(!is_wsl2_version("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)"), "WSL1");
        assert!(!is_wsl2_version("Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)"));
        assert!(!is_wsl2_version(""));
        assert_eq!(MemoryVisibility::for_platform(true, false), MemoryVisibility::SystemScope);
        assert_eq!(MemoryVisibility::for_platform(true, true), MemoryVisibility::DeviceScope);
        assert_eq!(MemoryVisibility::for_platform(false, false), MemoryVisibility::ExplicitDma);
    }
}
