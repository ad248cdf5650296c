//! The description of a device.

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A device with its own memory.
    Discrete,
    /// A device that shares the machine's memory.
    Integrated,
    /// A share of a device, assigned to a virtual machine.
    Virtual,
    /// The CPU, used as a device.
    Cpu,
    /// Any other device.
    Other,
}

/// A memory heap of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceHeap {
    /// Size in bytes.
    pub bytes: u64,
    /// Whether the heap is local to the device and not a part of the machine's memory.
    pub device_local: bool,
}

/// The details that the CUDA driver reports. A `bool` is false if the driver does not support the
/// attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CudaDetails {
    /// The CUDA version of the driver: major and minor.
    pub driver_version: (u32, u32),
    /// The compute capability: major and minor.
    pub compute_capability: (u32, u32),
    /// Whether managed memory exists.
    pub managed_memory: bool,
    /// Whether host and device may access managed memory at the same time.
    pub concurrent_managed: bool,
    /// Whether the device can access ordinary host allocations.
    pub pageable_access: bool,
    /// Whether the hardware supports atomics between host and device.
    pub host_atomics: bool,
}

/// The details that a Vulkan driver reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VulkanDetails {
    /// The Vulkan version of the device: major, minor, patch.
    pub api_version: (u32, u32, u32),
    /// The memory heaps.
    pub heaps: Vec<DeviceHeap>,
}

/// The details of one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceDetails {
    /// Details from the CUDA driver.
    Cuda(CudaDetails),
    /// Details from a Vulkan driver.
    Vulkan(VulkanDetails),
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The index in the driver's list, from 0.
    pub index: usize,
    /// The product name.
    pub name: String,
    /// The kind of the device.
    pub kind: DeviceKind,
    /// Bytes of device-local memory.
    pub device_bytes: u64,
    /// The driver's details.
    pub details: DeviceDetails,
}
