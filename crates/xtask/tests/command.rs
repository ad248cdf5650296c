//! The command line: its help and its refusals.

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
fn command_refuses_what_it_does_not_know() {
    for arguments in [&["tset"][..], &[], &["test", "--fats"]] {
        let refused = xtask(arguments).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(!refused.stderr.is_empty());
    }
}
