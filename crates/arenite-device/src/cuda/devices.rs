//! The CUDA devices, read through the driver's function table.
//!
//! A failure of a basic call fails the whole reading. Attributes of newer drivers (managed memory,
//! host atomics) are false if the driver does not support them.

use super::driver_api::DriverApi;
use crate::error::ProbeError;
use crate::info::{CudaDetails, DeviceDetails, DeviceInfo, DeviceKind};

/// The values of `CUdevice_attribute` that are used here.
mod attribute {
    pub(super) const INTEGRATED: i32 = 18;
    pub(super) const COMPUTE_CAPABILITY_MAJOR: i32 = 75;
    pub(super) const COMPUTE_CAPABILITY_MINOR: i32 = 76;
    pub(super) const MANAGED_MEMORY: i32 = 83;
    pub(super) const HOST_NATIVE_ATOMIC_SUPPORTED: i32 = 86;
    pub(super) const PAGEABLE_MEMORY_ACCESS: i32 = 88;
    pub(super) const CONCURRENT_MANAGED_ACCESS: i32 = 89;
}

/// Initialises the driver and reads every device.
pub(crate) fn devices(driver: &DriverApi) -> Result<Vec<DeviceInfo>, ProbeError> {
    driver.init()?;
    let version = u32_or_error("cuDriverGetVersion", driver.driver_version()?)?;
    let count = driver.device_count()?;
    u32_or_error("cuDeviceGetCount", count)?;
    (0..count).map(|ordinal| device(driver, ordinal, (version / 1000, version % 1000 / 10))).collect()
}

fn device(driver: &DriverApi, ordinal: i32, driver_version: (u32, u32)) -> Result<DeviceInfo, ProbeError> {
    let handle = driver.device(ordinal)?;
    let number = |which| u32_or_error("cuDeviceGetAttribute", driver.attribute(handle, which)?);
    let flag = |which| driver.attribute(handle, which).is_ok_and(|value| value != 0);
    let details = CudaDetails {
        driver_version,
        compute_capability: (
            number(attribute::COMPUTE_CAPABILITY_MAJOR)?,
            number(attribute::COMPUTE_CAPABILITY_MINOR)?,
        ),
        managed_memory: flag(attribute::MANAGED_MEMORY),
        concurrent_managed: flag(attribute::CONCURRENT_MANAGED_ACCESS),
        pageable_access: flag(attribute::PAGEABLE_MEMORY_ACCESS),
        host_atomics: flag(attribute::HOST_NATIVE_ATOMIC_SUPPORTED),
    };
    let kind = if flag(attribute::INTEGRATED) { DeviceKind::Integrated } else { DeviceKind::Discrete };
    let index = usize::try_from(u32_or_error("cuDeviceGetCount", ordinal)?).unwrap_or(usize::MAX);
    let device_bytes = u64::try_from(driver.total_bytes(handle)?).unwrap_or(u64::MAX);
    Ok(DeviceInfo {
        index,
        name: driver.name(handle)?,
        kind,
        device_bytes,
        details: DeviceDetails::Cuda(details),
    })
}

fn u32_or_error(call: &'static str, value: i32) -> Result<u32, ProbeError> {
    u32::try_from(value).map_err(|_| ProbeError::Implausible { call, value: value.into() })
}

#[cfg(test)]
mod tests {
    use super::super::fake_driver;
    use super::*;

    #[test]
    fn r36_devices_reports_names_sizes_and_capabilities() {
        let found = devices(&fake_driver::two_devices()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].index, found[0].name.as_str()), (0, "Software Device 0"));
        assert_eq!((found[0].device_bytes, found[0].kind), (80 << 30, DeviceKind::Discrete));
        let DeviceDetails::Cuda(first) = &found[0].details else { panic!("not CUDA: {found:?}") };
        assert_eq!((first.driver_version, first.compute_capability), ((12, 4), (9, 0)));
        assert!(first.managed_memory && first.concurrent_managed && !first.host_atomics);
        assert!(!first.pageable_access, "the driver does not support the attribute");
        assert_eq!((found[1].index, found[1].kind), (1, DeviceKind::Integrated));
        assert_eq!(
            (found[1].name.len(), found[1].device_bytes),
            (255, 8 << 30),
            "a name that fills the buffer is truncated"
        );
    }

    #[test]
    fn r36_devices_fails_if_any_call_fails() {
        let no_device = devices(&fake_driver::failing_init()).unwrap_err();
        assert!(matches!(no_device, ProbeError::CallFailed { call: "cuInit", code: 100, .. }), "{no_device}");
        let lost = devices(&fake_driver::losing_its_device()).unwrap_err();
        assert!(
            matches!(lost, ProbeError::CallFailed { call: "cuDeviceTotalMem_v2", code: 999, .. }),
            "{lost}"
        );
    }

    #[test]
    fn r36_devices_accepts_zero_devices_and_rejects_a_negative_count() {
        assert_eq!(devices(&fake_driver::counting::<0>()), Ok(vec![]));
        let fewer = devices(&fake_driver::counting::<-3>()).unwrap_err();
        assert_eq!(fewer, ProbeError::Implausible { call: "cuDeviceGetCount", value: -3 });
    }
}
