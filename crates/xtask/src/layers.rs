//! The layers of the workspace: which crate may depend on which, as one table.
//!
//! `ARCHITECTURE.md` draws the table. A test compares the manifests with it.

use crate::graph::{Kind, Member};
use std::collections::BTreeSet;
use std::fmt;

/// The layer of a crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Name of the crate.
    pub name: &'static str,
    /// Whether the crate is published. Only its tests may use unpublished crates.
    pub published: bool,
    /// Crates that it may use, directly and through their own dependencies.
    pub depends_on: &'static [&'static str],
    /// Further crates that its tests may use. Every test may use [`TESTKIT`].
    pub tests_with: &'static [&'static str],
}

/// The crate that the tests of every layer may use.
pub const TESTKIT: &str = "testkit";

const fn published(name: &'static str, depends_on: &'static [&'static str]) -> Layer {
    Layer { name, published: true, depends_on, tests_with: &[] }
}

const fn unpublished(name: &'static str, depends_on: &'static [&'static str]) -> Layer {
    Layer { name, published: false, depends_on, tests_with: &[] }
}

/// The layers. A new crate or dependency is added here and in `ARCHITECTURE.md`.
pub const LAYERS: &[Layer] = &[
    // vocabulary → bytes → blocks → devices → arrays
    published("arenite-core", &[]),
    published("arenite-pages", &["arenite-core"]),
    published("arenite-alloc", &["arenite-pages"]),
    published("arenite-device", &["arenite-alloc"]),
    published("arenite-tensor", &["arenite-device"]),
    // events and pressure
    published("arenite-observe", &["arenite-alloc"]),
    // entry points
    published("arenite", &["arenite-tensor", "arenite-observe"]),
    Layer { tests_with: &["arenite-preload"], ..unpublished("arenite-cli", &["arenite", "workloads"]) },
    published("arenite-preload", &["arenite"]),
    // `testkit` uses only the vocabulary, so that every crate can test with it. Its own tests run
    // the laws over every resource.
    Layer { tests_with: &["arenite-tensor", "arenite-observe"], ..unpublished(TESTKIT, &["arenite-core"]) },
    unpublished("workloads", &["arenite-tensor", "arenite-observe"]),
    unpublished("rivals", &["arenite", "workloads"]),
    unpublished("xtask", &[]),
];

/// A crate that does not follow the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The crate has no line in the table.
    MissingLayer {
        /// Name of the crate.
        name: String,
    },
    /// The table does not let `from` use `to`.
    NotAllowed {
        /// Name of the user.
        from: String,
        /// Name of the used crate.
        to: String,
        /// Kind of the dependency.
        kind: Kind,
        /// Whether `to` depends on `from`, so that the dependency would be circular.
        is_reversed: bool,
    },
    /// A published crate uses an unpublished one.
    UsesUnpublished {
        /// Name of the user.
        from: String,
        /// Name of the used crate.
        to: String,
    },
    /// Manifest and table differ on whether the crate is published.
    PublishMismatch {
        /// Name of the crate.
        name: String,
        /// Whether the table lists the crate as published.
        in_table: bool,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLayer { name } => {
                write!(
                    f,
                    "{name} has no layer: add it to `LAYERS` in crates/xtask/src/layers.rs and to ARCHITECTURE.md"
                )
            }
            Self::NotAllowed { from, to, kind, is_reversed } => {
                let verb = match kind {
                    Kind::Normal => "uses",
                    Kind::Build => "uses in its build script",
                    Kind::Dev => "uses in its tests",
                };
                write!(f, "{from} {verb} {to}: ")?;
                if *is_reversed {
                    write!(f, "{to} depends on {from}, and dependencies point one way")
                } else {
                    write!(f, "`LAYERS` in crates/xtask/src/layers.rs does not allow it")
                }
            }
            Self::UsesUnpublished { from, to } => {
                write!(
                    f,
                    "{from} is published and uses the unpublished {to}: it could not be built from the registry"
                )
            }
            Self::PublishMismatch { name, in_table: true } => {
                write!(f, "{name} has `publish = false` in its manifest and is published in `LAYERS`")
            }
            Self::PublishMismatch { name, in_table: false } => {
                write!(f, "{name} lacks `publish = false` in its manifest and is unpublished in `LAYERS`")
            }
        }
    }
}

/// Returns every violation of `layers` by `members`.
pub fn violations(layers: &[Layer], members: &[Member]) -> Vec<Violation> {
    let ours: BTreeSet<&str> = layers.iter().map(|layer| layer.name).chain(names(members)).collect();
    let mut found = Vec::new();
    for member in members {
        let Some(layer) = find(layers, &member.name) else {
            found.push(Violation::MissingLayer { name: member.name.clone() });
            continue;
        };
        if layer.published != member.published {
            found.push(Violation::PublishMismatch { name: member.name.clone(), in_table: layer.published });
        }
        let usable = with_dependencies(layers, layer.depends_on);
        let usable_in_tests = usable_in_tests(layers, layer);
        for used in member.uses.iter().filter(|used| ours.contains(used.name.as_str())) {
            let (from, to) = (member.name.clone(), used.name.clone());
            let allowed = if used.kind == Kind::Dev { &usable_in_tests } else { &usable };
            let target = find(layers, &to);
            if !allowed.contains(to.as_str()) {
                let is_reversed =
                    target.is_some_and(|to| with_dependencies(layers, to.depends_on).contains(layer.name));
                found.push(Violation::NotAllowed { from, to, kind: used.kind, is_reversed });
            } else if layer.published && used.kind != Kind::Dev && !target.is_some_and(|to| to.published) {
                found.push(Violation::UsesUnpublished { from, to });
            }
        }
    }
    found
}

fn names(members: &[Member]) -> impl Iterator<Item = &str> {
    members.iter().map(|member| member.name.as_str())
}

fn find<'a>(layers: &'a [Layer], name: &str) -> Option<&'a Layer> {
    layers.iter().find(|layer| layer.name == name)
}

/// Returns `names` with all that they depend on.
fn with_dependencies(layers: &[Layer], names: &[&'static str]) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut ahead = names.to_vec();
    while let Some(name) = ahead.pop() {
        if reached.insert(name) {
            ahead.extend(find(layers, name).map_or(&[][..], |layer| layer.depends_on));
        }
    }
    reached
}

/// Returns the crates that the tests of `layer` may use.
///
/// The crate itself is one of them, since a test may enable features of its own crate.
fn usable_in_tests(layers: &[Layer], layer: &Layer) -> BTreeSet<&'static str> {
    let mut reached = with_dependencies(layers, layer.depends_on);
    reached.extend(with_dependencies(layers, layer.tests_with));
    reached.extend(with_dependencies(layers, &[TESTKIT]));
    reached.insert(layer.name);
    reached
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
