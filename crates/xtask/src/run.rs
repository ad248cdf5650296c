//! The runner of a plan: one step at a time, with its output shown as it comes.
//!
//! A step that fails does not stop the next one, so that one run shows everything that is broken.

use crate::plan::{Call, Step};
use crate::test_output::TestOutput;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every call succeeded.
    Passed {
        /// Number of tests that ran.
        tests: u64,
        /// Number of tests that skipped themselves for lack of a part of the machine.
        skipped: u64,
    },
    /// A call failed, for this reason.
    Failed(String),
    /// Nothing ran. The step's skips give the reason.
    Skipped,
}

/// A finished step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// Name of the step.
    pub name: String,
    /// Duration of the step.
    pub duration: Duration,
    /// Outcome of the step.
    pub outcome: Outcome,
    /// The parts that were left out, and why.
    pub skips: Vec<String>,
}

/// Runs every step with `cargo` and copies the output of its calls to `out`.
///
/// # Errors
/// A failed write to `out`. A call that could not be started fails its step instead.
pub fn run(cargo: &OsString, steps: Vec<Step>, out: &mut impl Write) -> io::Result<Vec<StepResult>> {
    let mut all = Vec::new();
    for step in steps {
        let start = Instant::now();
        let mut output = TestOutput::default();
        let mut outcome =
            if step.calls.is_empty() { Outcome::Skipped } else { Outcome::Passed { tests: 0, skipped: 0 } };
        for call in &step.calls {
            writeln!(out, "\n── {}: cargo {}", step.name, call.arguments.join(" "))?;
            if let Err(why) = run_call(cargo, call, &mut output, out)? {
                outcome = Outcome::Failed(why);
            }
        }
        if let Outcome::Passed { tests, skipped } = &mut outcome {
            (*tests, *skipped) = (output.passed.saturating_sub(output.skipped), output.skipped);
            if step.tests && output.passed == 0 {
                outcome = Outcome::Failed("no test was run".to_owned());
            }
        }
        let skips = [step.skips, output.skips].concat();
        all.push(StepResult { name: step.name, duration: start.elapsed(), outcome, skips });
    }
    Ok(all)
}

/// Runs one call. The inner error is the reason of its failure.
fn run_call(
    cargo: &OsString,
    call: &Call,
    output: &mut TestOutput,
    out: &mut impl Write,
) -> io::Result<Result<(), String>> {
    let mut command = Command::new(cargo);
    command.args(&call.arguments).envs(&call.variables).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Err(format!("{} could not be started: {error}", cargo.display()))),
    };
    let failed_before = output.failed.len();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            if output.read(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])) {
                out.write_all(&line)?;
                out.flush()?;
            }
            line.clear();
        }
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(Ok(()));
    }
    let failed = &output.failed[failed_before..];
    Ok(Err(if failed.is_empty() {
        format!("cargo {}: {status}", call.arguments[0])
    } else {
        failed.join(", ")
    }))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// Returns a step whose calls are shell scripts. The shell replaces cargo.
    fn scripts(tests: bool, scripts: &[&str]) -> Step {
        let call = |script: &&str| Call { arguments: vec!["-c".into(), (*script).into()], ..Call::default() };
        Step { name: "step".into(), calls: scripts.iter().map(call).collect(), tests, ..Step::default() }
    }

    fn run_step(program: &str, step: Step) -> (StepResult, String) {
        let mut out = Vec::new();
        let done = run(&program.into(), vec![step], &mut out).unwrap().remove(0);
        (done, String::from_utf8(out).unwrap())
    }

    #[test]
    fn run_sums_the_tests_of_its_calls() {
        let one = "echo 'test result: ok. 3 passed; 0 failed'";
        let (done, out) = run_step("sh", scripts(true, &[one, one]));
        assert_eq!(done.outcome, Outcome::Passed { tests: 6, skipped: 0 });
        assert_eq!(out.matches("3 passed").count(), 4, "each command and each answer is shown: {out}");
    }

    #[test]
    fn run_lists_failed_tests_and_continues() {
        let (done, out) =
            run_step("sh", scripts(true, &["echo 'test a ... FAILED'; exit 101", "echo 'skipped: b'"]));
        assert_eq!(done.outcome, Outcome::Failed("a".into()));
        assert_eq!(done.skips, [": skipped: b"]);
        assert!(out.contains("\nskipped: b\n"), "{out}");
    }

    #[test]
    fn run_fails_if_no_test_ran() {
        assert_eq!(
            run_step("sh", scripts(true, &["true"])).0.outcome,
            Outcome::Failed("no test was run".into())
        );
        assert_eq!(
            run_step("sh", scripts(false, &["true"])).0.outcome,
            Outcome::Passed { tests: 0, skipped: 0 }
        );
    }

    #[test]
    fn run_fails_with_the_exit_code_if_no_test_failed() {
        let (done, _) = run_step("sh", scripts(false, &["exit 7"]));
        assert!(matches!(&done.outcome, Outcome::Failed(why) if why.contains('7')), "{done:?}");
    }

    #[test]
    fn run_fails_if_the_program_is_missing() {
        let (done, _) = run_step("/no/cargo/here", scripts(false, &["true"]));
        assert!(
            matches!(&done.outcome, Outcome::Failed(why) if why.contains("could not be started")),
            "{done:?}"
        );
    }

    #[test]
    fn run_skips_a_step_without_calls() {
        let step = Step { skips: vec!["skipped: --fast".into()], ..scripts(true, &[]) };
        let (done, _) = run_step("sh", step);
        assert_eq!((done.outcome, done.skips), (Outcome::Skipped, vec!["skipped: --fast".to_owned()]));
    }
}
