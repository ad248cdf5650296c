//! The workspace's crates and what each of them uses, as `cargo metadata` tells it.
//!
//! Rests on `cargo_metadata`. Plain names and sets, so that the rules can be tried on graphs that no workspace has.

use cargo_metadata::{DependencyKind, Metadata, Package};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// In what a dependency is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The crate itself.
    Normal,
    /// Its build script.
    Build,
    /// Its tests, examples and benchmarks.
    Dev,
}

/// A dependency that a crate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The crate that is used, by its own name.
    pub name: String,
    /// In what.
    pub kind: Kind,
    /// The features asked for; `default` where the default ones are.
    pub features: BTreeSet<String>,
}

/// A crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether its manifest lets it be published.
    pub published: bool,
    /// What it uses, crates of the workspace and others.
    pub uses: Vec<Use>,
    /// Its examples by name.
    pub examples: Vec<String>,
}

/// The workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Its root folder.
    pub root: PathBuf,
    /// Where cargo builds.
    pub target: PathBuf,
    /// Its crates.
    pub members: Vec<Member>,
}

impl Graph {
    /// Reads the workspace that `folder` lies in. No network, no lock file is written.
    ///
    /// # Errors
    /// What `cargo metadata` says, a broken manifest above all.
    pub fn read(folder: &Path) -> Result<Self, cargo_metadata::Error> {
        let metadata = cargo_metadata::MetadataCommand::new().current_dir(folder).no_deps().exec()?;
        Ok(Self::of(&metadata))
    }

    /// Reads the workspace that this crate was built in, or that a test of this crate runs in.
    ///
    /// # Errors
    /// As [`Graph::read`].
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
    let folder = package.manifest_path.parent().map(PathBuf::from).unwrap_or_default();
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
    // `publish = false` is an empty list of registries
    let published = package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
    let examples =
        package.targets.iter().filter(|target| target.is_example()).map(|target| target.name.clone());
    let examples = examples.collect();
    Member { name: package.name.to_string(), folder, published, uses: uses.collect(), examples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_of_this_crate_is_read() {
        let graph = Graph::here().unwrap();
        let this = graph.members.iter().find(|member| member.name == "xtask").unwrap();
        assert!(!this.published && this.folder.join("src/graph.rs").is_file());
        assert!(this.uses.iter().any(|used| used.name == "clap" && used.kind == Kind::Normal));
        assert!(graph.root.join("Cargo.lock").is_file());
    }
}
