//! A Vulkan instance for the length of one question: which devices, how large their memory.
//!
//! Rests on `ash`. Only what Vulkan 1.0 has is asked, so that the oldest loader can answer; the instance is destroyed on
//! every way out, and the loader stays loaded, since drivers leave threads behind that unloading would pull the code from.
#![expect(unsafe_code, reason = "calls the Vulkan loader")]

use crate::probe::{DeviceDetails, DeviceHeap, DeviceInfo, DeviceKind, ProbeError, VulkanDetails};
use ash::{Entry, Instance, LoadingError, vk};
use std::ffi::{CStr, OsStr};
use std::sync::OnceLock;

#[cfg(not(any(windows, target_os = "macos")))]
const NAME: &str = "libvulkan.so.1";
#[cfg(windows)]
const NAME: &str = "vulkan-1.dll";
#[cfg(target_os = "macos")]
const NAME: &str = "libvulkan.dylib";

const INSTALL: &str = "install the Vulkan loader (Debian: libvulkan1), or go on without Vulkan";

/// The Vulkan loader of this machine.
pub(crate) fn loader() -> Result<&'static Entry, ProbeError> {
    static LOADER: OnceLock<Entry> = OnceLock::new();
    if let Some(loader) = LOADER.get() {
        return Ok(loader);
    }
    // SAFETY: 1. `NAME` is the Vulkan loader wherever it exists: the name belongs to it.
    let loaded = unsafe { load(OsStr::new(NAME)) }?;
    Ok(LOADER.get_or_init(|| loaded))
}

/// Loads the Vulkan loader `name`.
///
/// # Safety
/// 1. `name`, where it exists, is a Vulkan loader or a library without `vkGetInstanceProcAddr`, and may be loaded at any
///    time.
unsafe fn load(name: &OsStr) -> Result<Entry, ProbeError> {
    // SAFETY: 1. the library may be loaded and its functions are Vulkan's, by the caller's promise. 2. the entry is kept
    // as long as anything made from it: `loader` never lets go of it.
    let loaded = unsafe { Entry::load_from(name) };
    let library = || name.to_string_lossy().into_owned();
    loaded.map_err(|error| match error {
        LoadingError::LibraryLoadFailure(why) => {
            ProbeError::LibraryMissing { tried: vec![library()], reason: why.to_string(), advice: INSTALL }
        }
        LoadingError::MissingEntryPoint(_) => {
            ProbeError::SymbolMissing { library: library(), symbol: "vkGetInstanceProcAddr", advice: INSTALL }
        }
    })
}

/// Makes an instance, reads every physical device, destroys the instance.
pub(crate) fn devices(loader: &Entry) -> Result<Vec<DeviceInfo>, ProbeError> {
    let instance = OpenInstance::new(loader)?;
    // SAFETY: 1. the instance is valid: `OpenInstance` destroys it when dropped, after this function.
    let handles = unsafe { instance.0.enumerate_physical_devices() };
    let handles = handles.map_err(|code| refused("vkEnumeratePhysicalDevices", code))?;
    Ok(handles.into_iter().enumerate().map(|(index, handle)| instance.device(index, handle)).collect())
}

/// An instance that is destroyed when dropped.
struct OpenInstance(Instance);

impl OpenInstance {
    fn new(loader: &Entry) -> Result<Self, ProbeError> {
        let application =
            vk::ApplicationInfo::default().application_name(c"arenite").api_version(vk::API_VERSION_1_0);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: 1. `create` is a valid structure whose pointers live through the call. 2. the loader outlives the
        // instance: it is borrowed from `loader()`, which keeps it for ever, or from a caller who does.
        let made = unsafe { loader.create_instance(&create, None) };
        made.map(Self).map_err(|code| refused("vkCreateInstance", code))
    }

    fn device(&self, index: usize, handle: vk::PhysicalDevice) -> DeviceInfo {
        // SAFETY: 1. `handle` was enumerated from this instance, which is alive.
        let properties = unsafe { self.0.get_physical_device_properties(handle) };
        // SAFETY: 1. as above.
        let memory = unsafe { self.0.get_physical_device_memory_properties(handle) };
        described(index, &properties, &memory)
    }
}

impl Drop for OpenInstance {
    fn drop(&mut self) {
        // SAFETY: 1. the instance is valid and nobody else holds it. 2. nothing made from it is left: physical devices are
        // not made, and no logical device was. 3. it was made without allocation callbacks.
        unsafe { self.0.destroy_instance(None) };
    }
}

fn described(
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

fn refused(call: &'static str, code: vk::Result) -> ProbeError {
    let (meaning, advice) = match code {
        vk::Result::ERROR_INCOMPATIBLE_DRIVER => (
            "no Vulkan driver",
            "install one (Debian: mesa-vulkan-drivers, which has one for the processor too)",
        ),
        vk::Result::ERROR_OUT_OF_HOST_MEMORY => ("out of host memory", "free memory and try again"),
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => {
            ("out of device memory", "end a program that uses the device")
        }
        vk::Result::ERROR_INITIALIZATION_FAILED => ("a driver did not start", "run vulkaninfo to see which"),
        vk::Result::ERROR_LAYER_NOT_PRESENT => ("a layer is missing", "look at VK_INSTANCE_LAYERS"),
        _ => ("see VkResult in vulkan.h", "run vulkaninfo to see which driver"),
    };
    ProbeError::Refused { call, code: code.as_raw(), meaning, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_a_missing_loader_is_named_with_what_to_do() {
        // SAFETY: 1. the name does not exist, so nothing is loaded.
        let error = unsafe { load(OsStr::new("/nonexistent/libvulkan.so.1")) }.err().unwrap();
        let ProbeError::LibraryMissing { tried, reason, advice } = &error else { panic!("{error}") };
        assert_eq!(
            (tried.as_slice(), *advice),
            (["/nonexistent/libvulkan.so.1".to_owned()].as_slice(), INSTALL)
        );
        assert!(reason.contains("nonexistent"), "{reason}");
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn r36_a_library_that_is_no_loader_is_named_with_the_symbol() {
        // SAFETY: 1. the C library is loaded already, and has no `vkGetInstanceProcAddr`.
        let error = unsafe { load(OsStr::new("libc.so.6")) }.err().unwrap();
        assert!(
            matches!(error, ProbeError::SymbolMissing { symbol: "vkGetInstanceProcAddr", .. }),
            "{error}"
        );
    }

    #[test]
    fn r36_heaps_beyond_what_a_driver_can_have_are_left_out() {
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
        properties.device_name.fill(0x41); // never closed
        let device = described(4, &properties, &memory);
        assert_eq!((device.index, device.name.as_str(), device.kind), (4, "", DeviceKind::Cpu));
        assert_eq!(device.device_bytes, u64::MAX, "the sum does not wrap");
        let DeviceDetails::Vulkan(details) = device.details else { panic!("not Vulkan") };
        assert_eq!((details.api_version, details.heaps.len()), ((1, 3, 9), vk::MAX_MEMORY_HEAPS));
    }

    #[test]
    fn r36_no_driver_says_which_package_has_one() {
        let error = refused("vkCreateInstance", vk::Result::ERROR_INCOMPATIBLE_DRIVER);
        assert!(error.to_string().contains("mesa-vulkan-drivers"), "{error}");
    }
}
