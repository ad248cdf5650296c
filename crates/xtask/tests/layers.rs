//! The checks on the workspace itself. Their unit tests show that they fail where they should.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use xtask::graph::Graph;
use xtask::layers::{LAYERS, violations};
use xtask::sources::{INHERITED_UNSAFE, problems, read_sources};
use xtask::{circles, dependencies, strip, style};

type TestResult = Result<(), Box<dyn Error>>;

/// Fails with every line of `found`.
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}

#[test]
fn layers_every_dependency_is_in_the_table() -> TestResult {
    let graph = Graph::here()?;
    assert!(graph.members.iter().any(|member| member.name == "arenite-core"), "the workspace was not read");
    let found: Vec<String> = violations(LAYERS, &graph.members).iter().map(ToString::to_string).collect();
    none("dependencies that the layers do not allow", &found);
    Ok(())
}

#[test]
fn layers_core_has_no_dependencies() -> TestResult {
    let graph = Graph::here()?;
    let core = graph.members.iter().find(|member| member.name == "arenite-core").ok_or("no core")?;
    let found: Vec<String> = core
        .uses
        .iter()
        .filter(|used| used.kind != xtask::graph::Kind::Dev)
        .map(|used| used.name.clone())
        .collect();
    none("arenite-core must have no dependencies and uses", &found);
    Ok(())
}

#[test]
fn layers_every_crate_inherits_the_lints_of_the_workspace() -> TestResult {
    let mut found = Vec::new();
    for member in Graph::here()?.members {
        let manifest = std::fs::read_to_string(member.directory.join("Cargo.toml"))?;
        let lines: Vec<&str> = manifest.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let section = lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]);
        if !section && !lines.contains(&"lints.workspace = true") {
            found.push(member.name);
        }
    }
    none("crates without `lints.workspace = true`", &found);
    Ok(())
}

#[test]
fn layers_every_file_follows_the_source_rules() -> TestResult {
    let files = read_sources(&Graph::here()?.root)?;
    assert!(files.len() > 20, "only {} files were read", files.len());
    let found: Vec<String> = files.iter().flat_map(problems).collect();
    none("files that break a rule of crates/xtask/src/sources.rs", &found);
    Ok(())
}

#[test]
fn layers_no_files_import_each_other() -> TestResult {
    let files = read_sources(&Graph::here()?.root)?;
    none("import circles between files", &circles::problems(&files, circles::CIRCLES));
    Ok(())
}

#[test]
fn style_every_comment_follows_the_rules() -> TestResult {
    let files = read_sources(&Graph::here()?.root)?;
    let problems: Vec<String> =
        files.iter().flat_map(style::problems).map(|problem| problem.to_string()).collect();
    none("comments that break a rule of docs/style.md", &problems);
    Ok(())
}

#[test]
fn layers_inherited_unsafe_code_is_expected_elsewhere() -> TestResult {
    let root = Graph::here()?.root;
    let paths: BTreeSet<&str> = INHERITED_UNSAFE.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths.len(), INHERITED_UNSAFE.len(), "a file is listed twice");
    for (path, parent) in INHERITED_UNSAFE {
        assert!(root.join(path).is_file(), "{path} is listed and does not exist");
        let parent = strip::strip_comments(&std::fs::read_to_string(root.join(parent))?);
        assert!(
            parent.contains("expect(unsafe_code"),
            "{path} is listed, and the other file expects no unsafe code"
        );
    }
    Ok(())
}

#[test]
fn dependencies_list_matches_the_manifests() -> TestResult {
    let graph = Graph::here()?;
    let read = |path: &str| {
        std::fs::read_to_string(graph.root.join(path)).map_err(|error| format!("{path}: {error}"))
    };
    let rows = dependencies::rows(&graph, &read("Cargo.toml")?);
    assert!(rows.contains_key("clap"), "no third-party crate was read");
    none(
        "docs/dependencies.md differs from the manifests",
        &dependencies::differences(&rows, &read("docs/dependencies.md")?),
    );
    Ok(())
}

#[test]
fn documents_of_the_repository_exist() -> TestResult {
    let root = Graph::here()?.root;
    let found: Vec<String> =
        ["LICENSE-MIT", "LICENSE-APACHE", "CONTRIBUTING.md", "GLOSSARY.md", "SECURITY.md"]
            .into_iter()
            .filter(|name| !Path::new(&root).join(name).is_file())
            .map(str::to_owned)
            .collect();
    none("missing documents", &found);
    Ok(())
}
