//! Who may use whom: the rooms of the house and the arrows between them, as one table.
//!
//! Rests on [`Graph`](crate::graph::Graph). The table is the drawing of `ARCHITECTURE.md` in words; a test holds the
//! manifests to it, because a picture that nothing checks is soon a picture of something else.

use crate::graph::{Kind, Member};
use std::collections::BTreeSet;
use std::fmt;

/// A crate's place in the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The crate.
    pub name: &'static str,
    /// Whether it goes to the registry. A published crate may use no unpublished one, but in tests.
    pub published: bool,
    /// The arrows that end here; with them comes all that their rooms rest on.
    pub rests_on: &'static [&'static str],
    /// What its tests may use besides; the tests of every room may use [`TESTKIT`].
    pub tests_with: &'static [&'static str],
}

/// What the tests of every room may use.
pub const TESTKIT: &str = "testkit";

const fn room(name: &'static str, rests_on: &'static [&'static str]) -> Room {
    Room { name, published: true, rests_on, tests_with: &[] }
}

const fn unpublished(name: &'static str, rests_on: &'static [&'static str]) -> Room {
    Room { name, published: false, rests_on, tests_with: &[] }
}

/// The house. A new crate gets its line here, a new arrow too, and both in `ARCHITECTURE.md`.
pub const HOUSE: &[Room] = &[
    // the rooms: words → bytes → blocks → places → values
    room("arenite-core", &[]),
    room("arenite-pages", &["arenite-core"]),
    room("arenite-alloc", &["arenite-pages"]),
    room("arenite-device", &["arenite-alloc"]),
    room("arenite-tensor", &["arenite-device"]),
    // what happened → what should happen
    room("arenite-observe", &["arenite-alloc"]),
    room("arenite-advise", &["arenite-observe"]),
    room("arenite-integrity", &["arenite-core"]),
    // the front doors
    room("arenite", &["arenite-tensor", "arenite-advise", "arenite-integrity"]),
    // the command runs the workloads, which are not published
    Room { tests_with: &["arenite-preload"], ..unpublished("arenite-cli", &["arenite", "workloads"]) },
    room("arenite-preload", &["arenite"]),
    room("arenite-python", &["arenite"]),
    room("arenite-capi", &["arenite"]),
    // unpublished: `testkit` rests on the words alone, so that every room can test with it; its own tests run the laws
    // over every resource there is
    Room {
        name: TESTKIT,
        published: false,
        rests_on: &["arenite-core"],
        tests_with: &["arenite-tensor", "arenite-advise", "arenite-integrity"],
    },
    unpublished("workloads", &["arenite-tensor", "arenite-observe"]),
    unpublished("rivals", &["arenite", "workloads"]),
    unpublished("xtask", &[]),
];

/// What is wrong with a crate's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// The crate has no line in the table.
    NoRoom {
        /// The crate.
        name: String,
    },
    /// No arrow leads from `to` to `from`.
    NoArrow {
        /// The crate that uses.
        from: String,
        /// The crate that is used.
        to: String,
        /// In what.
        kind: Kind,
        /// Whether `to` itself rests on `from`, so that the edge points back.
        back: bool,
    },
    /// A published crate uses an unpublished one.
    Unpublished {
        /// The crate that uses.
        from: String,
        /// The crate that is used.
        to: String,
    },
    /// Manifest and table differ on whether the crate is published.
    Publish {
        /// The crate.
        name: String,
        /// What the table says.
        table: bool,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom { name } => {
                write!(
                    f,
                    "{name} has no room: give it a line in crates/xtask/src/layers.rs and in ARCHITECTURE.md"
                )
            }
            Self::NoArrow { from, to, kind, back } => {
                let verb = match kind {
                    Kind::Normal => "uses",
                    Kind::Build => "uses in its build script",
                    Kind::Dev => "uses in its tests",
                };
                write!(f, "{from} {verb} {to}: ")?;
                if *back {
                    write!(f, "{to} rests on {from}, and an arrow never points back")
                } else {
                    write!(f, "no arrow is drawn from {to} to {from} (crates/xtask/src/layers.rs)")
                }
            }
            Self::Unpublished { from, to } => {
                write!(
                    f,
                    "{from} is published and uses {to}, which is not: nobody could build it from the registry"
                )
            }
            Self::Publish { name, table: true } => {
                write!(
                    f,
                    "{name} is published by the table of layers.rs and has `publish = false` in its manifest"
                )
            }
            Self::Publish { name, table: false } => {
                write!(
                    f,
                    "{name} is unpublished by the table of layers.rs and lacks `publish = false` in its manifest"
                )
            }
        }
    }
}

/// Every breach of `house` by `members`.
pub fn breaches(house: &[Room], members: &[Member]) -> Vec<Breach> {
    let ours: BTreeSet<&str> = house.iter().map(|room| room.name).chain(names(members)).collect();
    let mut found = Vec::new();
    for member in members {
        let Some(room) = find(house, &member.name) else {
            found.push(Breach::NoRoom { name: member.name.clone() });
            continue;
        };
        if room.published != member.published {
            found.push(Breach::Publish { name: member.name.clone(), table: room.published });
        }
        let below = below(house, room.rests_on);
        let tested = below_tests(house, room);
        for used in member.uses.iter().filter(|used| ours.contains(used.name.as_str())) {
            let (from, to) = (member.name.clone(), used.name.clone());
            let drawn = if used.kind == Kind::Dev { &tested } else { &below };
            if !drawn.contains(to.as_str()) {
                let back =
                    find(house, &to).is_some_and(|to| self::below(house, to.rests_on).contains(room.name));
                found.push(Breach::NoArrow { from, to, kind: used.kind, back });
            } else if room.published
                && used.kind != Kind::Dev
                && !find(house, &to).is_some_and(|to| to.published)
            {
                found.push(Breach::Unpublished { from, to });
            }
        }
    }
    found
}

fn names(members: &[Member]) -> impl Iterator<Item = &str> {
    members.iter().map(|member| member.name.as_str())
}

fn find<'a>(house: &'a [Room], name: &str) -> Option<&'a Room> {
    house.iter().find(|room| room.name == name)
}

/// `rooms` and all that they rest on.
fn below(house: &[Room], rooms: &[&'static str]) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut ahead = rooms.to_vec();
    while let Some(name) = ahead.pop() {
        if reached.insert(name) {
            ahead.extend(find(house, name).map_or(&[][..], |room| room.rests_on));
        }
    }
    reached
}

/// What the tests of `room` may use. A crate may name itself there, to ask for its own features.
fn below_tests(house: &[Room], room: &Room) -> BTreeSet<&'static str> {
    let mut reached = below(house, room.rests_on);
    reached.extend(below(house, room.tests_with));
    reached.extend(below(house, &[TESTKIT]));
    reached.insert(room.name);
    reached
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
