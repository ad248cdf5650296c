//! The `train` command: its numbers, its files and its errors.
//!
//! The models are tiny, so that a debug build trains them in a second.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const TINY: [&str; 12] =
    ["--layers", "1", "--width", "16", "--heads", "2", "--context", "16", "--batch", "2", "--steps", "20"];

fn arenite(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arenite")).args(args).current_dir(dir).output().unwrap()
}

/// Runs `train` with `args`, and checks the exit code, the message, and that no file is left.
fn check_error(args: &[&str], code: i32, says: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty.txt"), "").unwrap();
    std::fs::write(dir.path().join("one.txt"), "a").unwrap();
    std::fs::write(dir.path().join("same.txt"), "aaaa".repeat(1000)).unwrap();
    std::fs::write(dir.path().join("binary.txt"), b"\x7fELF\x02\x01\x00\xff\xfe".repeat(100)).unwrap();
    let before = files(dir.path());
    let output = arenite(dir.path(), &[&["train"], args].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    for part in says {
        assert!(text.contains(part), "{args:?}: `{part}` is missing in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(files(dir.path()), before, "{args:?} left a file behind");
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_bad_text_is_an_error_with_advice() {
    check_error(&["--text", "missing.txt"], 2, &["cannot read --text missing.txt", "No such file"]);
    check_error(&["--text", "."], 2, &["cannot read --text ."]);
    check_error(&["--text", "empty.txt"], 2, &["cannot train on empty.txt", "empty; give a file"]);
    check_error(&["--text", "one.txt"], 2, &["cannot train on one.txt"]);
    check_error(&["--text", "same.txt"], 2, &["cannot train on same.txt"]);
    check_error(&["--text", "binary.txt"], 2, &["cannot train on binary.txt", "UTF-8"]);
}

#[test]
fn a_bad_number_or_name_is_an_error_with_advice() {
    check_error(&["--memory", "magic"], 2, &["magic", "system", "pool", "arena"]);
    check_error(&["--memory", "arena,arena"], 2, &["`arena` is twice in --memory"]);
    check_error(&["--steps", "0"], 2, &["must be at least 1"]);
    check_error(&["--batch", "many"], 2, &["use a whole number"]);
    check_error(&["--width", "30", "--heads", "4"], 2, &["width 30 is not a multiple of 4 heads"]);
    check_error(&["--learning-rate", "-1"], 2, &["learning"]);
    check_error(&["--batch", "9223372036854775807"], 2, &["more memory than can be addressed"]);
    check_error(&["--limit", "lots"], 2, &["not a size in bytes"]);
}

#[test]
fn too_many_steps_or_too_much_text_is_an_error() {
    check_error(
        &["--steps", "18446744073709551615"],
        2,
        &["18446744073709551615 steps", "the maximum is 10000000"],
    );
    check_error(&["--steps", "1000000000000"], 2, &["the maximum is 10000000"]);
    check_error(&["--text", "/dev/zero"], 2, &["cannot train on /dev/zero", "byte"]);
}

#[test]
fn one_file_for_two_purposes_is_an_error() {
    let says = "writing one would destroy the other";
    check_error(&["--text", "same.txt", "--report", "./same.txt"], 2, &[says, "both --text and --report"]);
    check_error(&["--text", "same.txt", "--json", "same.txt"], 2, &[says, "both --text and --json"]);
    check_error(&["--json", "new.x", "--report", "new.x"], 2, &[says, "both --report and --json"]);
}

#[test]
fn an_interrupted_run_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_arenite"))
        .args(["train", "--steps", "100000", "--json", "run.json"])
        .current_dir(dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // training runs as soon as the process has a child
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    while std::fs::read_to_string(&children).is_ok_and(|found| found.is_empty()) {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files(dir.path()), Vec::<String>::new());
}

#[test]
fn cache_scratch_applies_to_system_and_not_to_arena_when_requested() {
    let dir = tempfile::tempdir().unwrap();
    for (memory, cache_scratch, calls) in [("system", "all", 92.0), ("arena", "none", 200.0)] {
        let own = [
            "train",
            "--memory",
            memory,
            "--cache-scratch",
            cache_scratch,
            "--no-report",
            "--json",
            "run.json",
        ];
        let output = arenite(dir.path(), &[&own[..], &TINY[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("run.json")).unwrap()).unwrap();
        let found = json["strategies"][0]["malloc_calls_per_step"].as_f64().unwrap();
        assert!(found > 0.0 && found < calls, "{memory}: {found} calls");
        assert!(
            json["command"].as_str().unwrap().contains(&format!("--cache-scratch {cache_scratch}")),
            "{}",
            json["command"]
        );
    }
}

#[test]
fn a_path_that_cannot_be_written_is_an_error_before_training() {
    check_error(
        &["--report", "no/such/dir/report.html"],
        2,
        &["cannot write --report no/such/dir/report.html"],
    );
    check_error(&["--report", "."], 2, &["cannot write --report ."]);
    check_error(&["--json", "no/such/dir/run.json"], 2, &["cannot write --json no/such/dir/run.json"]);
}

#[test]
fn a_limit_that_is_too_small_is_an_error_with_every_number() {
    let says =
        ["`train`: limit reached", "in use", "held", "largest free", "limit 100 KiB", "raise the limit"];
    for memory in ["system", "pool", "arena"] {
        check_error(&[&["--memory", memory, "--limit", "100K"], &TINY[..]].concat(), 1, &says);
    }
}

#[test]
fn every_strategy_computes_the_same_losses_and_pool_and_arena_call_no_malloc() {
    let dir = tempfile::tempdir().unwrap();
    let output = arenite(dir.path(), &[&["train", "--json", "run.json"], &TINY[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&std::fs::read(dir.path().join("run.json")).unwrap()).unwrap();
    let strategies = json["strategies"].as_array().unwrap();
    let names: Vec<_> = strategies.iter().map(|strategy| strategy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["system", "pool", "arena"]);
    for strategy in strategies {
        let losses = strategy["losses"].as_array().unwrap();
        assert_eq!(losses.len(), 20);
        assert_eq!(losses, strategies[0]["losses"].as_array().unwrap());
        assert!(losses[19].as_f64() < losses[0].as_f64(), "{losses:?}");
        for field in
            ["step_ms_median", "step_ms_p95", "allocations_per_step", "peak_in_use_bytes", "max_rss_bytes"]
        {
            assert!(
                strategy[field].as_f64().is_some_and(|value| value > 0.0),
                "{field}: {}",
                strategy[field]
            );
        }
    }
    let system = &strategies[0];
    assert!(system["peak_held_bytes"].is_null() && system["timeline"][0]["held_bytes"].is_null());
    assert!(strategies[0]["malloc_calls_per_step"].as_f64().unwrap() > 0.0);
    for strategy in &strategies[1..] {
        assert!(strategy["peak_held_bytes"].as_u64() >= strategy["peak_in_use_bytes"].as_u64());
        // Memory that is released costs at least one fault per step. A few faults are allowed,
        // because the kernel may move an OS page for compaction, which then faults again.
        let faults = strategy["faults_per_step"].as_f64().unwrap();
        assert!(faults < 0.5, "{}: {faults} faults a step", strategy["name"]);
        assert_eq!(strategy["malloc_calls_per_step"].as_f64(), Some(0.0), "{}", strategy["name"]);
    }
    assert_eq!(json["program"][1], "train");
    assert!(json["machine"]["processor"]["usable"].as_u64() > Some(0), "{}", json["machine"]);
    assert!(json["machine"]["pages"]["size_bytes"].as_u64() > Some(0), "{}", json["machine"]);
    assert!(!json["sample"].as_str().unwrap().is_empty());
    let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(page.contains("step_ms_median") && page.ends_with("</html>\n"));
    let table = String::from_utf8(output.stdout).unwrap();
    let last = strategies[0]["losses"][19].as_f64().unwrap();
    assert!(table.contains(&format!("{last:.4}")) && table.contains("system has no held"), "{table}");
    assert!(table.contains("identical to the bit under system, pool, arena"), "{table}");
}

#[test]
fn text_from_a_file_trains_without_a_page_when_requested() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("verse.txt"), "the quick brown fox jumps over the lazy dog\n".repeat(50))
        .unwrap();
    let own = ["train", "--text", "verse.txt", "--memory", "arena", "--no-report", "--sample", "20"];
    let output = arenite(dir.path(), &[&own[..], &TINY[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(dir.path()), ["verse.txt"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("the quick br"));
}

#[test]
fn doctor_reports_a_file_that_it_cannot_write_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let output = arenite(dir.path(), &["doctor", "--json", "no/such/machine.json"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("cannot write --json no/such/machine.json: No such file or directory"), "{text}");
    assert_eq!(arenite(dir.path(), &["doctor", "--jason"]).status.code(), Some(2));
    assert_eq!(files(dir.path()), Vec::<String>::new());
}

#[test]
fn json_is_printed_instead_of_the_text_for_a_dash() {
    let dir = tempfile::tempdir().unwrap();
    let train = [&["train", "--no-report", "--memory", "arena", "--json", "-"][..], &TINY[..]].concat();
    std::fs::write(dir.path().join("edges"), "a b\n").unwrap();
    let squeeze = ["squeeze", "--limit", "64M", "--rlimit", "--json", "-", "--", "true"];
    for (command, field) in [
        (&train[..], "strategies"),
        (&["run", "--stats", "--json", "-", "--", "true"], "processes"),
        (&["run", "--compare", "--rounds", "1", "--json", "-", "--", "true"], "rows"),
        (&squeeze, "limit_bytes"),
        (&["rank", "--edges", "edges", "--json", "-"], "ranks"),
        (&["doctor", "--json", "-"], "limits"),
    ] {
        let output = arenite(dir.path(), command);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {text}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}"));
        assert!(!json[field].is_null(), "{command:?}: {json}");
        assert_eq!(files(dir.path()), ["edges"], "{command:?}");
    }
}

#[test]
fn a_json_file_that_cannot_be_written_is_the_same_error_in_every_command() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("edges"), "a b\n").unwrap();
    for command in [
        &["train", "--json", "no/f"][..],
        &["run", "--stats", "--json", "no/f", "--", "true"],
        &["run", "--compare", "--json", "no/f", "--", "true"],
        &["squeeze", "--limit", "64M", "--json", "no/f", "--", "true"],
        &["rank", "--edges", "edges", "--json", "no/f"],
        &["doctor", "--json", "no/f"],
    ] {
        let output = arenite(dir.path(), command);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {text}");
        assert_eq!(text, "error: cannot write --json no/f: No such file or directory (os error 2)\n");
    }
}

#[test]
fn a_typo_suggests_only_listed_commands() {
    let dir = tempfile::tempdir().unwrap();
    for typo in ["trian", "trainworker", "train-work", "worker"] {
        let output = arenite(dir.path(), &[typo]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{typo}: {text}");
        assert!(!text.contains("train-worker"), "{typo}: {text}");
    }
}

#[test]
fn help_lists_the_commands_in_one_order() {
    let dir = tempfile::tempdir().unwrap();
    let help = String::from_utf8(arenite(dir.path(), &["--help"]).stdout).unwrap();
    let found = ["train", "run", "squeeze", "rank", "doctor"].map(|name| help.find(&format!("\n  {name} ")));
    assert!(found.is_sorted() && found[0].is_some(), "{help}");
}

#[test]
fn help_has_an_example() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["train", "doctor", "run", "rank", "squeeze"] {
        let output = arenite(dir.path(), &[command, "--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Examples:") && text.contains("--json"), "{text}");
    }
}
