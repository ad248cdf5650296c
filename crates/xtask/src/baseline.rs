//! The style problems that are tolerated until their files are reworked: a count per file and rule.
//!
//! The counts only go down. A file without a line in the baseline has no style problems.

use crate::style::{Problem, Rule};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// Path of the baseline file from the workspace's root.
pub const PATH: &str = "crates/xtask/style-baseline.txt";

/// Directories whose files are never in the baseline.
pub const STRICT: [&str; 3] = ["crates/arenite-core/", "crates/arenite-alloc/", "crates/arenite-pages/"];

const HEADER: &str =
    "# Tolerated style problems: path, rule, count. Written by `cargo xtask style --write-baseline`.\n";

/// The number of tolerated problems of each file and rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    counts: BTreeMap<(String, Rule), usize>,
}

impl Baseline {
    /// Reads the baseline file of the workspace in `root`. A file that does not exist is empty.
    ///
    /// # Errors
    /// A file that cannot be read, or is not a baseline.
    pub fn read(root: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(root.join(PATH)) {
            Ok(text) => Self::parse(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(io::Error::new(error.kind(), format!("{PATH}: {error}"))),
        }
    }

    /// Returns the baseline in `text`: one line `path rule count` for each file and rule.
    ///
    /// # Errors
    /// The first line that is not of this form, or repeats a file and rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut counts = BTreeMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let wrong = || format!("{PATH}:{}: not a line of the form `path rule count`: {line:?}", at + 1);
            let [path, rule, count] = line.split(' ').collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
            let rule = Rule::ALL.into_iter().find(|known| known.name() == rule).ok_or_else(wrong)?;
            let count: usize = count.parse().ok().filter(|&count| count > 0).ok_or_else(wrong)?;
            if counts.insert((path.to_owned(), rule), count).is_some() {
                return Err(format!("{PATH}:{}: a second line for `{path} {}`", at + 1, rule.name()));
            }
        }
        Ok(Self { counts })
    }

    /// Returns the baseline that tolerates `problems`, those of [`STRICT`] directories excepted.
    pub fn tolerating(problems: &[Problem]) -> Self {
        let mut counts = counts(problems);
        counts.retain(|(path, _), _| !is_strict(path));
        Self { counts }
    }

    /// Returns this baseline with each count lowered to the number of `problems`.
    pub fn lowered(&self, problems: &[Problem]) -> Self {
        let real = counts(problems);
        let lower = |(key, &count): (&(String, Rule), &usize)| {
            let count = count.min(real.get(key).copied().unwrap_or(0));
            (count > 0 && !is_strict(&key.0)).then(|| (key.clone(), count))
        };
        Self { counts: self.counts.iter().filter_map(lower).collect() }
    }

    /// Returns the text of the baseline file.
    pub fn to_text(&self) -> String {
        let mut text = HEADER.to_owned();
        for ((path, rule), count) in &self.counts {
            let written = writeln!(text, "{path} {} {count}", rule.name());
            debug_assert!(written.is_ok(), "a `String` accepts every write");
        }
        text
    }

    /// Returns the number of tolerated problems.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// Returns a line for each difference between the baseline and `problems`.
    ///
    /// A file and rule with more problems than tolerated yields all of them, since the count does
    /// not tell which are new.
    pub fn differences(&self, problems: &[Problem]) -> Vec<String> {
        let real = counts(problems);
        let mut found = Vec::new();
        for (path, rule) in self.counts.keys().filter(|(path, _)| is_strict(path)) {
            found.push(format!("{PATH}: {path} {}: this directory has no baseline", rule.name()));
        }
        for (key, &count) in &real {
            let (path, rule) = key;
            let allowed = self.counts.get(key).copied().unwrap_or(0);
            if count > allowed {
                let same = problems.iter().filter(|problem| problem.path == *path && problem.rule == *rule);
                found.extend(same.map(ToString::to_string));
                let rule = rule.name();
                found.push(format!("{path}: {count} problems of `{rule}`, the baseline allows {allowed}"));
            }
        }
        for (key, &allowed) in &self.counts {
            let count = real.get(key).copied().unwrap_or(0);
            if count < allowed {
                let (path, rule) = (&key.0, key.1.name());
                found.push(format!(
                    "{path}: {count} problems of `{rule}`, the baseline allows {allowed}: lower the baseline with `cargo xtask style --write-baseline`"
                ));
            }
        }
        found
    }
}

fn counts(problems: &[Problem]) -> BTreeMap<(String, Rule), usize> {
    let mut counts = BTreeMap::new();
    for problem in problems {
        *counts.entry((problem.path.clone(), problem.rule)).or_insert(0) += 1;
    }
    counts
}

fn is_strict(path: &str) -> bool {
    STRICT.iter().any(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(path: &str, rule: Rule, line: usize) -> Problem {
        Problem { path: path.into(), line, rule, message: "m".into() }
    }

    fn problems() -> Vec<Problem> {
        let mut all: Vec<Problem> = (1..=3).map(|line| problem("a.rs", Rule::Width, line)).collect();
        all.push(problem("b.rs", Rule::Verb, 7));
        all
    }

    #[test]
    fn baseline_that_matches_has_no_differences() {
        let baseline = Baseline::parse("# words\na.rs width 3\nb.rs verb 1\n").unwrap();
        assert_eq!(baseline.differences(&problems()), [""; 0]);
        assert_eq!(baseline, Baseline::tolerating(&problems()));
        assert_eq!(Baseline::parse(&baseline.to_text()).unwrap(), baseline);
        assert_eq!(baseline.total(), 4);
    }

    #[test]
    fn baseline_below_the_real_count_shows_every_problem_of_the_file_and_rule() {
        let found = Baseline::parse("a.rs width 2\n").unwrap().differences(&problems());
        assert_eq!(
            found,
            [
                "a.rs:1: m",
                "a.rs:2: m",
                "a.rs:3: m",
                "a.rs: 3 problems of `width`, the baseline allows 2",
                "b.rs:7: m",
                "b.rs: 1 problems of `verb`, the baseline allows 0",
            ]
        );
    }

    #[test]
    fn baseline_above_the_real_count_must_be_lowered() {
        let baseline = Baseline::parse("a.rs width 4\nb.rs verb 1\nc.rs words 1\n").unwrap();
        let found = baseline.differences(&problems());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.rs: 3 problems of `width`, the baseline allows 4: lower"));
        assert!(found[1].starts_with("c.rs: 0 problems of `words`, the baseline allows 1: lower"));
    }

    #[test]
    fn baseline_lowered_never_gains_a_problem() {
        let old = Baseline::parse("a.rs width 2\nb.rs verb 5\nc.rs words 1\n").unwrap();
        let lowered = old.lowered(&problems());
        assert_eq!(lowered, Baseline::parse("a.rs width 2\nb.rs verb 1\n").unwrap());
        assert_eq!(lowered.lowered(&[]), Baseline::default());
    }

    #[test]
    fn baseline_has_no_line_of_a_strict_directory() {
        for directory in STRICT {
            let path = format!("{directory}src/a.rs");
            let problems = [problem(&path, Rule::Words, 1)];
            let baseline = Baseline::parse(&format!("{path} words 1\n")).unwrap();
            let found = baseline.differences(&problems);
            assert!(found.len() == 1 && found[0].ends_with("has no baseline"), "{found:?}");
            assert_eq!(baseline.lowered(&problems), Baseline::default());
            assert_eq!(Baseline::tolerating(&problems), Baseline::default());
        }
    }

    #[test]
    fn baseline_of_a_wrong_form_is_an_error() {
        for line in ["a.rs width", "a.rs height 1", "a.rs width 0", "a.rs width x", "a.rs width 1 2", ""] {
            let error = Baseline::parse(&format!("# words\n{line}\n")).unwrap_err();
            assert!(error.starts_with("crates/xtask/style-baseline.txt:2: not a line"), "{error}");
        }
        let twice = Baseline::parse("a.rs width 1\na.rs width 1\n").unwrap_err();
        assert!(twice.ends_with("a second line for `a.rs width`"), "{twice}");
    }
}
