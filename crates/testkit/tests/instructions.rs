//! Instruction counts of paths, by callgrind on the release build of `examples/instructions.rs`.
#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Operations of a run. Exact counts need no more: the steady state begins with the first
/// operations.
const COUNT: u64 = 2000;

/// Builds the example and returns its path. The release profile, because the others inline nothing
/// of a path.
fn example() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "testkit", "--example", "instructions"]);
    let built =
        cargo.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(built.success(), "the example is not built");
    target.join("release/examples/instructions")
}

/// Returns the instructions of a run of one path.
fn instructions(example: &Path, path: &str, count: u64) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(example);
    let output = valgrind.args([path, &count.to_string()]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path}: {log}");
    let collected = log.lines().find_map(|line| line.split_once("Collected : "));
    collected.unwrap_or_else(|| panic!("{path}: {log}")).1.trim().parse().unwrap()
}

/// Returns the instructions of one operation of a path, without start and end of the program.
fn per_operation(example: &Path, path: &str) -> u64 {
    let [once, twice] = [COUNT, 2 * COUNT].map(|count| instructions(example, path, count));
    (twice - once) / COUNT
}

#[test]
fn n44_pool_executes_fewer_instructions_than_heap_for_one_size() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return;
    }
    let example = example();
    for [pool, heap] in [["pool", "heap"], ["pool_256", "heap_256"], ["pool_1k", "heap_1k"]] {
        let [of_pool, of_heap] = [pool, heap].map(|path| per_operation(&example, path));
        println!("{pool}: {of_pool} instructions, {heap}: {of_heap}");
        assert!((1..of_heap).contains(&of_pool), "{pool}: {of_pool} instructions, {heap}: {of_heap}");
    }
}
