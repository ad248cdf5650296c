//! The layer rule on graphs that no workspace has: it holds where it should and fails where it should.

use super::*;
use crate::graph::Use;

fn member(name: &str, uses: &[(&str, Kind)]) -> Member {
    let published = find(HOUSE, name).is_none_or(|room| room.published);
    let uses = uses.iter().map(|&(name, kind)| Use { name: name.into(), kind, features: BTreeSet::new() });
    Member { name: name.into(), folder: name.into(), published, uses: uses.collect(), examples: vec![] }
}

fn said(members: &[Member]) -> Vec<String> {
    breaches(HOUSE, members).iter().map(ToString::to_string).collect()
}

#[test]
fn layers_arrows_that_are_drawn_pass() {
    let house = [
        member("arenite-core", &[("arenite-core", Kind::Dev), ("testkit", Kind::Dev), ("libc", Kind::Dev)]),
        member("arenite-tensor", &[("arenite-core", Kind::Normal), ("arenite-device", Kind::Build)]),
        member("arenite", &[("arenite-observe", Kind::Normal), ("arenite-pages", Kind::Normal)]),
        member("arenite-cli", &[("workloads", Kind::Normal), ("arenite-alloc", Kind::Normal)]),
        member("testkit", &[("arenite-core", Kind::Normal), ("arenite-alloc", Kind::Dev)]),
    ];
    assert_eq!(said(&house), [""; 0]);
}

#[test]
fn layers_an_edge_that_points_back_fails_and_names_both() {
    let said =
        said(&[member("arenite-pages", &[("arenite-core", Kind::Normal), ("arenite-alloc", Kind::Normal)])]);
    assert_eq!(
        said,
        [
            "arenite-pages uses arenite-alloc: arenite-alloc rests on arenite-pages, and an arrow never points back"
        ]
    );
}

#[test]
fn layers_an_edge_back_in_a_build_script_or_a_test_fails() {
    let said = said(&[member("arenite-core", &[("arenite-pages", Kind::Build), ("arenite", Kind::Dev)])]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("arenite-core uses in its build script arenite-pages: "), "{said:?}");
    assert!(said[1].starts_with("arenite-core uses in its tests arenite: "), "{said:?}");
}

#[test]
fn layers_an_edge_sideways_fails_where_no_arrow_is_drawn() {
    let said = said(&[
        member("arenite-tensor", &[("arenite-observe", Kind::Normal)]),
        member("arenite-integrity", &[("arenite-pages", Kind::Normal)]),
        member("arenite-device", &[("arenite-observe", Kind::Dev)]),
    ]);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|line| line.contains("no arrow is drawn from")), "{said:?}");
}

#[test]
fn layers_a_published_crate_on_an_unpublished_one_fails() {
    let said = said(&[member("arenite-alloc", &[("testkit", Kind::Normal)])]);
    assert!(said[0].starts_with("arenite-alloc uses testkit: no arrow"), "{said:?}");
    // even where somebody draws the arrow
    let mut house = HOUSE.to_vec();
    let alloc = house.iter_mut().find(|room| room.name == "arenite-alloc").unwrap();
    alloc.rests_on = &["arenite-pages", "testkit"];
    let found = breaches(&house, &[member("arenite-alloc", &[("testkit", Kind::Normal)])]);
    assert_eq!(found, [Breach::Unpublished { from: "arenite-alloc".into(), to: "testkit".into() }]);
}

#[test]
fn layers_a_crate_without_a_room_fails_and_so_does_an_edge_to_it() {
    let said =
        said(&[member("arenite-helper", &[]), member("arenite-alloc", &[("arenite-helper", Kind::Normal)])]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("arenite-helper has no room"), "{said:?}");
    assert!(said[1].contains("no arrow is drawn from arenite-helper to arenite-alloc"), "{said:?}");
}

#[test]
fn layers_manifest_and_table_must_agree_on_publishing() {
    let xtask = Member { published: true, ..member("xtask", &[]) };
    let core = Member { published: false, ..member("arenite-core", &[]) };
    let found = breaches(HOUSE, &[xtask, core]);
    assert_eq!(
        found,
        [
            Breach::Publish { name: "xtask".into(), table: false },
            Breach::Publish { name: "arenite-core".into(), table: true }
        ]
    );
}

#[test]
fn layers_the_table_itself_has_no_circle_and_names_only_its_own_rooms() {
    for room in HOUSE {
        let below = below(HOUSE, room.rests_on);
        assert!(!below.contains(room.name), "{} rests on itself", room.name);
        for name in below.iter().chain(room.tests_with) {
            assert!(find(HOUSE, name).is_some(), "{}: {name} is no room", room.name);
        }
        let twins = HOUSE.iter().filter(|other| other.name == room.name).count();
        assert_eq!(twins, 1, "{} stands in the table twice", room.name);
    }
}
