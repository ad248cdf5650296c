//! A job inside a memory limit that it does not fit in: killed as it is, finished with its caches in a spill.
//!
//! Rests on the built command. Where no control group may be made, the limit is the process's, and the test says so.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn arenite(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arenite")).args(arguments).output().expect("the command runs")
}

/// The job in 512 MiB with 640 MiB of caches; what it printed, and the figures.
fn squeezed(more: &[&str], job: &[&str]) -> (Output, Value) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for a test");
    let json = folder.path().join("figures.json");
    let json = json.to_str().expect("a path of letters");
    let mut arguments = vec!["squeeze", "--limit", "512M", "--json", json];
    arguments.extend(more);
    arguments.extend(["--", env!("CARGO_BIN_EXE_arenite"), "caches"]);
    arguments.extend(job);
    if job.contains(&"--spill") {
        arguments.extend(["--folder", folder.path().to_str().expect("a path of letters")]);
    }
    let output = arenite(&arguments);
    let figures = std::fs::read(json).unwrap_or_else(|_| panic!("{output:?}"));
    (output, serde_json::from_slice(&figures).expect("figures"))
}

fn a_job_that_would_die_finishes(more: &[&str]) {
    let free = arenite(&["caches"]);
    assert!(free.status.success(), "{free:?}");
    let (died, figures) = squeezed(more, &[]);
    assert!(!died.status.success() && figures["survived"] == false, "{figures}");
    if figures["by"] == "cgroup" {
        assert_eq!((died.status.code(), &figures["killed_by_limit"]), (Some(137), &Value::Bool(true)));
        assert!(figures["met_limit"].as_u64() > Some(0), "who is killed by a limit has met it: {figures}");
    } else if more.is_empty() {
        println!("skipped the control group: none may be made here; the limit was the process's");
    }
    let (survived, figures) = squeezed(more, &["--spill"]);
    assert!(survived.status.success() && figures["survived"] == true, "{figures} {survived:?}");
    assert_eq!(survived.stdout, free.stdout, "slower, and the same sum");
    assert!(figures["gave_back"].as_u64().expect("a number") > 128 << 20, "{figures}");
    assert!(figures["resident_peak"].as_u64().expect("a number") < 512 << 20, "{figures}");
    let said = String::from_utf8(survived.stderr).expect("text");
    assert!(said.contains("survived in 512 MiB by") && said.contains("gave back"), "{said}");
}

#[test]
fn u39_r24_a_job_that_would_die_in_a_control_group_finishes_with_a_handler() {
    a_job_that_would_die_finishes(&[]);
}

#[test]
fn u39_r24_and_so_it_does_under_a_limit_of_the_process() {
    a_job_that_would_die_finishes(&["--rlimit"]);
}

#[test]
fn u39_exit_codes_are_the_programs_and_bad_input_is_2() {
    let code = |arguments: &[&str]| {
        let output = arenite(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(code(&["squeeze", "--limit", "64M", "--", "true"]).0, 0);
    assert_eq!(code(&["squeeze", "--limit", "64M", "--", "sh", "-c", "exit 7"]).0, 7);
    assert_eq!(code(&["squeeze", "--limit", "64M", "--", "sh", "-c", "kill -TERM $$"]).0, 128 + 15);
    for (arguments, said) in [
        (&["squeeze", "--limit", "64M", "--", "/nonexistent"][..], "no program"),
        (&["squeeze", "--limit", "10", "--", "true"], "at least 1M"),
        (&["squeeze", "--limit", "many", "--", "true"], "many"),
        (&["squeeze", "--limit", "64M"], "PROGRAM"),
        (&["squeeze", "--limit", "64M", "--json", "/nonexistent/f", "--", "true"], "/nonexistent/f"),
    ] {
        let (code, text) = code(arguments);
        assert!(code == 2 && text.contains(said), "{code}: {text}");
    }
    let help = arenite(&["squeeze", "--help"]);
    assert!(String::from_utf8(help.stdout).unwrap().contains("Examples:"));
    assert!(!Path::new("/sys/fs/cgroup/memory/arenite-squeeze").exists());
}
