//! The CUDA devices, read through the driver's table.
//!
//! Rests on [`Table`]; safe code, since the table's methods are. What every driver has must answer or the whole reading
//! fails; what newer drivers have (managed memory, host atomics) is false where the driver does not know it.

use super::table::Table;
use crate::probe::{CudaDetails, DeviceDetails, DeviceInfo, DeviceKind, ProbeError};

/// `CUdevice_attribute`, as far as asked.
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
pub(crate) fn devices(driver: &Table) -> Result<Vec<DeviceInfo>, ProbeError> {
    driver.init()?;
    let version = natural("cuDriverGetVersion", driver.driver_version()?)?;
    let count = driver.device_count()?;
    natural("cuDeviceGetCount", count)?;
    (0..count).map(|ordinal| device(driver, ordinal, (version / 1000, version % 1000 / 10))).collect()
}

fn device(driver: &Table, ordinal: i32, driver_version: (u32, u32)) -> Result<DeviceInfo, ProbeError> {
    let handle = driver.device(ordinal)?;
    let number = |which| natural("cuDeviceGetAttribute", driver.attribute(handle, which)?);
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
    let index = usize::try_from(natural("cuDeviceGetCount", ordinal)?).unwrap_or(usize::MAX);
    let device_bytes = u64::try_from(driver.total_bytes(handle)?).unwrap_or(u64::MAX);
    Ok(DeviceInfo {
        index,
        name: driver.name(handle)?,
        kind,
        device_bytes,
        details: DeviceDetails::Cuda(details),
    })
}

fn natural(call: &'static str, answer: i32) -> Result<u32, ProbeError> {
    u32::try_from(answer).map_err(|_| ProbeError::Implausible { call, answer: answer.into() })
}

#[cfg(test)]
mod tests {
    use super::super::software;
    use super::*;

    #[test]
    fn r36_names_sizes_and_capabilities_come_from_the_driver() {
        let found = devices(&software::two_devices()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].index, found[0].name.as_str()), (0, "Software Device 0"));
        assert_eq!((found[0].device_bytes, found[0].kind), (80 << 30, DeviceKind::Discrete));
        let DeviceDetails::Cuda(first) = &found[0].details else { panic!("not CUDA: {found:?}") };
        assert_eq!((first.driver_version, first.compute_capability), ((12, 4), (9, 0)));
        assert!(first.managed_memory && first.concurrent_managed && !first.host_atomics);
        assert!(!first.pageable_access, "the driver did not know the question");
        assert_eq!((found[1].index, found[1].kind), (1, DeviceKind::Integrated));
        assert_eq!(
            (found[1].name.len(), found[1].device_bytes),
            (255, 8 << 30),
            "a name that fills the buffer is cut"
        );
    }

    #[test]
    fn r36_a_refusal_of_any_call_is_the_answer() {
        let no_device = devices(&software::refusing_init()).unwrap_err();
        assert!(matches!(no_device, ProbeError::Refused { call: "cuInit", code: 100, .. }), "{no_device}");
        let lost = devices(&software::losing_its_device()).unwrap_err();
        assert!(matches!(lost, ProbeError::Refused { call: "cuDeviceTotalMem_v2", code: 999, .. }), "{lost}");
    }

    #[test]
    fn r36_no_devices_is_an_empty_list_and_fewer_is_implausible() {
        assert_eq!(devices(&software::counting::<0>()), Ok(vec![]));
        let fewer = devices(&software::counting::<-3>()).unwrap_err();
        assert_eq!(fewer, ProbeError::Implausible { call: "cuDeviceGetCount", answer: -3 });
    }
}
