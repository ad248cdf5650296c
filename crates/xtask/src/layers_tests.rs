//! Tests of the layer rule on small graphs.

use super::*;
use crate::graph::Use;

fn member(name: &str, uses: &[(&str, Kind)]) -> Member {
    let published = find(LAYERS, name).is_none_or(|layer| layer.published);
    let uses = uses.iter().map(|&(name, kind)| Use { name: name.into(), kind, features: BTreeSet::new() });
    Member { name: name.into(), directory: name.into(), published, uses: uses.collect(), examples: vec![] }
}

fn messages(members: &[Member]) -> Vec<String> {
    violations(LAYERS, members).iter().map(ToString::to_string).collect()
}

#[test]
fn layers_dependencies_of_the_table_pass() {
    let members = [
        member("arenite-core", &[("arenite-core", Kind::Dev), ("testkit", Kind::Dev), ("libc", Kind::Dev)]),
        member("arenite-tensor", &[("arenite-core", Kind::Normal), ("arenite-device", Kind::Build)]),
        member("arenite", &[("arenite-observe", Kind::Normal), ("arenite-pages", Kind::Normal)]),
        member("arenite-cli", &[("workloads", Kind::Normal), ("arenite-alloc", Kind::Normal)]),
        member("testkit", &[("arenite-core", Kind::Normal), ("arenite-alloc", Kind::Dev)]),
    ];
    assert_eq!(messages(&members), [""; 0]);
}

#[test]
fn layers_a_reversed_dependency_fails_and_names_both_crates() {
    let pages = member("arenite-pages", &[("arenite-core", Kind::Normal), ("arenite-alloc", Kind::Normal)]);
    assert_eq!(
        messages(&[pages]),
        [
            "arenite-pages uses arenite-alloc: arenite-alloc depends on arenite-pages, and dependencies point one way"
        ]
    );
}

#[test]
fn layers_a_reversed_dependency_of_a_build_script_or_a_test_fails() {
    let core = member("arenite-core", &[("arenite-pages", Kind::Build), ("arenite", Kind::Dev)]);
    let found = messages(&[core]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("arenite-core uses in its build script arenite-pages: "), "{found:?}");
    assert!(found[1].starts_with("arenite-core uses in its tests arenite: "), "{found:?}");
}

#[test]
fn layers_a_dependency_that_the_table_lacks_fails() {
    let found = messages(&[
        member("arenite-tensor", &[("arenite-observe", Kind::Normal)]),
        member("xtask", &[("arenite-pages", Kind::Normal)]),
        member("arenite-device", &[("arenite-observe", Kind::Dev)]),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|message| message.ends_with("layers.rs does not allow it")), "{found:?}");
}

#[test]
fn layers_a_published_crate_that_uses_an_unpublished_one_fails() {
    let alloc = [member("arenite-alloc", &[("testkit", Kind::Normal)])];
    let found = messages(&alloc);
    assert!(found[0].starts_with("arenite-alloc uses testkit: `LAYERS`"), "{found:?}");
    // fails even if the table allows it
    let mut layers = LAYERS.to_vec();
    let layer = layers.iter_mut().find(|layer| layer.name == "arenite-alloc").unwrap();
    layer.depends_on = &["arenite-pages", "testkit"];
    let found = violations(&layers, &alloc);
    assert_eq!(found, [Violation::UsesUnpublished { from: "arenite-alloc".into(), to: "testkit".into() }]);
}

#[test]
fn layers_a_crate_without_a_layer_fails_and_so_does_a_dependency_on_it() {
    let found = messages(&[
        member("arenite-helper", &[]),
        member("arenite-alloc", &[("arenite-helper", Kind::Normal)]),
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("arenite-helper has no layer"), "{found:?}");
    assert!(found[1].starts_with("arenite-alloc uses arenite-helper: `LAYERS`"), "{found:?}");
}

#[test]
fn layers_manifest_and_table_must_agree_on_publishing() {
    let xtask = Member { published: true, ..member("xtask", &[]) };
    let core = Member { published: false, ..member("arenite-core", &[]) };
    let found = violations(LAYERS, &[xtask, core]);
    assert_eq!(
        found,
        [
            Violation::PublishMismatch { name: "xtask".into(), in_table: false },
            Violation::PublishMismatch { name: "arenite-core".into(), in_table: true }
        ]
    );
}

#[test]
fn layers_table_has_no_circle_and_names_only_its_own_crates() {
    for layer in LAYERS {
        let below = with_dependencies(LAYERS, layer.depends_on);
        assert!(!below.contains(layer.name), "{} depends on itself", layer.name);
        for name in below.iter().chain(layer.tests_with) {
            assert!(find(LAYERS, name).is_some(), "{}: {name} has no layer", layer.name);
        }
        let count = LAYERS.iter().filter(|other| other.name == layer.name).count();
        assert_eq!(count, 1, "{} is in the table twice", layer.name);
    }
}
