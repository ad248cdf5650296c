//! The workspace as it is: arrows, manifests, files and the list of dependencies, held to the rules of the house.
//!
//! Rests on the rules of `xtask`, which its unit tests prove on made-up cases.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use xtask::graph::Graph;
use xtask::layers::{HOUSE, breaches};
use xtask::sources::{INHERIT, faults, sources};
use xtask::{dependencies, strip};

type Done = Result<(), Box<dyn Error>>;

/// Fails with every line of `found`, and what they are about.
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}

#[test]
fn layers_every_edge_follows_an_arrow() -> Done {
    let graph = Graph::here()?;
    assert!(graph.members.iter().any(|member| member.name == "arenite-core"), "the workspace was not read");
    let found: Vec<String> = breaches(HOUSE, &graph.members).iter().map(ToString::to_string).collect();
    none("the house has crates in the wrong place", &found);
    Ok(())
}

#[test]
fn layers_core_uses_nothing_at_all() -> Done {
    let graph = Graph::here()?;
    let core = graph.members.iter().find(|member| member.name == "arenite-core").ok_or("no core")?;
    let found: Vec<String> = core
        .uses
        .iter()
        .filter(|used| used.kind != xtask::graph::Kind::Dev)
        .map(|used| used.name.clone())
        .collect();
    none("arenite-core is the words alone, and uses", &found);
    Ok(())
}

#[test]
fn layers_every_crate_takes_the_lints_of_the_workspace() -> Done {
    let mut found = Vec::new();
    for member in Graph::here()?.members {
        let manifest = std::fs::read_to_string(member.folder.join("Cargo.toml"))?;
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
fn layers_every_file_looks_as_a_file_should() -> Done {
    let files = sources(&Graph::here()?.root)?;
    assert!(files.len() > 20, "only {} files were read", files.len());
    let found: Vec<String> = files.iter().flat_map(faults).collect();
    none("files that break a rule of crates/xtask/src/sources.rs", &found);
    Ok(())
}

#[test]
fn layers_a_file_that_inherits_has_a_parent_that_expects() -> Done {
    let root = Graph::here()?.root;
    let paths: BTreeSet<&str> = INHERIT.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths.len(), INHERIT.len(), "a file inherits once");
    for (path, parent) in INHERIT {
        assert!(root.join(path).is_file(), "{path} inherits and is not there");
        let parent = strip::strip_comments(&std::fs::read_to_string(root.join(parent))?);
        assert!(parent.contains("expect(unsafe_code"), "the parent of {path} expects no unsafe code");
    }
    Ok(())
}

#[test]
fn dependencies_the_list_is_what_the_manifests_say() -> Done {
    let graph = Graph::here()?;
    let read = |path: &str| {
        std::fs::read_to_string(graph.root.join(path)).map_err(|error| format!("{path}: {error}"))
    };
    let rows = dependencies::named(&graph, &read("Cargo.toml")?);
    assert!(rows.contains_key("clap"), "no third-party crate was read");
    none(
        "docs/dependencies.md is not true",
        &dependencies::differences(&rows, &read("docs/dependencies.md")?),
    );
    Ok(())
}

#[test]
fn documents_that_a_repository_needs_are_there() -> Done {
    let root = Graph::here()?.root;
    let found: Vec<String> =
        ["LICENSE-MIT", "LICENSE-APACHE", "CONTRIBUTING.md", "GLOSSARY.md", "SECURITY.md"]
            .into_iter()
            .filter(|name| !Path::new(&root).join(name).is_file())
            .map(str::to_owned)
            .collect();
    none("documents that are missing", &found);
    Ok(())
}
