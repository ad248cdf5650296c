//! How host and device see each other's writes.
//!
//! Rests on the driver's own attributes, found by [`probe`](crate::probe), and where there is no driver on
//! `/proc/version`. It decides whether a program may share a flag in memory with a running kernel or must copy, and
//! guessing it wrong is a hang and not an error.

use crate::probe::{DeviceDetails, DeviceInfo, DeviceKind, probe_cuda};

/// How host and device see each other's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryVisibility {
    /// While a kernel runs, both ways, by atomics of system scope.
    SystemScope,
    /// Within the device while a kernel runs; between host and device after a synchronisation.
    DeviceScope,
    /// By explicit copies alone.
    ExplicitDma,
}

impl MemoryVisibility {
    /// Asks the driver about the first CUDA device; without one, answers what the platform allows: system scope on
    /// Linux, device scope on Linux inside WSL2, copies elsewhere.
    ///
    /// ```
    /// println!("{:?}", arenite_device::MemoryVisibility::detect());
    /// ```
    #[must_use]
    pub fn detect() -> Self {
        let devices = probe_cuda().unwrap_or_default();
        devices.first().map_or_else(|| Self::of_platform(cfg!(target_os = "linux"), is_wsl2()), Self::of)
    }

    /// What `device`'s driver says. Vulkan promises nothing while a kernel runs: memory that is shared is of device
    /// scope, all else is copied.
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

    fn of_platform(linux: bool, wsl2: bool) -> Self {
        match (linux, wsl2) {
            (true, false) => Self::SystemScope,
            (true, true) => Self::DeviceScope,
            (false, _) => Self::ExplicitDma,
        }
    }
}

/// Does this process run on Linux inside Windows (WSL2)?
///
/// ```
/// println!("{}", arenite_device::visibility::is_wsl2());
/// ```
#[must_use]
pub fn is_wsl2() -> bool {
    std::fs::read("/proc/version").is_ok_and(|bytes| names_wsl2(&String::from_utf8_lossy(&bytes)))
}

/// WSL1 has no Linux kernel and writes `Microsoft`, WSL2's own kernel writes `microsoft-standard-WSL2`, the first ones
/// `microsoft-standard` alone; a kernel that the user built mostly keeps the suffix `WSL2`.
fn names_wsl2(version: &str) -> bool {
    version.contains("microsoft-standard") || version.contains("WSL2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{CudaDetails, VulkanDetails};

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
    fn r36_visibility_follows_the_drivers_attributes() {
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
    fn r36_the_fallback_reads_the_kernels_name() {
        assert!(names_wsl2("Linux version 5.15.90.1-microsoft-standard-WSL2 (oe-user@oe-host)"));
        assert!(names_wsl2("Linux version 4.19.84-microsoft-standard (gcc 8.3)"));
        assert!(!names_wsl2("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)"), "WSL1");
        assert!(!names_wsl2("Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)"));
        assert!(!names_wsl2(""));
        assert_eq!(MemoryVisibility::of_platform(true, false), MemoryVisibility::SystemScope);
        assert_eq!(MemoryVisibility::of_platform(true, true), MemoryVisibility::DeviceScope);
        assert_eq!(MemoryVisibility::of_platform(false, false), MemoryVisibility::ExplicitDma);
    }
}
