//! A short-lived Vulkan instance that reads the devices and their memory sizes.
//!
//! Only Vulkan 1.0 calls are used, so the oldest loader works. Every path destroys the instance.
//! The loader stays loaded: drivers leave threads behind, and unloading would remove their code.
#![expect(unsafe_code, reason = "calls the Vulkan loader")]

use crate::error::ProbeError;
use crate::info::{DeviceDetails, DeviceHeap, DeviceInfo, DeviceKind, VulkanDetails};
use ash::{Entry, Instance, LoadingError, vk};
use std::ffi::{CStr, OsStr};
use std::sync::OnceLock;

#[cfg(not(any(windows, target_os = "macos")))]
const LIBRARY: &str = "libvulkan.so.1";
#[cfg(windows)]
const LIBRARY: &str = "vulkan-1.dll";
#[cfg(target_os = "macos")]
const LIBRARY: &str = "libvulkan.dylib";

const INSTALL_ADVICE: &str = "install the Vulkan loader (Debian: libvulkan1), or continue without Vulkan";

/// Returns the Vulkan loader of this machine, loaded on first use.
pub(crate) fn loader() -> Result<&'static Entry, ProbeError> {
    static LOADER: OnceLock<Entry> = OnceLock::new();
    if let Some(loader) = LOADER.get() {
        return Ok(loader);
    }
    // SAFETY: 1. `LIBRARY` is the Vulkan loader wherever it exists: the name is reserved for it.
    let loaded = unsafe { load(OsStr::new(LIBRARY)) }?;
    Ok(LOADER.get_or_init(|| loaded))
}

/// Loads the Vulkan loader `name`.
///
/// # Safety
/// 1. If `name` exists, it is a Vulkan loader or a library without `vkGetInstanceProcAddr`, and
///    may be loaded at any time.
unsafe fn load(name: &OsStr) -> Result<Entry, ProbeError> {
    // SAFETY: 1. the library may be loaded and its functions are Vulkan's, by the caller's
    // promise. 2. the entry outlives everything made from it: `loader` never drops it.
    let loaded = unsafe { Entry::load_from(name) };
    let library = || name.to_string_lossy().into_owned();
    loaded.map_err(|error| match error {
        LoadingError::LibraryLoadFailure(why) => ProbeError::LibraryMissing {
            tried: vec![library()],
            reason: why.to_string(),
            advice: INSTALL_ADVICE,
        },
        LoadingError::MissingEntryPoint(_) => ProbeError::SymbolMissing {
            library: library(),
            symbol: "vkGetInstanceProcAddr",
            advice: INSTALL_ADVICE,
        },
    })
}

/// Creates an instance, reads every physical device, and destroys the instance.
pub(crate) fn devices(loader: &Entry) -> Result<Vec<DeviceInfo>, ProbeError> {
    let instance = OpenInstance::new(loader)?;
    // SAFETY: 1. the instance is valid: `OpenInstance` destroys it when dropped, after this
    // function.
    let handles = unsafe { instance.0.enumerate_physical_devices() };
    let handles = handles.map_err(|code| loader_error("vkEnumeratePhysicalDevices", code))?;
    Ok(handles.into_iter().enumerate().map(|(index, handle)| instance.device(index, handle)).collect())
}

/// An instance that is destroyed when dropped.
struct OpenInstance(Instance);

impl OpenInstance {
    fn new(loader: &Entry) -> Result<Self, ProbeError> {
        let application =
            vk::ApplicationInfo::default().application_name(c"arenite").api_version(vk::API_VERSION_1_0);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: 1. `create` is a valid structure whose pointers live through the call. 2. the
        // loader outlives the instance: it is borrowed from `loader()`, which never drops it, or
        // from a caller with the same guarantee.
        let instance = unsafe { loader.create_instance(&create, None) };
        instance.map(Self).map_err(|code| loader_error("vkCreateInstance", code))
    }

    fn device(&self, index: usize, handle: vk::PhysicalDevice) -> DeviceInfo {
        // SAFETY: 1. `handle` was enumerated from this instance, which is alive.
        let properties = unsafe { self.0.get_physical_device_properties(handle) };
        // SAFETY: 1. as above.
        let memory = unsafe { self.0.get_physical_device_memory_properties(handle) };
        describe(index, &properties, &memory)
    }
}

impl Drop for OpenInstance {
    fn drop(&mut self) {
        // SAFETY: 1. the instance is valid and has no other owner. 2. no child object is left:
        // physical devices are not created, and no logical device was. 3. it was created without
        // allocation callbacks.
        unsafe { self.0.destroy_instance(None) };
    }
}

fn describe(
    index: usize,
    properties: &vk::PhysicalDeviceProperties,
    memory: &vk::PhysicalDeviceMemoryProperties,
) -> DeviceInfo {
    let count = usize::try_from(memory.memory_heap_count).unwrap_or(usize::MAX);
    let heap = |heap: &vk::MemoryHeap| DeviceHeap {
        bytes: heap.size,
        device_local: heap.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL),
    };
    let heaps: Vec<_> = memory.memory_heaps.iter().take(count).map(heap).collect();
    let version = properties.api_version;
    let local = heaps.iter().filter(|heap| heap.device_local).map(|heap| heap.bytes);
    DeviceInfo {
        index,
        name: properties.device_name_as_c_str().map(CStr::to_string_lossy).unwrap_or_default().into_owned(),
        kind: kind(properties.device_type),
        device_bytes: local.fold(0, u64::saturating_add),
        details: DeviceDetails::Vulkan(VulkanDetails {
            api_version: (
                vk::api_version_major(version),
                vk::api_version_minor(version),
                vk::api_version_patch(version),
            ),
            heaps,
        }),
    }
}

fn kind(kind: vk::PhysicalDeviceType) -> DeviceKind {
    match kind {
        vk::PhysicalDeviceType::DISCRETE_GPU => DeviceKind::Discrete,
        vk::PhysicalDeviceType::INTEGRATED_GPU => DeviceKind::Integrated,
        vk::PhysicalDeviceType::VIRTUAL_GPU => DeviceKind::Virtual,
        vk::PhysicalDeviceType::CPU => DeviceKind::Cpu,
        _ => DeviceKind::Other,
    }
}

fn loader_error(call: &'static str, code: vk::Result) -> ProbeError {
    let (meaning, advice) = match code {
        vk::Result::ERROR_INCOMPATIBLE_DRIVER => {
            ("no Vulkan driver", "install one (Debian: mesa-vulkan-drivers, which includes a CPU driver)")
        }
        vk::Result::ERROR_OUT_OF_HOST_MEMORY => ("out of host memory", "free memory and try again"),
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => {
            ("out of device memory", "stop a program that uses the device")
        }
        vk::Result::ERROR_INITIALIZATION_FAILED => ("a driver did not start", "run vulkaninfo to find it"),
        vk::Result::ERROR_LAYER_NOT_PRESENT => ("a layer is missing", "check VK_INSTANCE_LAYERS"),
        _ => ("see VkResult in vulkan.h", "run vulkaninfo to find the driver"),
    };
    ProbeError::CallFailed { call, code: code.as_raw(), meaning, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_load_names_a_missing_loader_and_the_advice() {
        // SAFETY: 1. the name does not exist, so nothing is loaded.
        let error = unsafe { load(OsStr::new("/nonexistent/libvulkan.so.1")) }.err().unwrap();
        let ProbeError::LibraryMissing { tried, reason, advice } = &error else { panic!("{error}") };
        assert_eq!(
            (tried.as_slice(), *advice),
            (["/nonexistent/libvulkan.so.1".to_owned()].as_slice(), INSTALL_ADVICE)
        );
        assert!(reason.contains("nonexistent"), "{reason}");
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn r36_load_names_the_missing_symbol_of_another_library() {
        // SAFETY: 1. the C library is loaded already, and has no `vkGetInstanceProcAddr`.
        let error = unsafe { load(OsStr::new("libc.so.6")) }.err().unwrap();
        assert!(
            matches!(error, ProbeError::SymbolMissing { symbol: "vkGetInstanceProcAddr", .. }),
            "{error}"
        );
    }

    #[test]
    fn r36_describe_ignores_heaps_beyond_the_maximum() {
        let mut memory =
            vk::PhysicalDeviceMemoryProperties { memory_heap_count: u32::MAX, ..Default::default() };
        memory.memory_heaps[0] = vk::MemoryHeap { size: u64::MAX, flags: vk::MemoryHeapFlags::DEVICE_LOCAL };
        memory.memory_heaps[1] = vk::MemoryHeap { size: 5, flags: vk::MemoryHeapFlags::DEVICE_LOCAL };
        memory.memory_heaps[2] = vk::MemoryHeap { size: 7, flags: vk::MemoryHeapFlags::empty() };
        let mut properties = vk::PhysicalDeviceProperties {
            api_version: vk::make_api_version(0, 1, 3, 9),
            device_type: vk::PhysicalDeviceType::CPU,
            ..Default::default()
        };
        properties.device_name.fill(0x41); // not terminated
        let device = describe(4, &properties, &memory);
        assert_eq!((device.index, device.name.as_str(), device.kind), (4, "", DeviceKind::Cpu));
        assert_eq!(device.device_bytes, u64::MAX, "the sum does not wrap");
        let DeviceDetails::Vulkan(details) = device.details else { panic!("not Vulkan") };
        assert_eq!((details.api_version, details.heaps.len()), ((1, 3, 9), vk::MAX_MEMORY_HEAPS));
    }

    #[test]
    fn r36_missing_driver_error_names_the_package() {
        let error = loader_error("vkCreateInstance", vk::Result::ERROR_INCOMPATIBLE_DRIVER);
        assert!(error.to_string().contains("mesa-vulkan-drivers"), "{error}");
    }
}
