//! The steps of a run, and the commands of each step.
//!
//! A plan is plain data and made before anything runs. So a test can check what would run on a
//! machine without a compiler or a browser.

use crate::graph::Graph;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A call of `cargo`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Arguments of `cargo`.
    pub arguments: Vec<String>,
    /// Environment variables that are set in addition to the inherited ones.
    pub variables: BTreeMap<&'static str, OsString>,
}

/// Calls that pass or fail together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Name of the step in the summary.
    pub name: String,
    /// The calls, in order. A step without calls is skipped, and `skips` gives the reason.
    pub calls: Vec<Call>,
    /// The parts that are left out, and why.
    pub skips: Vec<String>,
    /// Whether the step runs tests. A step of tests that ran none has failed.
    pub tests: bool,
}

/// The properties of the machine that a plan depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Whether there is a C++ compiler, which snmalloc is built with.
    pub has_cpp: bool,
    /// Whether there is `make`, which jemalloc is built with.
    pub has_make: bool,
    /// `RUSTFLAGS` of the caller.
    pub rustflags: Option<OsString>,
    /// `CARGO_ENCODED_RUSTFLAGS` of the caller, which override `RUSTFLAGS`.
    pub encoded_rustflags: Option<OsString>,
}

impl Machine {
    /// Detects the properties of this machine.
    pub fn detect() -> Self {
        let directories: Vec<PathBuf> =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        let found = |name: &str| directories.iter().any(|directory| directory.join(name).is_file());
        Self {
            // The `cc` crate uses the compiler in `CXX`, or `c++`.
            has_cpp: std::env::var_os("CXX").is_some() || found("c++"),
            has_make: found("make"),
            rustflags: std::env::var_os("RUSTFLAGS"),
            encoded_rustflags: std::env::var_os("CARGO_ENCODED_RUSTFLAGS"),
        }
    }
}

/// Arguments that make libtest print the output of passed tests.
///
/// [`test_output`](crate::test_output) reads that output and does not show it.
const SHOW_OUTPUT: [&str; 2] = ["--", "--show-output"];

/// Features of `rivals`, in the order of its manifest.
const RIVALS_FEATURES: [&str; 4] = ["mimalloc", "jemalloc", "snmalloc", "rpmalloc"];

impl Machine {
    /// Returns the features of `rivals` that cannot be built on this machine, and why.
    fn missing_rivals(&self) -> Vec<(&'static str, &'static str)> {
        let jemalloc = (!self.has_make).then_some(("jemalloc", "there is no make (apt-get install make)"));
        let snmalloc = (!self.has_cpp)
            .then_some(("snmalloc", "there is no C++ compiler (apt-get install g++, or set CXX)"));
        jemalloc.into_iter().chain(snmalloc).collect()
    }

    /// Returns the options of a `cargo` call that builds `rivals`. None are needed if all of it can
    /// be built.
    fn rivals_options(&self) -> Vec<String> {
        let missing_rivals = self.missing_rivals();
        if missing_rivals.is_empty() {
            return Vec::new();
        }
        let available: Vec<&str> = RIVALS_FEATURES
            .into_iter()
            .filter(|feature| missing_rivals.iter().all(|(out, _)| out != feature))
            .collect();
        vec!["--no-default-features".to_owned(), "--features".to_owned(), available.join(",")]
    }

    fn rivals_skips(&self) -> Vec<String> {
        let skip = |(feature, why)| format!("skipped: {feature} in `rivals`, because {why}");
        self.missing_rivals().into_iter().map(skip).collect()
    }
}

fn call(arguments: &[&str]) -> Call {
    Call { arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(), ..Call::default() }
}

fn step(name: &str, calls: Vec<Call>) -> Step {
    Step { name: name.to_owned(), calls, ..Step::default() }
}

fn tests(name: &str, calls: Vec<Call>) -> Step {
    Step { tests: true, ..step(name, calls) }
}

/// Returns the plan of `cargo xtask test`: tests of every crate, models unless `fast`, source
/// checks.
pub fn test(graph: &Graph, machine: &Machine, fast: bool) -> Vec<Step> {
    let without = ["test", "--workspace", "--exclude", "xtask", "--no-fail-fast"];
    let mut all = tests("tests of every crate", for_workspace(graph, machine, &without, &SHOW_OUTPUT));
    all.skips = if has_rivals(graph) { machine.rivals_skips() } else { Vec::new() };
    let mut steps = vec![all];
    for member in &graph.members {
        for checker in CHECKERS {
            if member.uses.iter().any(|used| used.name == checker) {
                steps.push(models(graph, machine, checker, &member.name, fast));
            }
        }
    }
    steps.push(examples(graph));
    let checks = [&["test", "-p", "xtask", "--no-fail-fast"], &SHOW_OUTPUT[..]].concat();
    steps.push(tests("source checks", vec![call(&checks)]));
    steps
}

/// Returns the plan of `cargo xtask ci`: format, lints, tests, documentation, benchmarks.
///
/// Every benchmark runs once in a release build.
pub fn ci(graph: &Graph, machine: &Machine, fast: bool) -> Vec<Step> {
    let mut steps = lint_steps(graph, machine);
    steps.extend(test(graph, machine, fast));
    steps.extend(docs_and_benches(graph, machine));
    steps
}

/// Returns the plan of `cargo xtask check`: the steps of [`ci`] without those of [`test()`].
pub fn check(graph: &Graph, machine: &Machine) -> Vec<Step> {
    let mut steps = lint_steps(graph, machine);
    steps.extend(docs_and_benches(graph, machine));
    steps
}

/// Returns the step that runs every example of the published crates.
fn examples(graph: &Graph) -> Step {
    let mut all = Vec::new();
    for member in graph.members.iter().filter(|member| member.published) {
        for example in &member.examples {
            all.push(call(&["run", "--quiet", "-p", &member.name, "--example", example]));
        }
    }
    step("every example, run", all)
}

fn lint_steps(graph: &Graph, machine: &Machine) -> Vec<Step> {
    let lints = ["clippy", "--workspace", "--all-targets", "--keep-going"];
    let lints = for_workspace(graph, machine, &lints, &["--", "-D", "warnings"]);
    vec![step("format", vec![call(&["fmt", "--all", "--", "--check"])]), step("lints", lints)]
}

fn docs_and_benches(graph: &Graph, machine: &Machine) -> Vec<Step> {
    let mut pages = for_workspace(graph, machine, &["doc", "--workspace", "--no-deps", "--keep-going"], &[]);
    for page in &mut pages {
        page.variables.insert("RUSTDOCFLAGS", "-D warnings".into());
    }
    let mut steps = vec![step("documentation", pages)];
    if has_rivals(graph) {
        let mut release = call(&["test", "-p", "rivals", "--release", "--no-fail-fast"]);
        release.arguments.extend(machine.rivals_options());
        release.arguments.extend(SHOW_OUTPUT.map(str::to_owned));
        let skips = machine.rivals_skips();
        steps.push(Step { skips, ..tests("every benchmark once, in a release build", vec![release]) });
    }
    steps
}

fn has_rivals(graph: &Graph) -> bool {
    graph.members.iter().any(|member| member.name == "rivals")
}

/// Returns the calls of `cargo` with `arguments` and `last`. `--workspace` is one of the
/// arguments.
///
/// `rivals` has a call of its own if a part of it cannot be built.
fn for_workspace(graph: &Graph, machine: &Machine, arguments: &[&str], last: &[&str]) -> Vec<Call> {
    let options = machine.rivals_options();
    if options.is_empty() || !has_rivals(graph) {
        return vec![call(&[arguments, last].concat())];
    }
    let workspace = [arguments, &["--exclude", "rivals"], last].concat();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut rivals: Vec<&str> = vec![arguments[0], "-p", "rivals"];
    let mut rest = arguments[1..].iter();
    while let Some(&argument) = rest.next() {
        match argument {
            "--workspace" => {}
            "--exclude" => {
                rest.next();
            }
            _ => rivals.push(argument),
        }
    }
    vec![call(&workspace), call(&[&rivals[..], &options, last].concat())]
}

/// Model checkers. loom tries every interleaving of a small part, shuttle many of a whole heap.
const CHECKERS: [&str; 2] = ["loom", "shuttle"];

/// Returns the step that runs the models of one crate.
///
/// The target directory is separate because the flag rebuilds every crate.
fn models(graph: &Graph, machine: &Machine, checker: &str, name: &str, fast: bool) -> Step {
    let mut step = tests(&format!("{checker} models of {name}"), Vec::new());
    if fast {
        step.skips.push("skipped: --fast".to_owned());
        return step;
    }
    let mut models =
        call(&["test", "-p", name, "--lib", "--release", "--no-fail-fast", &format!("{checker}_")]);
    models.arguments.extend(SHOW_OUTPUT.map(str::to_owned));
    models.variables.insert("CARGO_TARGET_DIR", graph.target.join(checker).into());
    // cargo ignores `RUSTFLAGS` if the encoded flags are set.
    let (variable, flags, between) = match (&machine.encoded_rustflags, &machine.rustflags) {
        (Some(flags), _) => ("CARGO_ENCODED_RUSTFLAGS", Some(flags), "\x1f"),
        (None, flags) => ("RUSTFLAGS", flags.as_ref(), " "),
    };
    let mut all = flags.cloned().unwrap_or_default();
    if !all.is_empty() {
        all.push(between);
    }
    all.push(format!("--cfg{between}{checker}"));
    models.variables.insert(variable, all);
    step.calls.push(models);
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Kind, Member, Use};
    use std::collections::BTreeSet;

    fn graph() -> Graph {
        let checker = |name: &str| Use { name: name.into(), kind: Kind::Normal, features: BTreeSet::new() };
        let member = |name: &str, uses| Member {
            name: name.into(),
            directory: name.into(),
            published: true,
            uses,
            examples: vec![],
        };
        let shown = Member { examples: vec!["show".into()], ..member("a", vec![]) };
        let members =
            vec![shown, member("b", vec![checker("loom"), checker("shuttle")]), member("rivals", vec![])];
        Graph { root: "/w".into(), target: "/t".into(), members }
    }

    fn lines(steps: &[Step]) -> Vec<String> {
        steps.iter().flat_map(|step| &step.calls).map(|call| call.arguments.join(" ")).collect()
    }

    #[test]
    fn plan_tests_the_whole_workspace_with_a_cpp_compiler() {
        let machine = Machine { has_cpp: true, has_make: true, ..Machine::default() };
        let steps = test(&graph(), &machine, false);
        assert_eq!(
            lines(&steps),
            [
                "test --workspace --exclude xtask --no-fail-fast -- --show-output",
                "test -p b --lib --release --no-fail-fast loom_ -- --show-output",
                "test -p b --lib --release --no-fail-fast shuttle_ -- --show-output",
                "run --quiet -p a --example show",
                "test -p xtask --no-fail-fast -- --show-output",
            ]
        );
        assert!(steps.iter().all(|step| step.skips.is_empty()));
        assert_eq!(steps.iter().filter(|step| !step.tests).count(), 1, "examples are no tests");
    }

    #[test]
    fn plan_skips_snmalloc_without_a_cpp_compiler() {
        let steps = ci(&graph(), &Machine { has_make: true, ..Machine::default() }, false);
        let rivals: Vec<String> =
            lines(&steps).into_iter().filter(|line| line.contains("-p rivals")).collect();
        assert_eq!(
            rivals,
            [
                "clippy -p rivals --all-targets --keep-going --no-default-features --features mimalloc,jemalloc,rpmalloc -- -D warnings",
                "test -p rivals --no-fail-fast --no-default-features --features mimalloc,jemalloc,rpmalloc -- --show-output",
                "doc -p rivals --no-deps --keep-going --no-default-features --features mimalloc,jemalloc,rpmalloc",
                "test -p rivals --release --no-fail-fast --no-default-features --features mimalloc,jemalloc,rpmalloc -- --show-output",
            ]
        );
        let workspace = lines(&steps).into_iter().filter(|line| line.contains("--workspace"));
        assert!(workspace.into_iter().all(|line| line.contains("--exclude rivals")));
        assert_eq!(steps.iter().filter(|step| step.skips.iter().any(|skip| skip.contains("C++"))).count(), 2);
    }

    #[test]
    fn plan_without_make_and_cpp_has_mimalloc() {
        let machine = Machine::default();
        assert_eq!(machine.rivals_options(), ["--no-default-features", "--features", "mimalloc,rpmalloc"]);
        let skips = machine.rivals_skips();
        assert!(skips.len() == 2 && skips[0].contains("jemalloc") && skips[0].contains("make"), "{skips:?}");
    }

    #[test]
    fn plan_skips_the_models_if_fast() {
        let steps = test(&graph(), &Machine::default(), true);
        assert_eq!(
            (steps[1].calls.len(), steps[1].skips.as_slice()),
            (0, &["skipped: --fast".to_owned()][..])
        );
    }

    #[test]
    fn plan_extends_the_rustflags_of_the_user() {
        let loom_in =
            |machine: &Machine| models(&graph(), machine, "loom", "b", false).calls.remove(0).variables;
        let plain = loom_in(&Machine::default());
        assert_eq!(plain["RUSTFLAGS"], "--cfg loom");
        assert_eq!(plain["CARGO_TARGET_DIR"], "/t/loom");
        let user = Machine { rustflags: Some("-C debuginfo=0".into()), ..Machine::default() };
        assert_eq!(loom_in(&user)["RUSTFLAGS"], "-C debuginfo=0 --cfg loom");
        let encoded = Machine { encoded_rustflags: Some("-C\x1fdebuginfo=0".into()), ..user };
        assert_eq!(loom_in(&encoded)["CARGO_ENCODED_RUSTFLAGS"], "-C\x1fdebuginfo=0\x1f--cfg\x1floom");
    }

    #[test]
    fn plan_of_ci_is_check_and_test() {
        let machine = Machine { has_make: true, has_cpp: true, ..Machine::default() };
        let mut both = check(&graph(), &machine);
        both.extend(test(&graph(), &machine, false));
        let all = ci(&graph(), &machine, false);
        assert_eq!(both.len(), all.len());
        assert!(both.iter().all(|step| all.contains(step)), "{both:?}");
    }
}
