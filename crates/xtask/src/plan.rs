//! The plan: which steps a run has, and which commands each step is.
//!
//! Rests on [`Graph`] for the crates. A plan is made before anything runs and is plain data, so that a test can read what
//! would be run on a machine that lacks a compiler, a browser or a room.

use crate::graph::Graph;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A program with its arguments and what it finds in its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The arguments of `cargo`.
    pub arguments: Vec<String>,
    /// Variables that are set besides those that are there.
    pub variables: BTreeMap<&'static str, OsString>,
}

/// A step: calls that pass or fail together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// What the summary calls it.
    pub name: String,
    /// What is run, in this order, until one fails. Nothing: the step is skipped, and `skips` says why.
    pub calls: Vec<Call>,
    /// What is known beforehand to be left out, and why.
    pub skips: Vec<String>,
    /// Whether it runs tests; a step that should and ran none has failed.
    pub tests: bool,
}

/// What the machine has that a plan depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Whether there is a C++ compiler, which snmalloc is built with.
    pub cpp: bool,
    /// Whether there is `make`, which jemalloc is built with.
    pub make: bool,
    /// `RUSTFLAGS`, as the user has set it.
    pub rustflags: Option<OsString>,
    /// `CARGO_ENCODED_RUSTFLAGS`, which goes before it.
    pub encoded_rustflags: Option<OsString>,
}

impl Machine {
    /// This machine.
    pub fn this() -> Self {
        let folders: Vec<PathBuf> =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        let found = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
        Self {
            // what the `cc` crate looks for: the compiler that is named, or `c++`
            cpp: std::env::var_os("CXX").is_some() || found("c++"),
            make: found("make"),
            rustflags: std::env::var_os("RUSTFLAGS"),
            encoded_rustflags: std::env::var_os("CARGO_ENCODED_RUSTFLAGS"),
        }
    }
}

/// What tests print and libtest hides unless asked; [`reading`](crate::test_output) reads it and keeps it off the screen.
const HARNESS: [&str; 2] = ["--", "--show-output"];

/// The features of `rivals`, in the order of its manifest.
const RIVALS: [&str; 4] = ["mimalloc", "jemalloc", "snmalloc", "rpmalloc"];

impl Machine {
    /// The features of `rivals` that cannot be built here, and why.
    fn left_out(&self) -> Vec<(&'static str, &'static str)> {
        let jemalloc = (!self.make).then_some(("jemalloc", "there is no make (apt-get install make)"));
        let snmalloc =
            (!self.cpp).then_some(("snmalloc", "there is no C++ compiler (apt-get install g++, or set CXX)"));
        jemalloc.into_iter().chain(snmalloc).collect()
    }

    /// The options of a `cargo` that builds `rivals`; none where all of it can be built.
    fn rivals_options(&self) -> Vec<String> {
        let left_out = self.left_out();
        if left_out.is_empty() {
            return Vec::new();
        }
        let kept: Vec<&str> =
            RIVALS.into_iter().filter(|feature| left_out.iter().all(|(out, _)| out != feature)).collect();
        vec!["--no-default-features".to_owned(), "--features".to_owned(), kept.join(",")]
    }

    fn rivals_skips(&self) -> Vec<String> {
        let skip = |(feature, why)| format!("skipped: {feature} in `rivals`, since {why}");
        self.left_out().into_iter().map(skip).collect()
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

/// The plan of `cargo xtask test`: the crates' tests, the models (not if `fast`), the rules of the house.
pub fn test(graph: &Graph, machine: &Machine, fast: bool) -> Vec<Step> {
    let without = ["test", "--workspace", "--exclude", "xtask", "--no-fail-fast"];
    let mut all = tests("tests of every crate", over_workspace(graph, machine, &without, &HARNESS));
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
    let rules = [&["test", "-p", "xtask", "--no-fail-fast"], &HARNESS[..]].concat();
    steps.push(tests("rules of the house", vec![call(&rules)]));
    steps
}

/// The plan of `cargo xtask ci`: format, lints, tests, documentation, and every benchmark once in a release build.
pub fn ci(graph: &Graph, machine: &Machine, fast: bool) -> Vec<Step> {
    let mut steps = form(graph, machine);
    steps.extend(test(graph, machine, fast));
    steps.extend(papers_and_benchmarks(graph, machine));
    steps
}

/// The plan of `cargo xtask check`: what [`ci`] does, less what [`test()`] does.
pub fn check(graph: &Graph, machine: &Machine) -> Vec<Step> {
    let mut steps = form(graph, machine);
    steps.extend(papers_and_benchmarks(graph, machine));
    steps
}

/// Every example of the crates that are published, run to its end.
fn examples(graph: &Graph) -> Step {
    let mut all = Vec::new();
    for member in graph.members.iter().filter(|member| member.published) {
        for example in &member.examples {
            all.push(call(&["run", "--quiet", "-p", &member.name, "--example", example]));
        }
    }
    step("every example, run", all)
}

fn form(graph: &Graph, machine: &Machine) -> Vec<Step> {
    let lints = ["clippy", "--workspace", "--all-targets", "--keep-going"];
    let lints = over_workspace(graph, machine, &lints, &["--", "-D", "warnings"]);
    vec![step("format", vec![call(&["fmt", "--all", "--", "--check"])]), step("lints", lints)]
}

fn papers_and_benchmarks(graph: &Graph, machine: &Machine) -> Vec<Step> {
    let mut pages = over_workspace(graph, machine, &["doc", "--workspace", "--no-deps", "--keep-going"], &[]);
    for page in &mut pages {
        page.variables.insert("RUSTDOCFLAGS", "-D warnings".into());
    }
    let mut steps = vec![step("documentation", pages)];
    if has_rivals(graph) {
        let mut release = call(&["test", "-p", "rivals", "--release", "--no-fail-fast"]);
        release.arguments.extend(machine.rivals_options());
        release.arguments.extend(HARNESS.map(str::to_owned));
        let skips = machine.rivals_skips();
        steps.push(Step { skips, ..tests("every benchmark once, in a release build", vec![release]) });
    }
    steps
}

fn has_rivals(graph: &Graph) -> bool {
    graph.members.iter().any(|member| member.name == "rivals")
}

/// `arguments`, with `--workspace` among them, and `last`; `rivals` apart where not all of it can be built.
fn over_workspace(graph: &Graph, machine: &Machine, arguments: &[&str], last: &[&str]) -> Vec<Call> {
    let options = machine.rivals_options();
    if options.is_empty() || !has_rivals(graph) {
        return vec![call(&[arguments, last].concat())];
    }
    let most = [arguments, &["--exclude", "rivals"], last].concat();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut apart: Vec<&str> = vec![arguments[0], "-p", "rivals"];
    let mut rest = arguments[1..].iter();
    while let Some(&argument) = rest.next() {
        match argument {
            "--workspace" => {}
            "--exclude" => {
                rest.next();
            }
            _ => apart.push(argument),
        }
    }
    vec![call(&most), call(&[&apart[..], &options, last].concat())]
}

/// What runs threads in an order that it chooses. loom tries every order of a small part, shuttle many of a whole.
const CHECKERS: [&str; 2] = ["loom", "shuttle"];

/// The models of one crate, in a target folder of their own: a flag for every crate rebuilds every crate.
fn models(graph: &Graph, machine: &Machine, checker: &str, name: &str, fast: bool) -> Step {
    let mut step = tests(&format!("{checker} models of {name}"), Vec::new());
    if fast {
        step.skips.push("skipped: --fast".to_owned());
        return step;
    }
    let mut models =
        call(&["test", "-p", name, "--lib", "--release", "--no-fail-fast", &format!("{checker}_")]);
    models.arguments.extend(HARNESS.map(str::to_owned));
    models.variables.insert("CARGO_TARGET_DIR", graph.target.join(checker).into());
    // cargo reads the encoded flags alone where there are any
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
            folder: name.into(),
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
    fn plan_with_a_cpp_compiler_tests_everything_at_once() {
        let machine = Machine { cpp: true, make: true, ..Machine::default() };
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
    fn plan_without_a_cpp_compiler_leaves_snmalloc_out_and_says_so() {
        let steps = ci(&graph(), &Machine { make: true, ..Machine::default() }, false);
        let apart: Vec<String> =
            lines(&steps).into_iter().filter(|line| line.contains("-p rivals")).collect();
        assert_eq!(
            apart,
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
    fn plan_without_make_either_keeps_mimalloc() {
        let machine = Machine::default();
        assert_eq!(machine.rivals_options(), ["--no-default-features", "--features", "mimalloc,rpmalloc"]);
        let skips = machine.rivals_skips();
        assert!(skips.len() == 2 && skips[0].contains("jemalloc") && skips[0].contains("make"), "{skips:?}");
    }

    #[test]
    fn plan_that_is_fast_skips_the_models_and_says_so() {
        let steps = test(&graph(), &Machine::default(), true);
        assert_eq!(
            (steps[1].calls.len(), steps[1].skips.as_slice()),
            (0, &["skipped: --fast".to_owned()][..])
        );
    }

    #[test]
    fn plan_keeps_the_flags_that_the_user_has() {
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
    fn plan_check_and_test_together_are_ci() {
        let machine = Machine { make: true, cpp: true, ..Machine::default() };
        let mut both = check(&graph(), &machine);
        both.extend(test(&graph(), &machine, false));
        let all = ci(&graph(), &machine, false);
        assert_eq!(both.len(), all.len());
        assert!(both.iter().all(|step| all.contains(step)), "{both:?}");
    }
}
