//! The `run` command: programs on the heap, exit codes, comparisons and errors.

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
    let output = arenite(&["run", "--", "sh", "-c", "echo $LD_PRELOAD; exit 7"]);
    assert_eq!(output.status.code(), Some(7), "{}", error(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("libarenite_preload.so"));
    assert_eq!(arenite(&["run", "--", "sh", "-c", "kill -9 $$"]).status.code(), Some(137));
}

#[test]
fn n08_stats_are_a_table_and_json_for_each_process() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("stats.json");
    let script = "sort /etc/passwd > /dev/null; sort /etc/group > /dev/null";
    let output = arenite(&["run", "--stats", "--json", json.to_str().unwrap(), "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert!(
        error(&output).contains("peak in use")
            && error(&output).contains("max RSS")
            && error(&output).contains("sort "),
        "{}",
        error(&output)
    );
    let json_value: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let sorts: Vec<&Value> =
        json_value["processes"].as_array().unwrap().iter().filter(|line| line["name"] == "sort").collect();
    assert_eq!(sorts.len(), 2);
    assert_eq!((&json_value["program"][0], &json_value["exit_code"]), (&"sh".into(), &0.into()));
    assert!(sorts.iter().all(|line| line["free_at_exit_fraction"].is_f64()), "{json_value}");
    assert_eq!(error(&output).matches("free at exit").count(), 2, "a column and its meaning");
    assert!(sorts.iter().all(|line| line["peak_held_bytes"].as_u64() >= line["peak_in_use_bytes"].as_u64()));
}

#[test]
fn n08_a_comparison_has_ratios_of_time_faults_and_max_rss() {
    let dir = tempfile::tempdir().unwrap();
    let (json, input) = (dir.path().join("ratios.json"), dir.path().join("input"));
    std::fs::write(&input, "b\na\nc\n").unwrap();
    let (json_name, input_name) = (json.to_str().unwrap(), input.to_str().unwrap());
    let output = arenite(&[
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
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("system") && text.contains("arenite") && text.contains("median of 3"), "{text}");
    let json_value: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let ratios = &json_value["rows"][1]["ratios"];
    for what in ["wall", "faults", "max_rss"] {
        assert!(ratios[what].as_f64().unwrap() > 0.0, "{what}: {json_value}");
    }
    assert!(json_value["rows"][0]["minor_faults"].as_u64().unwrap() > 0);
    assert!(json_value["rows"][0]["major_faults"].is_u64());
    assert!(json_value["rows"][0]["max_rss_bytes"].as_u64().unwrap() > 0);
    assert_eq!(json_value["same_output"], true);
}

#[test]
fn n08_a_comparison_fails_when_exit_codes_or_outputs_differ() {
    let output = arenite(&["run", "--compare", "--rounds", "2", "--", "sh", "-c", "echo $$"]);
    assert_eq!(output.status.code(), Some(1));
    let text = "the output changes from run to run (also on system alone); --ignore-output compares anyway";
    assert!(error(&output).contains(text), "{}", error(&output));
    let on_arenite = "case $LD_PRELOAD in *arenite*) echo 1;; esac";
    let output = arenite(&["run", "--compare", "--rounds", "2", "--", "sh", "-c", on_arenite]);
    assert_eq!(output.status.code(), Some(1));
    let text = "the output of a run on arenite differs from that of one on system; --ignore-output";
    assert!(error(&output).contains(text), "{}", error(&output));
    let output = arenite(&["run", "--compare", "--rounds", "1", "--", "sh", "-c", "exit 3"]);
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
}

#[test]
fn n08_a_comparison_ignores_the_output_when_requested() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("ratios.json");
    let compare = ["run", "--compare", "--ignore-output", "--rounds", "2", "--json", json.to_str().unwrap()];
    let output = arenite(&[&compare[..], &["--", "sh", "-c", "echo $$"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let json_value: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(json_value["same_output"], false, "{json_value}");
    assert!(json_value["rows"][1]["ratios"]["wall"].as_f64().unwrap() > 0.0, "{json_value}");
    let output = arenite(&[&compare[..], &["--", "sh", "-c", "exit $(($$ % 251))"]].concat());
    assert_eq!(output.status.code(), Some(1), "the exit codes still have to be the same");
    assert!(error(&output).contains("exit codes of a run on"), "{}", error(&output));
    for option in [&["--ignore-output"][..], &["--rounds", "3"], &["--against", "x"], &["--input", "x"]] {
        for more in [&["--", "true"][..], &["--stats", "--", "true"]] {
            let output = arenite(&[&["run"][..], option, more].concat());
            assert_eq!(output.status.code(), Some(2), "{option:?} {more:?}");
        }
    }
    for option in ["--against", "--input"] {
        let output = arenite(&["run", "--compare", option, "/nonexistent", "--", "true"]);
        let text = format!("cannot read {option} /nonexistent: No such file");
        assert!(output.status.code() == Some(2) && error(&output).contains(&text), "{}", error(&output));
    }
}

#[test]
fn n08_a_listing_of_40_processes_fits_a_screen_of_50_lines() {
    let script = "i=0; while [ $i -lt 40 ]; do sort /dev/null; i=$((i + 1)); done";
    let output = arenite(&["run", "--stats", "--", "sh", "-c", script]);
    let text = error(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.lines().count() <= 50 && text.matches("sort ").count() >= 39, "{text}");
}

#[test]
fn a_renamed_variable_is_an_error_with_the_new_name_when_it_is_set() {
    for (old, new) in [
        ("ARENITE_BACKGROUND", "ARENITE_BACKGROUND_THREAD"),
        ("ARENITE_PRELOAD", "ARENITE_PRELOAD_LIB"),
        ("ARENITE_GUEST", "ARENITE_TEST_VM"),
        ("ARENITE_GAVE_BACK", "ARENITE_RECLAIMED_FILE"),
    ] {
        let run = |name: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_arenite"));
            command.args(["rank", "--edges", "/nonexistent"]).env(name, "1").output().unwrap()
        };
        let output = run(old);
        assert_eq!(output.status.code(), Some(2), "{}", error(&output));
        assert!(error(&output).contains(&format!("{old} is now {new}")), "{}", error(&output));
        let output = run(new);
        assert!(!error(&output).contains("is now"), "{new} is accepted: {}", error(&output));
    }
}

#[test]
fn a_renamed_option_is_an_error_with_the_new_name() {
    for (command, new) in [
        (&["train", "--recycle", "all"][..], "--cache-scratch"),
        (&["train", "--recycle"], "--cache-scratch"),
        (&["caches", "--folder", "/tmp"], "--dir"),
        (&["caches", "--folder"], "--dir"),
    ] {
        let output = arenite(command);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", error(&output));
        let text = format!("this option is now {new}");
        assert!(error(&output).contains(&text), "{command:?}: {}", error(&output));
    }
}

#[test]
fn n08_a_program_that_cannot_load_the_library_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8], mode| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // the head of a 64-bit program for this architecture, without a loader
    let mut program = [0_u8; 128];
    program[..6].copy_from_slice(b"\x7fELF\x02\x01");
    program[18] = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let fixed = file("static", &program, 0o755);
    program[18] = 40;
    let other = file("other", &program, 0o755);
    let short = file("short", b"\x7fELF", 0o755);
    let closed = file("closed", b"#!/bin/sh\n", 0o644);
    for (name, text) in [
        (fixed.as_str(), "statically linked"),
        (&other, "not a 64-bit program"),
        (&short, "not a 64-bit program"),
        (&closed, "cannot find the program"),
        ("nosuch-program", "cannot find the program `nosuch-program`"),
    ] {
        let output = arenite(&["run", "--", name]);
        assert_eq!(output.status.code(), Some(2), "{name}: {}", error(&output));
        assert!(error(&output).contains(text), "{name}: {}", error(&output));
    }
    let output = Command::new(env!("CARGO_BIN_EXE_arenite"))
        .args(["run", "--", "true"])
        .env("ARENITE_PRELOAD_LIB", "/nosuch.so")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error(&output).contains("cargo build --release"), "{}", error(&output));
    assert!(error(&arenite(&["run", "--json", "x", "--", "true"])).contains("--stats or --compare"));
    assert_eq!(arenite(&["run"]).status.code(), Some(2));
}
