//! A job that needs more memory than its limit: killed with plain vectors, completed with a spill.
//!
//! Without permission to create a control group, the limit is the process's, and the test prints
//! so.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn arenite(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arenite")).args(arguments).output().expect("the command runs")
}

/// Runs the job in 512 MiB with 640 MiB of caches; returns its output and the JSON.
fn squeezed(more: &[&str], job: &[&str]) -> (Output, Value) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for a test");
    let json = dir.path().join("report.json");
    let json = json.to_str().expect("a UTF-8 path");
    let mut arguments = vec!["squeeze", "--limit", "512M", "--json", json];
    arguments.extend(more);
    arguments.extend(["--", env!("CARGO_BIN_EXE_arenite"), "caches"]);
    arguments.extend(job);
    if job.contains(&"--spill") {
        arguments.extend(["--dir", dir.path().to_str().expect("a UTF-8 path")]);
    }
    let output = arenite(&arguments);
    let report = std::fs::read(json).unwrap_or_else(|_| panic!("{output:?}"));
    (output, serde_json::from_slice(&report).expect("report"))
}

fn check_job_completes(more: &[&str]) {
    let free = arenite(&["caches"]);
    assert!(free.status.success(), "{free:?}");
    let (died, report) = squeezed(more, &[]);
    assert!(!died.status.success() && report["survived"] == false, "{report}");
    if report["limit_kind"] == "cgroup" {
        assert!(report["cgroup_peak_bytes"].is_u64() || report["cgroup_peak_bytes"].is_null(), "{report}");
        assert_eq!((died.status.code(), &report["killed_by_limit"]), (Some(137), &Value::Bool(true)));
        assert!(report["limit_hits"].as_u64() > Some(0), "a killed program reached its limit: {report}");
    } else {
        assert!(report["cgroup_peak_bytes"].is_null(), "{report}");
    }
    if report["limit_kind"] == "rlimit" && more.is_empty() {
        println!("skipped the control group: cannot create one here; the limit was the process's");
    }
    let (survived, report) = squeezed(more, &["--spill"]);
    assert!(survived.status.success() && report["survived"] == true, "{report} {survived:?}");
    assert_eq!(survived.stdout, free.stdout, "the same sum, only slower");
    assert!(report["reclaimed_bytes"].as_u64().expect("a number") > 128 << 20, "{report}");
    assert!(report["max_rss_bytes"].as_u64().expect("a number") < 512 << 20, "{report}");
    let text = String::from_utf8(survived.stderr).expect("text");
    assert!(text.contains("survived in 512 MiB (") && text.contains("reclaimed"), "{text}");
}

#[test]
fn u39_r24_a_job_with_a_pressure_handler_completes_in_a_control_group() {
    check_job_completes(&[]);
}

#[test]
fn u39_r24_a_job_with_a_pressure_handler_completes_under_rlimit() {
    check_job_completes(&["--rlimit"]);
}

#[test]
fn u39_the_exit_code_is_the_programs_and_2_for_bad_input() {
    let code = |arguments: &[&str]| {
        let output = arenite(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(code(&["squeeze", "--limit", "64M", "--", "true"]).0, 0);
    assert_eq!(code(&["squeeze", "--limit", "64M", "--", "sh", "-c", "exit 7"]).0, 7);
    assert_eq!(code(&["squeeze", "--limit", "64M", "--", "sh", "-c", "kill -TERM $$"]).0, 128 + 15);
    for (arguments, expected) in [
        (&["squeeze", "--limit", "64M", "--", "/nonexistent"][..], "cannot find the program"),
        (&["squeeze", "--limit", "10", "--", "true"], "at least 1M"),
        (&["squeeze", "--limit", "many", "--", "true"], "many"),
        (&["squeeze", "--limit", "64M"], "PROGRAM"),
        (&["squeeze", "--limit", "64M", "--json", "/nonexistent/f", "--", "true"], "/nonexistent/f"),
    ] {
        let (code, text) = code(arguments);
        assert!(code == 2 && text.contains(expected), "{code}: {text}");
    }
    let help = arenite(&["squeeze", "--help"]);
    assert!(String::from_utf8(help.stdout).unwrap().contains("Examples:"));
    let help = arenite(&["squeeze", "--help"]);
    assert!(String::from_utf8(help.stdout).unwrap().contains("arenite caches"));
    assert!(!Path::new("/sys/fs/cgroup/memory/arenite-squeeze").exists());
}
