//! The table at the end of a run: step, seconds, outcome, and everything that was skipped.
//!
//! The table comes last and is complete, so that a skipped test is seen without scrolling back.

use crate::run::{Outcome, StepResult};
use std::fmt::Write;

/// Returns the table of `all`.
pub fn summary(all: &[StepResult]) -> String {
    let width = all.iter().map(|done| done.name.chars().count()).max().unwrap_or(0).max(4);
    let mut text = format!("\n{:width$}  seconds  outcome\n", "step");
    for done in all {
        let seconds = done.duration.as_secs_f64();
        let outcome = match &done.outcome {
            Outcome::Passed { tests: 0, skipped: 0 } => "passed".to_owned(),
            Outcome::Passed { tests, skipped: 0 } => format!("passed, {tests} tests"),
            Outcome::Passed { tests, skipped } => format!("passed, {tests} tests, and {skipped} skipped"),
            Outcome::Failed(why) => format!("FAILED: {why}"),
            Outcome::Skipped => "skipped".to_owned(),
        };
        line(&mut text, format_args!("{:width$}  {seconds:7.1}  {outcome}", done.name));
    }
    let total: f64 = all.iter().map(|done| done.duration.as_secs_f64()).sum();
    line(&mut text, format_args!("{:width$}  {total:7.1}", "all"));
    let skips: Vec<(&str, &String)> =
        all.iter().flat_map(|done| done.skips.iter().map(|skip| (done.name.as_str(), skip))).collect();
    if skips.is_empty() {
        text.push_str("\nNothing was skipped.\n");
    } else {
        text.push_str("\nSkipped:\n");
        for (step, skip) in skips {
            line(&mut text, format_args!("  {step}: {skip}"));
        }
    }
    text
}

/// Returns whether no step failed.
pub fn passed(all: &[StepResult]) -> bool {
    !all.iter().any(|done| matches!(done.outcome, Outcome::Failed(_)))
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // A write to a `String` cannot fail.
    let written = text.write_fmt(content);
    debug_assert!(written.is_ok());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn done(name: &str, outcome: Outcome, skips: &[&str]) -> StepResult {
        let skips = skips.iter().map(|&skip| skip.to_owned()).collect();
        StepResult { name: name.into(), duration: Duration::from_millis(1500), outcome, skips }
    }

    #[test]
    fn summary_shows_each_step_and_each_skip() {
        let all = [
            done(
                "tests of every crate",
                Outcome::Passed { tests: 12, skipped: 1 },
                &["page: skipped: no Chromium found"],
            ),
            done("models", Outcome::Skipped, &["skipped: --fast"]),
            done("lints", Outcome::Failed("cargo clippy: exit status: 101".into()), &[]),
            done("format", Outcome::Passed { tests: 0, skipped: 0 }, &[]),
        ];
        let text = summary(&all);
        for words in [
            "tests of every crate      1.5  passed, 12 tests, and 1 skipped\n",
            "models                    1.5  skipped\n",
            "lints                     1.5  FAILED: cargo clippy: exit status: 101\n",
            "format                    1.5  passed\n",
            "all                       6.0\n",
            "  tests of every crate: page: skipped: no Chromium found\n",
            "  models: skipped: --fast\n",
        ] {
            assert!(text.contains(words), "{words:?} is not in:\n{text}");
        }
        assert!(!passed(&all) && passed(&all[..2]));
    }

    #[test]
    fn summary_shows_that_nothing_was_skipped() {
        assert!(
            summary(&[done("format", Outcome::Passed { tests: 0, skipped: 0 }, &[])])
                .contains("Nothing was skipped.")
        );
    }
}
