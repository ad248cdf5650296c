//! The crates of the workspace and their dependencies, read from `cargo metadata`.
//!
//! They are plain names and sets, so that tests can build other graphs.

use cargo_metadata::{DependencyKind, Metadata, Package};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The part of a crate that uses a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The crate itself.
    Normal,
    /// The build script.
    Build,
    /// Tests, examples and benchmarks.
    Dev,
}

/// A dependency of a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Name of the used crate.
    pub name: String,
    /// The part that uses it.
    pub kind: Kind,
    /// Enabled features. `default` stands for the default features.
    pub features: BTreeSet<String>,
}

/// A crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name of the crate.
    pub name: String,
    /// Directory of its manifest.
    pub directory: PathBuf,
    /// Whether its manifest allows publishing.
    pub published: bool,
    /// Dependencies inside and outside the workspace.
    pub uses: Vec<Use>,
    /// Names of its examples.
    pub examples: Vec<String>,
}

/// The workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Root directory.
    pub root: PathBuf,
    /// Target directory of cargo.
    pub target: PathBuf,
    /// Crates of the workspace.
    pub members: Vec<Member>,
}

impl Graph {
    /// Reads the workspace of `directory`. Uses no network and writes no lock file.
    ///
    /// # Errors
    /// The error of `cargo metadata`, mostly a broken manifest.
    pub fn read(directory: &Path) -> Result<Self, cargo_metadata::Error> {
        let metadata = cargo_metadata::MetadataCommand::new().current_dir(directory).no_deps().exec()?;
        Ok(Self::of(&metadata))
    }

    /// Reads the workspace of this crate.
    ///
    /// # Errors
    /// The error of `cargo metadata`, mostly a broken manifest.
    pub fn here() -> Result<Self, cargo_metadata::Error> {
        Self::read(Path::new(env!("CARGO_MANIFEST_DIR")))
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            root: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            members: metadata.workspace_packages().into_iter().map(member).collect(),
        }
    }
}

fn member(package: &Package) -> Member {
    let directory = package.manifest_path.parent().map(PathBuf::from).unwrap_or_default();
    let uses = package.dependencies.iter().map(|dependency| {
        let mut features: BTreeSet<String> = dependency.features.iter().cloned().collect();
        if dependency.uses_default_features {
            features.insert("default".to_owned());
        }
        let kind = match dependency.kind {
            DependencyKind::Development => Kind::Dev,
            DependencyKind::Build => Kind::Build,
            _ => Kind::Normal,
        };
        Use { name: dependency.name.clone(), kind, features }
    });
    // `publish = false` becomes an empty list of registries.
    let published = package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
    let examples =
        package.targets.iter().filter(|target| target.is_example()).map(|target| target.name.clone());
    let examples = examples.collect();
    Member { name: package.name.to_string(), directory, published, uses: uses.collect(), examples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_reads_the_workspace_of_this_crate() {
        let graph = Graph::here().unwrap();
        let this = graph.members.iter().find(|member| member.name == "xtask").unwrap();
        assert!(!this.published && this.directory.join("src/graph.rs").is_file());
        assert!(this.uses.iter().any(|used| used.name == "clap" && used.kind == Kind::Normal));
        assert!(graph.root.join("Cargo.lock").is_file());
    }
}
