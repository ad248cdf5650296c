//! The `run` command from outside: programs on the heap, their exit codes, comparisons, and what cannot be run so.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

fn arenite(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arenite")).args(args).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn n08_a_program_runs_and_its_exit_code_is_passed_on() {
    let said = arenite(&["run", "--", "sh", "-c", "echo $LD_PRELOAD; exit 7"]);
    assert_eq!(said.status.code(), Some(7), "{}", error(&said));
    assert!(String::from_utf8_lossy(&said.stdout).contains("libarenite_preload.so"));
    assert_eq!(arenite(&["run", "--", "sh", "-c", "kill -9 $$"]).status.code(), Some(137));
}

#[test]
fn n08_stats_are_a_table_and_json_for_each_process() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let script = "sort /etc/passwd > /dev/null; sort /etc/group > /dev/null";
    let said = arenite(&["run", "--stats", "--json", json.to_str().unwrap(), "--", "sh", "-c", script]);
    assert_eq!(said.status.code(), Some(0), "{}", error(&said));
    assert!(error(&said).contains("in use, peak") && error(&said).contains("sort "), "{}", error(&said));
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let sorts: Vec<&Value> =
        figures.as_array().unwrap().iter().filter(|line| line["name"] == "sort").collect();
    assert_eq!(sorts.len(), 2);
    assert!(sorts.iter().all(|line| line["peak_held"].as_u64() >= line["peak_in_use"].as_u64()));
}

#[test]
fn n08_a_comparison_has_ratios_of_time_faults_and_resident_peak() {
    let folder = tempfile::tempdir().unwrap();
    let (json, input) = (folder.path().join("ratios.json"), folder.path().join("input"));
    std::fs::write(&input, "b\na\nc\n").unwrap();
    let (json_name, input_name) = (json.to_str().unwrap(), input.to_str().unwrap());
    let said = arenite(&[
        "run",
        "--compare",
        "--rounds",
        "3",
        "--input",
        input_name,
        "--json",
        json_name,
        "--",
        "sort",
    ]);
    assert_eq!(said.status.code(), Some(0), "{}", error(&said));
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("system") && text.contains("arenite") && text.contains("median of 3"), "{text}");
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let ratios = &figures["rows"][1]["ratios"];
    for what in ["wall", "faults", "resident_peak"] {
        assert!(ratios[what].as_f64().unwrap() > 0.0, "{what}: {figures}");
    }
    assert!(figures["rows"][0]["faults"].as_f64().unwrap() > 0.0);
}

#[test]
fn n08_what_cannot_be_compared_is_said() {
    let said = arenite(&["run", "--compare", "--rounds", "2", "--", "sh", "-c", "echo $$"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(error(&said).contains("outputs differ between system and"), "{}", error(&said));
    let said = arenite(&["run", "--compare", "--rounds", "1", "--", "sh", "-c", "exit 3"]);
    assert_eq!(said.status.code(), Some(3), "{}", error(&said));
}

#[test]
fn n08_what_cannot_be_run_so_is_refused_before_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8], mode| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // the head of a program, 64-bit, of this machine, without a loader
    let mut program = [0_u8; 128];
    program[..6].copy_from_slice(b"\x7fELF\x02\x01");
    program[18] = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let fixed = file("static", &program, 0o755);
    program[18] = 40;
    let other = file("other", &program, 0o755);
    let short = file("short", b"\x7fELF", 0o755);
    let closed = file("closed", b"#!/bin/sh\n", 0o644);
    for (name, says) in [
        (fixed.as_str(), "statically linked"),
        (&other, "not a 64-bit program"),
        (&short, "not a 64-bit program"),
        (&closed, "there is no program"),
        ("nosuch-program", "there is no program `nosuch-program`"),
    ] {
        let said = arenite(&["run", "--", name]);
        assert_eq!(said.status.code(), Some(2), "{name}: {}", error(&said));
        assert!(error(&said).contains(says), "{name}: {}", error(&said));
    }
    let said = Command::new(env!("CARGO_BIN_EXE_arenite"))
        .args(["run", "--", "true"])
        .env("ARENITE_PRELOAD", "/nosuch.so")
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(2));
    assert!(error(&said).contains("cargo build --release"), "{}", error(&said));
    assert!(error(&arenite(&["run", "--json", "x", "--", "true"])).contains("--stats or --compare"));
    assert_eq!(arenite(&["run"]).status.code(), Some(2));
}
