//! The `train` command from outside: its numbers, its files, and what it says to bad input.
//!
//! Rests on the built program. Models are tiny, so that a debug build trains them in a second.

#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const TINY: [&str; 12] =
    ["--layers", "1", "--width", "16", "--heads", "2", "--context", "16", "--batch", "2", "--steps", "20"];

fn arenite(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arenite")).args(args).current_dir(folder).output().unwrap()
}

/// Runs `train` with `args`, and checks the exit code, that the message says what is expected, and that no file is left.
fn refused(args: &[&str], code: i32, says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.txt"), "").unwrap();
    std::fs::write(folder.path().join("one.txt"), "a").unwrap();
    std::fs::write(folder.path().join("same.txt"), "aaaa".repeat(1000)).unwrap();
    std::fs::write(folder.path().join("binary.txt"), b"\x7fELF\x02\x01\x00\xff\xfe".repeat(100)).unwrap();
    let before = files(folder.path());
    let output = arenite(folder.path(), &[&["train"], args].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    for part in says {
        assert!(text.contains(part), "{args:?}: `{part}` is missing in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(files(folder.path()), before, "{args:?} left a file behind");
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn bad_texts_are_refused_with_what_to_do() {
    refused(&["--text", "missing.txt"], 2, &["cannot read the text missing.txt", "No such file"]);
    refused(&["--text", "."], 2, &["cannot read the text ."]);
    refused(&["--text", "empty.txt"], 2, &["cannot train on empty.txt", "empty; give a file"]);
    refused(&["--text", "one.txt"], 2, &["cannot train on one.txt"]);
    refused(&["--text", "same.txt"], 2, &["cannot train on same.txt"]);
    refused(&["--text", "binary.txt"], 2, &["cannot train on binary.txt", "UTF-8"]);
}

#[test]
fn bad_numbers_and_names_are_refused_with_what_to_do() {
    refused(&["--memory", "magic"], 2, &["magic", "system", "pool", "arena"]);
    refused(&["--memory", "arena,arena"], 2, &["`arena` is asked for twice"]);
    refused(&["--steps", "0"], 2, &["must be at least 1"]);
    refused(&["--batch", "many"], 2, &["give a whole number"]);
    refused(&["--width", "30", "--heads", "4"], 2, &["width 30 is not a multiple of 4 heads"]);
    refused(&["--learning-rate", "-1"], 2, &["learning"]);
    refused(&["--batch", "9223372036854775807"], 2, &["more memory than can be addressed"]);
    refused(&["--limit", "lots"], 2, &["not a size in bytes"]);
}

#[test]
fn more_steps_or_text_than_can_be_are_refused() {
    refused(
        &["--steps", "18446744073709551615"],
        2,
        &["18446744073709551615 steps", "10000000 are the most"],
    );
    refused(&["--steps", "1000000000000"], 2, &["10000000 are the most"]);
    refused(&["--text", "/dev/zero"], 2, &["cannot train on /dev/zero", "byte"]);
}

#[test]
fn one_file_for_two_things_is_refused_before_it_is_lost() {
    let says = "writing one would destroy the other";
    refused(&["--text", "same.txt", "--report", "./same.txt"], 2, &[says, "--text and --report"]);
    refused(&["--text", "same.txt", "--json", "same.txt"], 2, &[says, "--text and --json"]);
    refused(&["--json", "new.x", "--report", "new.x"], 2, &[says, "--report and --json"]);
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_arenite"))
        .args(["train", "--steps", "100000", "--json", "run.json"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // It is at work as soon as it has a child of its own.
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    while std::fs::read_to_string(&children).is_ok_and(|found| found.is_empty()) {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn system_with_recycling_and_arena_without_are_to_be_had() {
    let folder = tempfile::tempdir().unwrap();
    for (memory, recycle, calls) in [("system", "all", 92.0), ("arena", "none", 200.0)] {
        let own = ["train", "--memory", memory, "--recycle", recycle, "--no-report", "--json", "run.json"];
        let output = arenite(folder.path(), &[&own[..], &TINY[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("run.json")).unwrap()).unwrap();
        let found = json["strategies"][0]["system_calls_per_step"].as_f64().unwrap();
        assert!(found > 0.0 && found < calls, "{memory}: {found} calls");
        assert!(
            json["command"].as_str().unwrap().contains(&format!("--recycle {recycle}")),
            "{}",
            json["command"]
        );
    }
}

#[test]
fn paths_that_cannot_be_written_are_refused_before_training() {
    refused(&["--report", "no/such/folder/report.html"], 1, &["cannot write no/such/folder/report.html"]);
    refused(&["--report", "."], 1, &["cannot write ."]);
    refused(&["--json", "no/such/folder/run.json"], 1, &["cannot write no/such/folder/run.json"]);
}

#[test]
fn a_limit_too_small_to_train_in_is_refused_with_every_number() {
    let says = [
        "asked",
        "of `train`: limit reached",
        "in use",
        "held",
        "largest free",
        "limit 100 KiB",
        "raise the limit",
    ];
    for memory in ["system", "pool", "arena"] {
        refused(&[&["--memory", memory, "--limit", "100K"], &TINY[..]].concat(), 1, &says);
    }
}

#[test]
fn every_strategy_learns_the_same_and_the_arena_asks_the_system_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = arenite(folder.path(), &[&["train", "--json", "run.json"], &TINY[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("run.json")).unwrap()).unwrap();
    let strategies = json["strategies"].as_array().unwrap();
    let names: Vec<_> = strategies.iter().map(|strategy| strategy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["system", "pool", "arena"]);
    for strategy in strategies {
        let losses = strategy["losses"].as_array().unwrap();
        assert_eq!(losses.len(), 20);
        assert_eq!(losses, strategies[0]["losses"].as_array().unwrap());
        assert!(losses[19].as_f64() < losses[0].as_f64(), "{losses:?}");
        for field in
            ["step_ms_median", "step_ms_p95", "allocs_per_step", "peak_in_use", "peak_held", "rss_peak"]
        {
            assert!(
                strategy[field].as_f64().is_some_and(|value| value > 0.0),
                "{field}: {}",
                strategy[field]
            );
        }
        assert!(strategy["peak_held"].as_u64() >= strategy["peak_in_use"].as_u64());
    }
    assert!(strategies[0]["system_calls_per_step"].as_f64().unwrap() > 0.0);
    for strategy in &strategies[1..] {
        // Memory that does not stay takes a fault a step at least. Not none at all is asked for: a page that the kernel moves
        // to make room for a huge page of some other program (compaction) is faulted in again, and counted, too.
        let faults = strategy["faults_per_step"].as_f64().unwrap();
        assert!(faults < 0.5, "{}: {faults} faults a step", strategy["name"]);
        assert_eq!(strategy["system_calls_per_step"].as_f64(), Some(0.0), "{}", strategy["name"]);
    }
    assert!(!json["sample"].as_str().unwrap().is_empty());
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("step_ms_median") && page.ends_with("</html>\n"));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("identical to the bit under system, pool, arena"), "{table}");
}

#[test]
fn text_from_a_file_and_no_page_when_none_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("verse.txt"),
        "the quick brown fox jumps over the lazy dog\n".repeat(50),
    )
    .unwrap();
    let own = ["train", "--text", "verse.txt", "--memory", "arena", "--no-report", "--sample", "20"];
    let output = arenite(folder.path(), &[&own[..], &TINY[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(folder.path()), ["verse.txt"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("the quick br"));
}

#[test]
fn doctor_says_what_it_cannot_write_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = arenite(folder.path(), &["doctor", "--json", "no/such/machine.json"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no/such/machine.json: No such file or directory"), "{text}");
    assert_eq!(arenite(folder.path(), &["doctor", "--jason"]).status.code(), Some(2));
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn help_has_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["train", "doctor"] {
        let output = arenite(folder.path(), &[command, "--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Examples:") && text.contains("--json"), "{text}");
    }
}
