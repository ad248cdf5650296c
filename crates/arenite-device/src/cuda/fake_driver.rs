//! A CUDA driver made of Rust functions, for tests: two devices, and drivers that fail.
//!
//! The tests prove how results are handled. Only a real driver can prove that the declarations
//! match it.
#![expect(unsafe_code, reason = "writes through the caller's pointers, as a driver does")]

use super::driver_api::DriverApi;
use std::ffi::{c_char, c_int, c_uint};

const INVALID_VALUE: c_int = 1;
const INVALID_DEVICE: c_int = 101;
/// The handle of the first device. Handles differ from ordinals, so a mix-up shows.
const HANDLE: c_int = 7000;

/// Writes a result as a driver does.
fn write_out<T>(out: *mut T, value: T) -> c_int {
    // SAFETY: 1. the table's methods pass a pointer that is valid for one write of its type.
    unsafe { out.write(value) };
    0
}

extern "system" fn init(flags: c_uint) -> c_int {
    if flags == 0 { 0 } else { INVALID_VALUE }
}

extern "system" fn no_device(_: c_uint) -> c_int {
    100
}

extern "system" fn version(out: *mut c_int) -> c_int {
    write_out(out, 12_040)
}

extern "system" fn count<const COUNT: i32>(out: *mut c_int) -> c_int {
    write_out(out, COUNT)
}

extern "system" fn device_get(out: *mut c_int, ordinal: c_int) -> c_int {
    if (0..2).contains(&ordinal) { write_out(out, HANDLE + ordinal) } else { INVALID_DEVICE }
}

/// Writes the device name; that of the second device fills the buffer and is not terminated.
extern "system" fn name(out: *mut c_char, capacity: c_int, device: c_int) -> c_int {
    let capacity = usize::try_from(capacity).unwrap();
    let text = if device == HANDLE { b"Software Device 0\0".to_vec() } else { vec![b'n'; capacity] };
    assert!(text.len() <= capacity);
    // SAFETY: 1. `text` is valid for reads of its length. 2. the table's method passes a buffer of
    // `capacity` bytes, and the text is no longer. 3. both are bytes, so aligned, and a new vector
    // does not overlap.
    unsafe { out.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len()) };
    0
}

extern "system" fn total(out: *mut usize, device: c_int) -> c_int {
    write_out(out, if device == HANDLE { 80 << 30 } else { 8 << 30 })
}

extern "system" fn lost(_: *mut usize, _: c_int) -> c_int {
    999
}

extern "system" fn attribute(out: *mut c_int, attribute: c_int, device: c_int) -> c_int {
    let second = device != HANDLE;
    match attribute {
        18 => write_out(out, second.into()),
        75 => write_out(out, 9),
        76 | 86 => write_out(out, 0),
        83 | 89 => write_out(out, 1),
        _ => INVALID_VALUE, // an old driver
    }
}

/// Returns a driver with two devices.
pub(super) fn two_devices() -> DriverApi {
    DriverApi {
        init,
        driver_get_version: version,
        device_get_count: count::<2>,
        device_get,
        device_get_name: name,
        device_total_mem: total,
        device_get_attribute: attribute,
        library: None,
    }
}

/// Returns a driver without a device.
pub(super) fn failing_init() -> DriverApi {
    DriverApi { init: no_device, ..two_devices() }
}

/// Returns a driver whose device disappears.
pub(super) fn losing_its_device() -> DriverApi {
    DriverApi { device_total_mem: lost, ..two_devices() }
}

/// Returns a driver that reports `COUNT` devices.
pub(super) fn counting<const COUNT: i32>() -> DriverApi {
    DriverApi { device_get_count: count::<COUNT>, ..two_devices() }
}
