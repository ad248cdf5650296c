//! What the CUDA driver's result codes mean, and what to do about each.
//!
//! Rests on the numbers of `cuda.h` (`CUresult`), which never change. Ours, since `cuGetErrorString` cannot be asked
//! before `cuInit` succeeds everywhere, and says what happened but not what to do.

use crate::probe::ProbeError;

/// The refusal of `call` with `code`.
pub(super) fn refused(call: &'static str, code: i32) -> ProbeError {
    let (meaning, advice) = explained(code);
    ProbeError::Refused { call, code, meaning, advice }
}

fn explained(code: i32) -> (&'static str, &'static str) {
    match code {
        1 => ("an argument is out of range", "update the driver"),
        2 => ("out of memory", "free device or host memory and try again"),
        3 => ("the driver is not initialised", "call cuInit first; inside a child process, start it by exec"),
        4 => ("the driver is shutting down", "do not ask while the process ends"),
        34 => ("this is the toolkit's stub and not the driver", "take its folder out of LD_LIBRARY_PATH"),
        36 => ("the driver does not know this call", "update the driver"),
        46 => ("the device is taken", "end the process that holds it, or leave its exclusive mode"),
        100 => ("no CUDA device", "check nvidia-smi, CUDA_VISIBLE_DEVICES and the container's --gpus"),
        101 => ("no such device", "ask for a number below the count of devices"),
        214 => ("an uncorrectable memory error", "reset the device; replace it where that comes back"),
        304 => ("a call to the operating system failed", "check the rights of /dev/nvidia*"),
        801 => ("not supported here", "update the driver or choose another device"),
        802 => ("the system is not ready", "start nvidia-fabricmanager and wait for it"),
        803 => ("kernel module and driver library differ", "reboot, or reload the kernel module"),
        804 => ("this device cannot use a newer CUDA than its driver", "take the cuda-compat library away"),
        _ => ("see CUresult in cuda.h", "check nvidia-smi and the kernel's log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r36_every_code_has_a_meaning_and_an_advice() {
        for code in [i32::MIN, -1, i32::MAX].into_iter().chain(0..1000) {
            let text = refused("cuInit", code).to_string();
            assert!(text.starts_with(&format!("cuInit answered {code}: ")) && text.contains("; "), "{text}");
        }
        assert!(refused("cuInit", 100).to_string().contains("nvidia-smi"));
    }
}
