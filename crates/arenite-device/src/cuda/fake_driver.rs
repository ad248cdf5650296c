//! A CUDA driver made of Rust functions, for tests: two devices, and drivers that refuse.
//!
//! Rests on [`Table`]'s types. It proves what we make of a driver's answers; that the declarations are the driver's own
//! takes a real one.
#![expect(unsafe_code, reason = "plays the driver, which writes through the caller's pointers")]

use super::table::Table;
use std::ffi::{c_char, c_int, c_uint};

const INVALID_VALUE: c_int = 1;
const INVALID_DEVICE: c_int = 101;
/// Handles are not ordinals, so that a mix-up shows.
const HANDLE: c_int = 7000;

/// Writes an answer as a driver does.
fn answer<T>(place: *mut T, value: T) -> c_int {
    // SAFETY: 1. the table's methods pass a place that is valid for one write of its type.
    unsafe { place.write(value) };
    0
}

extern "system" fn init(flags: c_uint) -> c_int {
    if flags == 0 { 0 } else { INVALID_VALUE }
}

extern "system" fn no_device(_: c_uint) -> c_int {
    100
}

extern "system" fn version(place: *mut c_int) -> c_int {
    answer(place, 12_040)
}

extern "system" fn count<const COUNT: i32>(place: *mut c_int) -> c_int {
    answer(place, COUNT)
}

extern "system" fn get(place: *mut c_int, ordinal: c_int) -> c_int {
    if (0..2).contains(&ordinal) { answer(place, HANDLE + ordinal) } else { INVALID_DEVICE }
}

/// The second device's name fills the whole buffer and is not closed.
extern "system" fn name(place: *mut c_char, room: c_int, device: c_int) -> c_int {
    let room = usize::try_from(room).unwrap();
    let text = if device == HANDLE { b"Software Device 0\0".to_vec() } else { vec![b'n'; room] };
    assert!(text.len() <= room);
    // SAFETY: 1. `text` is valid for reads of its length. 2. the table's method passes `room` bytes to write to, and the
    // text is no longer. 3. both are bytes, so aligned, and a fresh vector does not overlap.
    unsafe { place.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len()) };
    0
}

extern "system" fn total(place: *mut usize, device: c_int) -> c_int {
    answer(place, if device == HANDLE { 80 << 30 } else { 8 << 30 })
}

extern "system" fn lost(_: *mut usize, _: c_int) -> c_int {
    999
}

extern "system" fn attribute(place: *mut c_int, attribute: c_int, device: c_int) -> c_int {
    let second = device != HANDLE;
    match attribute {
        18 => answer(place, second.into()),
        75 => answer(place, 9),
        76 | 86 => answer(place, 0),
        83 | 89 => answer(place, 1),
        _ => INVALID_VALUE, // an old driver
    }
}

/// A driver with two devices.
pub(super) fn two_devices() -> Table {
    Table {
        init,
        driver_get_version: version,
        device_get_count: count::<2>,
        device_get: get,
        device_get_name: name,
        device_total_mem: total,
        device_get_attribute: attribute,
        library: None,
    }
}

/// A driver without a device.
pub(super) fn refusing_init() -> Table {
    Table { init: no_device, ..two_devices() }
}

/// A driver whose device goes away.
pub(super) fn losing_its_device() -> Table {
    Table { device_total_mem: lost, ..two_devices() }
}

/// A driver that counts `COUNT` devices.
pub(super) fn counting<const COUNT: i32>() -> Table {
    Table { device_get_count: count::<COUNT>, ..two_devices() }
}
