//! Build script: passes the compiler version and the rivals' versions from `Cargo.lock` to the
//! program.

use std::path::Path;
use std::process::Command;

/// The packages whose versions a record names.
const NAMED: [&str; 15] = [
    "blink-alloc",
    "bump-scope",
    "bumpalo",
    "crossbeam-queue",
    "libmimalloc-sys",
    "magic-buffer",
    "mimalloc",
    "ringbuf",
    "rtrb",
    "slab",
    "slice-ring-buffer",
    "snmalloc-rs",
    "snmalloc-sys",
    "tikv-jemalloc-sys",
    "tikv-jemallocator",
];

fn main() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=RIVALS_RUSTC={}", compiler());
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let versions: Vec<String> =
        NAMED.iter().filter_map(|name| Some(format!("{name}={}", version(&text, name)?))).collect();
    println!("cargo::rustc-env=RIVALS_VERSIONS={}", versions.join(";"));
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).arg("--version").output();
    answer
        .ok()
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .map_or("unknown".into(), |text| text.trim().into())
}

/// Returns the version of the package `name` in the lock file.
fn version(lock: &str, name: &str) -> Option<String> {
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("\nname = \"{name}\"\n")))?;
    let line = entry.lines().find_map(|line| line.strip_prefix("version = \""))?;
    Some(line.trim_end_matches('"').to_owned())
}
