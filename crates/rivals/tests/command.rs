//! The command line: its help, its errors and its file.

use rivals::Report;
use std::path::Path;
use std::process::Command;

/// Runs the command and returns its exit status, standard output and standard error.
fn rivals(arguments: &[&str]) -> std::io::Result<(Option<i32>, String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_rivals")).args(arguments).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn unknown_suite_fails_with_the_names_of_all_suites() {
    let (status, _, error) = rivals(&["stack"]).unwrap();
    assert_eq!(status, Some(2));
    assert!(
        ["stack", "arena", "pool", "heap", "step", "pages", "ring"].iter().all(|name| error.contains(name)),
        "{error}"
    );
}

#[test]
fn command_line_without_suite_or_with_zero_rounds_fails() {
    assert_eq!(rivals(&[]).unwrap().0, Some(2));
    assert_eq!(rivals(&["pool", "--rounds", "0"]).unwrap().0, Some(2));
}

#[test]
fn the_help_has_an_example() {
    let (status, help, _) = rivals(&["--help"]).unwrap();
    assert_eq!(status, Some(0));
    assert!(help.contains("cargo run --release -p rivals -- arena"), "{help}");
}

#[test]
fn unwritable_file_fails_before_the_first_round() {
    let (status, out, error) = rivals(&["pool", "--quick", "--json", "/nowhere/at/all.json"]).unwrap();
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(error.contains("/nowhere/at/all.json"), "{error}");
}

#[test]
fn two_suites_write_an_array_that_replaces_a_longer_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("two.json");
    let name = |path: &Path| path.to_string_lossy().into_owned();
    std::fs::write(&path, "x".repeat(1 << 20)).unwrap();
    let (status, out, error) =
        rivals(&["pool", "step", "--quick", "--rounds", "1", "--json", &name(&path)]).unwrap();
    assert_eq!(status, Some(0), "{error}");
    let reports: Vec<Report> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let suites: Vec<&str> = reports.iter().map(|report| report.suite.as_str()).collect();
    assert_eq!(suites, ["pool", "step"]);
    assert!(out.contains("pair, 64 B"), "{out}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file is left");
}
