//! A reader of the output of tests: counts, skips, and failures.
//!
//! libtest hides the output of passed tests, and a test that lacks a part of the machine prints
//! `skipped: …` and passes. So libtest runs with `--show-output`, and this reader hides the rest.

/// The results in the output so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestOutput {
    /// Number of tests that passed according to libtest.
    pub passed: u64,
    /// Number of passed tests that printed `skipped: …` and thus checked nothing.
    pub skipped: u64,
    /// Names of the failed tests.
    pub failed: Vec<String>,
    /// Names of tests that skipped something, each with the line that it printed.
    pub skips: Vec<String>,
    is_hidden: bool,
    test: String,
    /// Whether the test whose output is read has printed `skipped: …`.
    is_skipped: bool,
}

impl TestOutput {
    /// Reads `line`, which has no line end. Returns whether it should be shown.
    pub fn read(&mut self, line: &str) -> bool {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.is_hidden = false;
            self.passed += counts.split_once(" passed").and_then(|(before, _)| number(before)).unwrap_or(0);
            return true;
        }
        match line {
            "successes:" => self.is_hidden = true,
            "failures:" => self.is_hidden = false,
            _ => {}
        }
        if let Some((name, answer)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            self.record_result(name, answer);
        } else if let Some(name) =
            line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            name.clone_into(&mut self.test);
            self.is_skipped = false;
        } else if line.starts_with("skipped") {
            if self.is_hidden && line.starts_with("skipped:") && !self.is_skipped {
                self.is_skipped = true;
                self.skipped += 1;
            }
            self.skips.push(format!("{}: {line}", self.test));
        }
        !self.is_hidden
    }

    fn record_result(&mut self, name: &str, answer: &str) {
        if answer.starts_with("FAILED") {
            self.failed.push(name.to_owned());
        } else if let Some(reason) = answer.strip_prefix("ignored") {
            self.skips.push(format!("{name}: ignored{reason}"));
        }
    }
}

/// Returns the number at the end of `text`.
fn number(text: &str) -> Option<u64> {
    text.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 4 tests
test page::opens ... ok
test other ... ok
test slow ... ignored, needs two nodes
test wrong ... FAILED

successes:

---- page::opens stdout ----
skipped: no Chromium found
a line of output

skipped: and no second browser

---- other stdout ----
skipped the check of huge pages: none
more output

successes:
    other
    page::opens

failures:

---- wrong stdout ----
thread 'wrong' panicked: skipped nothing

failures:
    wrong

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn test_output_counts_and_collects() {
        let mut output = TestOutput::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| output.read(line)).collect();
        assert_eq!((output.passed, output.skipped), (2, 1), "one of the two showed nothing");
        assert_eq!(output.failed, ["wrong"]);
        assert_eq!(
            output.skips,
            [
                "slow: ignored, needs two nodes",
                "page::opens: skipped: no Chromium found",
                "page::opens: skipped: and no second browser",
                "other: skipped the check of huge pages: none",
            ]
        );
        assert!(!shown.iter().any(|line| line.contains("line of output") || line.contains("more output")));
        assert!(shown.contains(&"thread 'wrong' panicked: skipped nothing"));
        assert!(shown.contains(&"test page::opens ... ok"));
    }

    #[test]
    fn test_output_continues_after_a_test_program() {
        let mut output = TestOutput::default();
        for line in OUTPUT.lines().chain(OUTPUT.lines()) {
            output.read(line);
        }
        assert_eq!((output.passed, output.skipped, output.skips.len()), (4, 2, 8));
        assert!(output.read("any line"));
    }

    #[test]
    fn test_output_shows_the_output_of_other_programs() {
        let mut output = TestOutput::default();
        assert!(["Diff in a.rs:3:", "test", "---- ", ""].iter().all(|line| output.read(line)));
        assert_eq!(output, TestOutput::default());
    }
}
