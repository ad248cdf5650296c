//! Tests of the circle rule on small crates.

use super::*;

fn krate(files: &[(&str, &str)]) -> Vec<Source> {
    let source =
        |&(path, text): &(&str, &str)| Source { path: format!("crates/a/src/{path}.rs"), text: text.into() };
    files.iter().map(source).collect()
}

const ROOT: (&str, &str) = ("lib", "mod a; mod b; mod c; mod d;");
const A: (&str, &str) = ("a", "use super::b::B; pub struct A;");
const B: (&str, &str) = ("b", "use super::c::C; pub struct B;");
const C: (&str, &str) = ("c", "pub struct C;");
const D: (&str, &str) = ("d", "use super::{a::A, b::B};");

#[test]
fn circles_of_files_in_layers_are_none() {
    assert_eq!(problems(&krate(&[ROOT, A, B, C, D]), &[]), [""; 0]);
}

#[test]
fn circles_name_their_files_and_imports() {
    let files = krate(&[ROOT, A, B, ("c", "\nuse crate::a::A; pub struct C;"), D]);
    let found = problems(&files, &[]);
    assert_eq!(
        found,
        ["import circle of 3 files: crates/a/src/a.rs, crates/a/src/b.rs, crates/a/src/c.rs\
            \n    crates/a/src/a.rs:1: `super::b::B` of crates/a/src/b.rs\
            \n    crates/a/src/b.rs:1: `super::c::C` of crates/a/src/c.rs\
            \n    crates/a/src/c.rs:2: `crate::a::A` of crates/a/src/a.rs"]
    );
}

#[test]
fn circles_that_do_not_touch_are_two() {
    let files = [
        ("lib", "mod a; mod b; mod c; mod d;"),
        ("a", "use super::b::B; pub struct A;"),
        ("b", "use super::{a::A, c::C}; pub struct B;"),
        ("c", "use super::d::D; pub struct C;"),
        ("d", "use super::c::C; pub struct D;"),
    ];
    let found = circles(&krate(&files));
    assert_eq!(found.iter().map(|circle| circle.files.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(found.iter().map(|circle| circle.imports.len()).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn circles_are_found_in_programs() {
    for root in ["main", "bin/a", "bin/a/main"] {
        let (directory, prefix) = root.rsplit_once('/').map_or(("", ""), |(directory, _)| (directory, "/"));
        let child = format!("{directory}{prefix}x");
        let files = [(root, "mod x; pub struct A; fn f() { x::f() }"), (&*child, "pub fn f(a: super::A) {}")];
        assert_eq!(circles(&krate(&files)).len(), 1, "{root}");
    }
}

#[test]
fn circles_in_the_table_pass_and_are_removed_when_gone() {
    let files = krate(&[("lib", "mod a; pub struct L; use a::A;"), ("a", "use super::L; pub struct A;")]);
    let row: &[&str] = &["crates/a/src/a.rs", "crates/a/src/lib.rs"];
    assert_eq!(problems(&files, &[(row, "they are generated from one table")]), [""; 0]);
    assert!(problems(&files, &[(row, "because")])[0].contains("has no reason"));
    let gone = problems(&krate(&[ROOT, A, B, C, D]), &[(row, "they are generated from one table")]);
    assert_eq!(
        gone,
        ["no import circle of crates/a/src/a.rs, crates/a/src/lib.rs: remove its row from `CIRCLES`"]
    );
    // a row names every file of its circle
    assert_eq!(problems(&files, &[(&row[..1], "they are generated from one table")]).len(), 2);
}
