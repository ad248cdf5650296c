//! The CUDA driver's entry points, each looked up by name once and called through a safe method.
//!
//! Rests on `libloading` and on the declarations of `cuda.h`. A method of the table is safe because whoever makes a
//! table answers for its functions: [`Table::load`] for those of a driver, a test for its own.
#![expect(unsafe_code, reason = "loads the driver's library and calls its functions")]

use super::code::refused;
use crate::probe::ProbeError;
use libloading::Library;
use std::error::Error;
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::sync::OnceLock;

/// The driver's names, the one that belongs to the driver package first: `libcuda.so` may be a toolkit's stub. The last
/// is where WSL2 keeps it.
#[cfg(not(windows))]
const NAMES: [&str; 3] = ["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"];
#[cfg(windows)]
const NAMES: [&str; 1] = ["nvcuda.dll"];

const INSTALL: &str =
    "install the NVIDIA driver (in a container: start it with --gpus all), or go on without CUDA";
const UPDATE: &str = "this driver is too old or is no CUDA driver: update it, or look at LD_LIBRARY_PATH";

/// The driver's entry points. `CUdevice` and `CUdevice_attribute` are C `int`s, `CUresult` is an `int` that is 0 on
/// success. In [`Table::load`] the library is kept beside the functions that live in it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) init: unsafe extern "system" fn(c_uint) -> c_int,
    pub(super) driver_get_version: unsafe extern "system" fn(*mut c_int) -> c_int,
    pub(super) device_get_count: unsafe extern "system" fn(*mut c_int) -> c_int,
    pub(super) device_get: unsafe extern "system" fn(*mut c_int, c_int) -> c_int,
    pub(super) device_get_name: unsafe extern "system" fn(*mut c_char, c_int, c_int) -> c_int,
    pub(super) device_total_mem: unsafe extern "system" fn(*mut usize, c_int) -> c_int,
    pub(super) device_get_attribute: unsafe extern "system" fn(*mut c_int, c_int, c_int) -> c_int,
    #[expect(dead_code, reason = "held, not read: the functions above are its code")]
    pub(super) library: Option<Library>,
}

/// The driver of this machine. Once loaded it stays: its threads outlive every call, and unloading it under them is a
/// crash.
pub(crate) fn driver() -> Result<&'static Table, ProbeError> {
    static DRIVER: OnceLock<Table> = OnceLock::new();
    if let Some(driver) = DRIVER.get() {
        return Ok(driver);
    }
    // SAFETY: 1. each of `NAMES` is the CUDA driver wherever it exists: the names belong to it.
    let loaded = unsafe { Table::load(&NAMES) }?;
    Ok(DRIVER.get_or_init(|| loaded))
}

impl Table {
    /// Loads the first of `names` that loads.
    ///
    /// # Safety
    /// 1. Each name, where it exists, is a library that may be loaded at any time, and whose functions of the names below
    ///    are those of the CUDA driver.
    pub(super) unsafe fn load(names: &[&str]) -> Result<Self, ProbeError> {
        let mut reason: Option<String> = None;
        for &name in names {
            // SAFETY: 1. running the library's initialisers is sound, by the caller's promise.
            match unsafe { Library::new(name) } {
                // SAFETY: 1. the library is the CUDA driver, by the caller's promise.
                Ok(library) => return unsafe { Self::of(library, name) },
                Err(error) => reason = reason.or_else(|| Some(loaders_words(&error))),
            }
        }
        Err(ProbeError::LibraryMissing {
            tried: names.iter().map(|&name| name.to_owned()).collect(),
            reason: reason.unwrap_or_default(),
            advice: INSTALL,
        })
    }

    /// Looks up every entry point.
    ///
    /// # Safety
    /// 1. The functions of the names below are those of the CUDA driver.
    unsafe fn of(library: Library, name: &str) -> Result<Self, ProbeError> {
        macro_rules! entry {
            ($symbol:literal) => {{
                // SAFETY: 1. the symbol is the driver's function, by the caller's promise, and the field's type is its
                // declaration in `cuda.h`. 2. the copied pointer lives as long as the library, which the table keeps.
                let found = unsafe { library.get($symbol) };
                *found.map_err(|_| ProbeError::SymbolMissing {
                    library: name.to_owned(),
                    symbol: $symbol,
                    advice: UPDATE,
                })?
            }};
        }
        Ok(Self {
            init: entry!("cuInit"),
            driver_get_version: entry!("cuDriverGetVersion"),
            device_get_count: entry!("cuDeviceGetCount"),
            device_get: entry!("cuDeviceGet"),
            device_get_name: entry!("cuDeviceGetName"),
            device_total_mem: entry!("cuDeviceTotalMem_v2"),
            device_get_attribute: entry!("cuDeviceGetAttribute"),
            library: Some(library),
        })
    }

    /// Starts the driver; again is nothing.
    pub(super) fn init(&self) -> Result<(), ProbeError> {
        // SAFETY: 1. `cuInit` takes flags, which must be 0, and may be called at any time from any thread.
        let code = unsafe { (self.init)(0) };
        checked("cuInit", code)
    }

    /// The version of CUDA the driver speaks, 1000 * major + 10 * minor.
    pub(super) fn driver_version(&self) -> Result<i32, ProbeError> {
        let mut version = 0;
        // SAFETY: 1. `cuDriverGetVersion` writes one `int`, and `version` is one.
        let code = unsafe { (self.driver_get_version)(&raw mut version) };
        checked("cuDriverGetVersion", code).map(|()| version)
    }

    /// How many devices there are.
    pub(super) fn device_count(&self) -> Result<i32, ProbeError> {
        let mut count = 0;
        // SAFETY: 1. `cuDeviceGetCount` writes one `int`, and `count` is one.
        let code = unsafe { (self.device_get_count)(&raw mut count) };
        checked("cuDeviceGetCount", code).map(|()| count)
    }

    /// The handle of a device; the driver checks the ordinal.
    pub(super) fn device(&self, ordinal: i32) -> Result<i32, ProbeError> {
        let mut handle = 0;
        // SAFETY: 1. `cuDeviceGet` writes one `CUdevice`, an `int`, and `handle` is one.
        let code = unsafe { (self.device_get)(&raw mut handle, ordinal) };
        checked("cuDeviceGet", code).map(|()| handle)
    }

    /// The device's name; what is not UTF-8 is replaced.
    pub(super) fn name(&self, device: i32) -> Result<String, ProbeError> {
        const ROOM: usize = 256;
        let mut buffer = [0_u8; ROOM];
        let room = c_int::try_from(ROOM).unwrap_or(0);
        // SAFETY: 1. `cuDeviceGetName` writes at most `room` bytes, and `buffer` has as many.
        let code = unsafe { (self.device_get_name)(buffer.as_mut_ptr().cast(), room, device) };
        checked("cuDeviceGetName", code)?;
        buffer[ROOM - 1] = 0; // whatever the driver did
        let name = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    /// The device's memory in bytes.
    pub(super) fn total_bytes(&self, device: i32) -> Result<usize, ProbeError> {
        let mut bytes = 0;
        // SAFETY: 1. `cuDeviceTotalMem_v2` writes one `size_t`, and `bytes` is one.
        let code = unsafe { (self.device_total_mem)(&raw mut bytes, device) };
        checked("cuDeviceTotalMem_v2", code).map(|()| bytes)
    }

    /// One attribute of the device; the driver checks `attribute`.
    pub(super) fn attribute(&self, device: i32, attribute: i32) -> Result<i32, ProbeError> {
        let mut value = 0;
        // SAFETY: 1. `cuDeviceGetAttribute` writes one `int`, and `value` is one.
        let code = unsafe { (self.device_get_attribute)(&raw mut value, attribute, device) };
        checked("cuDeviceGetAttribute", code).map(|()| value)
    }
}

/// The dynamic loader's own words, which `libloading` keeps as the source of its error.
fn loaders_words(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn checked(call: &'static str, code: i32) -> Result<(), ProbeError> {
    if code == 0 { Ok(()) } else { Err(refused(call, code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_a_missing_library_is_named_with_what_to_do() {
        let names = ["libno-such-driver.so.1", "/nonexistent/libcuda.so"];
        // SAFETY: 1. neither name exists, so nothing is loaded.
        let error = unsafe { Table::load(&names) }.unwrap_err();
        let ProbeError::LibraryMissing { tried, reason, advice } = &error else { panic!("{error}") };
        assert_eq!((tried.as_slice(), *advice), (names.map(str::to_owned).as_slice(), INSTALL));
        assert!(reason.contains("libno-such-driver"), "the first name's reason: {reason}");
        let text = error.to_string();
        assert!(text.contains("or /nonexistent/libcuda.so") && text.ends_with(INSTALL), "{text}");
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn r36_a_library_that_is_no_driver_is_named_with_the_symbol() {
        // SAFETY: 1. the C library is loaded already, and has no function of these names, so none is called.
        let error = unsafe { Table::load(&["libc.so.6"]) }.unwrap_err();
        assert!(
            matches!(&error, ProbeError::SymbolMissing { library, symbol: "cuInit", .. } if library == "libc.so.6"),
            "{error}"
        );
    }
}
