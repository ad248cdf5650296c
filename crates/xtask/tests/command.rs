//! The command line: help and usage errors.

use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output()
}

#[test]
fn command_help_has_an_example() {
    let help = xtask(&["--help"]).unwrap();
    let text = String::from_utf8_lossy(&help.stdout);
    assert_eq!(help.status.code(), Some(0));
    assert!(text.contains("cargo xtask test --fast") && text.contains("Usage: cargo xtask"), "{text}");
}

#[test]
fn command_refuses_unknown_arguments() {
    for arguments in [&["tset"][..], &[], &["test", "--fats"], &["style", "--all"]] {
        let refused = xtask(arguments).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(!refused.stderr.is_empty());
    }
}

#[test]
fn command_style_prints_problems_of_a_path() {
    let style = xtask(&["style", "crates/xtask/"]).unwrap();
    let text = String::from_utf8_lossy(&style.stdout);
    assert!(text.ends_with("0 problems\n"), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("crates/rivals/")), "{text}");
}
