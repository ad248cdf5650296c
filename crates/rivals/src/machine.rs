//! The machine of a record: processor, kernel, compiler and versions of the rivals.
//!
//! A value that cannot be read is `unknown`.
#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "reads the version of the C library"))]

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// The machine and the software versions of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// Model name of the processor.
    pub cpu: String,
    /// Number of processors available to this process.
    pub cores: usize,
    /// Name and release of the kernel.
    pub kernel: String,
    /// Version of the compiler.
    pub rustc: String,
    /// Policy of transparent huge pages.
    pub huge_pages: String,
    /// Package names and versions, including the C library's.
    pub versions: BTreeMap<String, String>,
    /// Rivals that this program was built without.
    pub left_out: Vec<String>,
}

impl Machine {
    /// Returns the description of this machine and this build.
    #[must_use]
    pub fn this() -> Self {
        let uname = rustix::system::uname();
        let named = env!("RIVALS_VERSIONS").split(';').filter_map(|pair| pair.split_once('='));
        let mut versions: BTreeMap<String, String> =
            named.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        versions.insert("system".into(), c_library());
        let huge = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        Self {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
            rustc: env!("RIVALS_RUSTC").to_owned(),
            huge_pages: huge.split(['[', ']']).nth(1).unwrap_or("unknown").to_owned(),
            versions,
            left_out: crate::left_out().iter().map(|&name| name.to_owned()).collect(),
        }
    }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let number = |name| field(name).unwrap_or("unknown".into());
    let name = field("model name").unwrap_or("unknown".into());
    format!("{name} (family {}, model {})", number("cpu family"), number("model"))
}

#[cfg(target_env = "gnu")]
fn c_library() -> String {
    // SAFETY: the function has no parameters and returns a constant string.
    let version = unsafe { libc::gnu_get_libc_version() };
    // SAFETY: a constant string with a terminating zero.
    let version = unsafe { std::ffi::CStr::from_ptr(version) };
    format!("glibc {}", version.to_string_lossy())
}

#[cfg(not(target_env = "gnu"))]
fn c_library() -> String {
    "unknown".to_owned()
}
