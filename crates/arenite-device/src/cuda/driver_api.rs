//! The CUDA driver's entry points, looked up by name once and called through safe methods.
//!
//! The declarations are those of `cuda.h`. A method is safe because the creator of a table
//! guarantees its functions: [`DriverApi::load`] for a driver, a test for its own.
#![expect(unsafe_code, reason = "loads the driver's library and calls its functions")]

use super::error_code::driver_error;
use crate::error::ProbeError;
use libloading::Library;
use std::error::Error;
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::sync::OnceLock;

/// The driver's library names. The name of the driver package comes first: `libcuda.so` may be a
/// toolkit's stub. The last one is the location in WSL2.
#[cfg(not(windows))]
const LIBRARIES: [&str; 3] = ["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"];
#[cfg(windows)]
const LIBRARIES: [&str; 1] = ["nvcuda.dll"];

const INSTALL_ADVICE: &str =
    "install the NVIDIA driver (in a container: start it with --gpus all), or continue without CUDA";
const UPDATE_ADVICE: &str =
    "the library is too old or not a CUDA driver: update it, or check LD_LIBRARY_PATH";

/// The driver's entry points. `CUdevice` and `CUdevice_attribute` are C `int`s; `CUresult` is an
/// `int` that is 0 on success. The table of [`DriverApi::load`] also holds the library of its
/// functions.
#[derive(Debug)]
pub(crate) struct DriverApi {
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

/// Returns the driver of this machine, loaded on first use. The driver stays loaded: its threads
/// outlive every call, and unloading would remove their code.
pub(crate) fn driver() -> Result<&'static DriverApi, ProbeError> {
    static DRIVER: OnceLock<DriverApi> = OnceLock::new();
    if let Some(driver) = DRIVER.get() {
        return Ok(driver);
    }
    // SAFETY: 1. each of `LIBRARIES` is the CUDA driver wherever it exists: the names are reserved
    // for it.
    let loaded = unsafe { DriverApi::load(&LIBRARIES) }?;
    Ok(DRIVER.get_or_init(|| loaded))
}

impl DriverApi {
    /// Loads the first of `names` that loads.
    ///
    /// # Safety
    /// 1. Each name that exists is a library that may be loaded at any time, and whose functions of
    ///    the names below are those of the CUDA driver.
    pub(super) unsafe fn load(names: &[&str]) -> Result<Self, ProbeError> {
        let mut reason: Option<String> = None;
        for &name in names {
            // SAFETY: 1. running the library's initialisers is sound, by the caller's promise.
            match unsafe { Library::new(name) } {
                // SAFETY: 1. the library is the CUDA driver, by the caller's promise.
                Ok(library) => return unsafe { Self::from_library(library, name) },
                Err(error) => reason = reason.or_else(|| Some(dlerror_text(&error))),
            }
        }
        Err(ProbeError::LibraryMissing {
            tried: names.iter().map(|&name| name.to_owned()).collect(),
            reason: reason.unwrap_or_default(),
            advice: INSTALL_ADVICE,
        })
    }

    /// Looks up every entry point.
    ///
    /// # Safety
    /// 1. The functions of the names below are those of the CUDA driver.
    unsafe fn from_library(library: Library, name: &str) -> Result<Self, ProbeError> {
        macro_rules! entry {
            ($symbol:literal) => {{
                // SAFETY: 1. the symbol is the driver's function, by the caller's promise, and the
                // field's type is its declaration in `cuda.h`. 2. the copied pointer lives as long
                // as the library, which the table holds.
                let found = unsafe { library.get($symbol) };
                *found.map_err(|_| ProbeError::SymbolMissing {
                    library: name.to_owned(),
                    symbol: $symbol,
                    advice: UPDATE_ADVICE,
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

    /// Initialises the driver; further calls do nothing.
    pub(super) fn init(&self) -> Result<(), ProbeError> {
        // SAFETY: 1. the flags of `cuInit` must be 0. 2. any thread may call it at any time.
        let code = unsafe { (self.init)(0) };
        check("cuInit", code)
    }

    /// Returns the CUDA version of the driver: 1000 * major + 10 * minor.
    pub(super) fn driver_version(&self) -> Result<i32, ProbeError> {
        let mut version = 0;
        // SAFETY: 1. `cuDriverGetVersion` writes one `int`, and `version` is one.
        let code = unsafe { (self.driver_get_version)(&raw mut version) };
        check("cuDriverGetVersion", code).map(|()| version)
    }

    /// Returns the number of devices.
    pub(super) fn device_count(&self) -> Result<i32, ProbeError> {
        let mut count = 0;
        // SAFETY: 1. `cuDeviceGetCount` writes one `int`, and `count` is one.
        let code = unsafe { (self.device_get_count)(&raw mut count) };
        check("cuDeviceGetCount", code).map(|()| count)
    }

    /// Returns the handle of a device; the driver checks the ordinal.
    pub(super) fn device(&self, ordinal: i32) -> Result<i32, ProbeError> {
        let mut handle = 0;
        // SAFETY: 1. `cuDeviceGet` writes one `CUdevice`, an `int`, and `handle` is one.
        let code = unsafe { (self.device_get)(&raw mut handle, ordinal) };
        check("cuDeviceGet", code).map(|()| handle)
    }

    /// Returns the name of a device; invalid UTF-8 is replaced.
    pub(super) fn name(&self, device: i32) -> Result<String, ProbeError> {
        const MAX_NAME_BYTES: usize = 256;
        let mut buffer = [0_u8; MAX_NAME_BYTES];
        let capacity = c_int::try_from(MAX_NAME_BYTES).unwrap_or(0);
        // SAFETY: 1. `cuDeviceGetName` writes at most `capacity` bytes, and `buffer` has as many.
        let code = unsafe { (self.device_get_name)(buffer.as_mut_ptr().cast(), capacity, device) };
        check("cuDeviceGetName", code)?;
        buffer[MAX_NAME_BYTES - 1] = 0; // terminated even if the driver did not
        let name = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    /// Returns the device's memory in bytes.
    pub(super) fn total_bytes(&self, device: i32) -> Result<usize, ProbeError> {
        let mut bytes = 0;
        // SAFETY: 1. `cuDeviceTotalMem_v2` writes one `size_t`, and `bytes` is one.
        let code = unsafe { (self.device_total_mem)(&raw mut bytes, device) };
        check("cuDeviceTotalMem_v2", code).map(|()| bytes)
    }

    /// Returns one attribute of a device; the driver checks `attribute`.
    pub(super) fn attribute(&self, device: i32, attribute: i32) -> Result<i32, ProbeError> {
        let mut value = 0;
        // SAFETY: 1. `cuDeviceGetAttribute` writes one `int`, and `value` is one.
        let code = unsafe { (self.device_get_attribute)(&raw mut value, attribute, device) };
        check("cuDeviceGetAttribute", code).map(|()| value)
    }
}

/// Returns the dynamic loader's message, which `libloading` stores as the source of its error.
fn dlerror_text(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn check(call: &'static str, code: i32) -> Result<(), ProbeError> {
    if code == 0 { Ok(()) } else { Err(driver_error(call, code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_load_names_a_missing_library_and_the_advice() {
        let names = ["libno-such-driver.so.1", "/nonexistent/libcuda.so"];
        // SAFETY: 1. neither name exists, so nothing is loaded.
        let error = unsafe { DriverApi::load(&names) }.unwrap_err();
        let ProbeError::LibraryMissing { tried, reason, advice } = &error else { panic!("{error}") };
        assert_eq!((tried.as_slice(), *advice), (names.map(str::to_owned).as_slice(), INSTALL_ADVICE));
        assert!(reason.contains("libno-such-driver"), "the first name's reason: {reason}");
        let text = error.to_string();
        assert!(text.contains("or /nonexistent/libcuda.so") && text.ends_with(INSTALL_ADVICE), "{text}");
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn r36_load_names_the_missing_symbol_of_another_library() {
        // SAFETY: 1. the C library is already loaded and has none of these functions.
        let error = unsafe { DriverApi::load(&["libc.so.6"]) }.unwrap_err();
        assert!(
            matches!(&error, ProbeError::SymbolMissing { library, symbol: "cuInit", .. } if library == "libc.so.6"),
            "{error}"
        );
    }
}
