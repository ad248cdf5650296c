//! Tests of the import reader on small crates.

use super::*;

/// Returns the imports of a crate as `from -> to` with the directory and ending left out.
fn imports_of(files: &[(&str, &str)]) -> Vec<String> {
    let source = |&(path, text): &(&str, &str)| Source { path: format!("src/{path}.rs"), text: text.into() };
    let files: Vec<Source> = files.iter().map(source).collect();
    let short = |path: &str| path.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
    let pair = |import: &Import| format!("{} -> {}", short(&import.from), short(&import.to));
    let found: BTreeSet<String> = imports(&files[0].path, &files).iter().map(pair).collect();
    found.into_iter().collect()
}

#[test]
fn imports_of_a_use_and_of_a_path_are_found() {
    let lib = ("lib", "mod a; mod b; mod c;");
    let a = ("a", "use crate::b::B;\nfn f() { crate::c::c(); }");
    assert_eq!(imports_of(&[lib, a, ("b", "pub struct B;"), ("c", "pub fn c() {}")]), ["a -> b", "a -> c"]);
}

#[test]
fn imports_name_the_line_and_the_path() {
    let lib = Source { path: "src/lib.rs".into(), text: "mod a;\nmod b;".into() };
    let a = Source { path: "src/a.rs".into(), text: "// a\n\nuse super::b::{\n    B,\n};".into() };
    let b = Source { path: "src/b.rs".into(), text: "pub struct B;".into() };
    let found = imports("src/lib.rs", &[lib, a, b]);
    assert_eq!(
        found,
        [Import { from: "src/a.rs".into(), to: "src/b.rs".into(), line: 4, name: "super::b::B".into() }]
    );
}

#[test]
fn imports_through_a_reexport_lead_to_the_file_that_defines_the_name() {
    let files = [
        ("lib", "mod heap; mod user; pub use heap::Heap as Renamed;"),
        (
            "heap/mod",
            "mod heap;\nmod free_list;\npub(crate) use heap::{self as h, Heap};\npub use free_list::*;",
        ),
        ("heap/heap", "use super::free_list::FreeList;\npub struct Heap;"),
        ("heap/free_list", "pub struct FreeList;"),
        ("user", "use crate::heap;\nuse crate::Renamed;\nfn f() { heap::FreeList; }"),
    ];
    assert_eq!(
        imports_of(&files),
        ["heap/heap -> heap/free_list", "user -> heap/free_list", "user -> heap/heap"]
    );
}

#[test]
fn imports_of_a_reexport_count_where_its_file_uses_the_name() {
    let child = ("a", "pub struct A; pub struct B;");
    assert_eq!(imports_of(&[("lib", "mod a; pub use a::{A, B};"), child]), [""; 0]);
    assert_eq!(imports_of(&[("lib", "mod a; pub use a::{A, B}; fn f(a: A) {}"), child]), ["lib -> a"]);
    assert_eq!(imports_of(&[("lib", "mod a; use a::A;"), child]), ["lib -> a"]);
}

#[test]
fn imports_of_a_parent_and_of_a_child_count() {
    let files = [
        ("lib", "mod a;"),
        ("a", "mod b;\npub struct A;\nfn f() { b::f() }"),
        ("a/b", "use super::A;\npub fn f() {}"),
    ];
    assert_eq!(imports_of(&files), ["a -> a/b", "a/b -> a"]);
    // a declaration alone is no import
    assert_eq!(imports_of(&[("lib", "pub mod a;"), ("a", "pub struct A;")]), [""; 0]);
}

#[test]
fn imports_of_tests_do_not_count() {
    let b = ("b", "pub struct B; pub fn f() {}");
    for a in [
        "#[cfg(test)]\nmod tests { use crate::b::B; fn f() { {} } }",
        "#[cfg(all(test, loom))]\n#[path = \"x\"]\nmod tests { use crate::b::B; }",
        "#[cfg(test)] use crate::b::B;",
        "#[cfg(test)] fn f(a: u8, b: u8) -> u8 where u8: Copy, { crate::b::f() }",
        "struct A { #[cfg(test)] a: crate::b::B, b: u8 }",
        "fn f() { #[cfg(test)] crate::b::f(); }",
        "#[test] fn f() { crate::b::f() }",
        "#![cfg(test)]\nuse crate::b::B;",
        "// crate::b::B\nconst A: &str = \"crate::b::B\";",
    ] {
        assert_eq!(imports_of(&[("lib", "mod a; mod b;"), ("a", a), b]), [""; 0], "{a}");
    }
    let tests = ("tests", "use crate::b::B;");
    assert_eq!(imports_of(&[("lib", "mod b; #[cfg(test)] mod tests;"), b, tests]), [""; 0]);
}

#[test]
fn imports_of_other_configurations_count() {
    let b = ("b", "pub struct B; pub fn f() {}");
    for a in [
        "#[cfg(shuttle)] use crate::b::B;",
        "#[cfg(any(test, loom))] use crate::b::B;",
        "#[cfg(not(test))] use crate::b::B;",
        "#[cfg(test)] mod tests { } use crate::b::B;",
        "#[cfg(test)] use x::{y, z}; fn f() { crate::b::f() }",
        "#[cfg(test)] const A: u8 = { 1 }; fn f() { crate::b::f() }",
        "struct A { #[cfg(test)] a: u8, b: crate::b::B }",
        "mod inner { fn f() { super::super::b::f() } }",
        "macro_rules! m { () => { $crate::b::f() } }",
        "fn f<'static_>() { let c = '{'; crate::b::f() }",
    ] {
        assert_eq!(imports_of(&[("lib", "mod a; mod b;"), ("a", a), b]), ["a -> b"], "{a}");
    }
}

#[test]
fn imports_of_a_glob_count_by_the_names_that_are_used() {
    let files = |a| [("lib", "mod a; mod b;"), ("a", a), ("b", "pub struct B; pub fn f() {}")];
    assert_eq!(imports_of(&files("use super::b::*;")), [""; 0]);
    assert_eq!(imports_of(&files("use super::b::*; fn g(b: B) {}")), ["a -> b"]);
    assert_eq!(imports_of(&files("use super::b::*; fn g() { x.f(); f() }")), ["a -> b"]);
    assert_eq!(imports_of(&files("use super::b::*; fn g(x: X) { x.f(); }")), [""; 0]);
}

#[test]
fn imports_from_other_crates_are_none() {
    let files = [("lib", "mod a; mod std;"), ("a", "use ::std::B; use libc::std; fn f() { <u8>::std::x() }")];
    assert_eq!(imports_of(&[files[0], files[1], ("std", "pub struct B;")]), [""; 0]);
}

#[test]
fn imports_of_a_module_file_with_a_path_are_found() {
    let files = [
        ("lib", "mod last;"),
        (
            "last",
            "#[cfg(x)]\n#[path = \"last_x.rs\"]\nmod tls;\n#[cfg_attr(y, path = \"last_y.rs\")]\nmod other;\nfn f() { tls::f(); other::f() }",
        ),
        ("last_x", "pub fn f() {}"),
        ("last_y", "pub fn f() {}"),
        ("last/other", "pub fn f() {}"),
    ];
    assert_eq!(imports_of(&files), ["last -> last/other", "last -> last_x", "last -> last_y"]);
}

#[test]
fn imports_of_macros_lead_to_their_files() {
    let files = [
        ("lib", "#[macro_use] mod macros; mod a; mod b;"),
        ("macros", "macro_rules! m { () => {} }\n#[macro_export] macro_rules! n { () => {} }"),
        ("a", "fn f() { m!() }"),
        ("b", "fn f() { crate::n!() }"),
    ];
    assert_eq!(imports_of(&files), ["a -> macros", "b -> macros"]);
}

#[test]
fn imports_of_names_that_refer_to_each_other_end() {
    let files = [
        ("lib", "mod a; mod b;"),
        ("a", "pub use crate::b::*; pub use crate::b::X; fn f(x: X, y: Y) {}"),
        ("b", "pub use crate::a::*; pub use crate::a::X;"),
    ];
    assert_eq!(imports_of(&files), [""; 0]);
    assert_eq!(
        imports_of(&[("lib", "mod a; use a; use x as y; mod z {"), ("a", "use {a, self::a")]),
        [""; 0]
    );
}
