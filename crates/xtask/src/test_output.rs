//! Reads along while tests run: counts, collects what was skipped, and keeps the chatter of passed tests off the screen.
//!
//! Rests on the lines that libtest prints with `--show-output`. A test that finds a part of the machine missing prints
//! `skipped: …` or `skipped the check …` and passes; libtest hides what a passed test prints, so it is asked to show it
//! all, and only here is it thrown away again.

/// What tests have said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Tests that libtest calls passed.
    pub passed: u64,
    /// How many of them said that they were skipped as a whole (`skipped: …`) and so showed nothing.
    pub stood_out: u64,
    /// Names of those that failed.
    pub failed: Vec<String>,
    /// What was skipped: the test, and its words.
    pub skips: Vec<String>,
    hiding: bool,
    test: String,
    /// Whether the test whose words are read has said that it stood out.
    stands_out: bool,
}

impl Reading {
    /// Takes note of `line`, which has no line end, and says whether it should be shown.
    pub fn read(&mut self, line: &str) -> bool {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.hiding = false;
            self.passed += counts.split_once(" passed").and_then(|(before, _)| number(before)).unwrap_or(0);
            return true;
        }
        match line {
            "successes:" => self.hiding = true,
            "failures:" => self.hiding = false,
            _ => {}
        }
        if let Some((name, answer)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            self.answered(name, answer);
        } else if let Some(name) =
            line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            name.clone_into(&mut self.test);
            self.stands_out = false;
        } else if line.starts_with("skipped") {
            if self.hiding && line.starts_with("skipped:") && !self.stands_out {
                self.stands_out = true;
                self.stood_out += 1;
            }
            self.skips.push(format!("{}: {line}", self.test));
        }
        !self.hiding
    }

    fn answered(&mut self, name: &str, answer: &str) {
        if answer.starts_with("FAILED") {
            self.failed.push(name.to_owned());
        } else if let Some(reason) = answer.strip_prefix("ignored") {
            self.skips.push(format!("{name}: ignored{reason}"));
        }
    }
}

/// The number that `text` ends with.
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
a line nobody needs

skipped: and no second browser

---- other stdout ----
skipped the check of huge pages: none
much talk

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
    fn reading_counts_and_collects() {
        let mut reading = Reading::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| reading.read(line)).collect();
        assert_eq!((reading.passed, reading.stood_out), (2, 1), "one of the two showed nothing");
        assert_eq!(reading.failed, ["wrong"]);
        assert_eq!(
            reading.skips,
            [
                "slow: ignored, needs two nodes",
                "page::opens: skipped: no Chromium found",
                "page::opens: skipped: and no second browser",
                "other: skipped the check of huge pages: none",
            ]
        );
        assert!(!shown.iter().any(|line| line.contains("nobody needs") || line.contains("much talk")));
        assert!(shown.contains(&"thread 'wrong' panicked: skipped nothing"));
        assert!(shown.contains(&"test page::opens ... ok"));
    }

    #[test]
    fn reading_goes_on_after_a_test_program() {
        let mut reading = Reading::default();
        for line in OUTPUT.lines().chain(OUTPUT.lines()) {
            reading.read(line);
        }
        assert_eq!((reading.passed, reading.stood_out, reading.skips.len()), (4, 2, 8));
        assert!(reading.read("any line"));
    }

    #[test]
    fn reading_lets_other_programs_speak() {
        let mut reading = Reading::default();
        assert!(["Diff in a.rs:3:", "test", "---- ", ""].iter().all(|line| reading.read(line)));
        assert_eq!(reading, Reading::default());
    }
}
