//! The meaning of the CUDA driver's error codes, and advice for each.
//!
//! The numbers are those of `CUresult` in `cuda.h` and never change. `cuGetErrorString` is no
//! substitute: it may fail before `cuInit` succeeds, and it gives no advice.

use crate::error::ProbeError;

/// Returns the error of a call that returned `code`.
pub(super) fn driver_error(call: &'static str, code: i32) -> ProbeError {
    let (meaning, advice) = error_text(code);
    ProbeError::CallFailed { call, code, meaning, advice }
}

fn error_text(code: i32) -> (&'static str, &'static str) {
    match code {
        1 => ("an argument is out of range", "update the driver"),
        2 => ("out of memory", "free device or host memory and try again"),
        3 => ("the driver is not initialised", "call cuInit first; inside a child process, start it by exec"),
        4 => ("the driver is shutting down", "do not call while the process exits"),
        34 => ("this is the toolkit's stub, not the driver", "remove its directory from LD_LIBRARY_PATH"),
        36 => ("the driver does not support this call", "update the driver"),
        46 => ("the device is in exclusive use", "stop the process that uses it, or leave exclusive mode"),
        100 => ("no CUDA device", "check nvidia-smi, CUDA_VISIBLE_DEVICES and the container's --gpus"),
        101 => ("no such device", "use an ordinal below the number of devices"),
        214 => ("an uncorrectable memory error", "reset the device; replace it if the error returns"),
        304 => ("a call to the operating system failed", "check the permissions of /dev/nvidia*"),
        801 => ("not supported", "update the driver or choose another device"),
        802 => ("the system is not ready", "start nvidia-fabricmanager and wait for it"),
        803 => ("kernel module and driver library differ", "reboot, or reload the kernel module"),
        804 => ("this device cannot use a newer CUDA than its driver", "remove the cuda-compat library"),
        _ => ("see CUresult in cuda.h", "check nvidia-smi and the kernel's log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_every_error_code_has_a_meaning_and_advice() {
        for code in [i32::MIN, -1, i32::MAX].into_iter().chain(0..1000) {
            let text = driver_error("cuInit", code).to_string();
            assert!(text.starts_with(&format!("cuInit returned {code}: ")) && text.contains("; "), "{text}");
        }
        assert!(driver_error("cuInit", 100).to_string().contains("nvidia-smi"));
    }
}
