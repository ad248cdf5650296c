//! Tests of the style rules on small texts: each rule with a case that passes and one that fails.

use super::*;

fn problems_of(text: &str) -> Vec<String> {
    let file = Source { path: "a.rs".into(), text: text.into() };
    problems(&file).iter().map(ToString::to_string).collect()
}

fn assert_passes(text: &str) {
    assert_eq!(problems_of(text), [""; 0], "{text}");
}

fn assert_fails(text: &str, line: usize, part: &str) {
    let found = problems_of(text);
    let start = format!("a.rs:{line}: ");
    assert!(
        found.len() == 1 && found[0].starts_with(&start) && found[0].contains(part),
        "{text}\n{found:?} is not one problem in line {line} with {part:?}"
    );
}

#[test]
fn style_width_allows_100_columns_and_not_101() {
    for marker in ["//", "///", "//!", "    //", "let a = 1; //"] {
        let comment = |columns: usize| format!("\n{marker} é {}", "x".repeat(columns - marker.len() - 3));
        assert_passes(&comment(100));
        assert_fails(&comment(101), 2, "101 columns, 100 is the maximum");
    }
}

#[test]
fn style_width_counts_each_line_of_a_block_comment() {
    assert_passes(&format!("/* a\n * {} b\n */\n", "x".repeat(90)));
    assert_fails(&format!("/* a\n * {} b\n */\n", "x".repeat(100)), 2, "105 columns");
}

#[test]
fn style_width_ignores_code_strings_and_addresses() {
    let long = "x".repeat(120);
    assert_passes(&format!("let a = \"// {long} b\";\n"));
    assert_passes(&format!("let {long} = r#\"\n/// {long} b\n\"#;\n"));
    assert_passes(&format!("//! [a]: https://{long}\n// https://{long}\n"));
}

#[test]
fn style_words_finds_each_banned_phrase() {
    for banned in BANNED {
        assert_fails(&format!("let a = 1; // It is {banned}, yes.\n"), 1, banned);
        assert_fails(&format!("/* {} */\n", banned.to_uppercase()), 1, banned);
    }
}

#[test]
fn style_words_finds_a_phrase_across_lines_and_reports_its_first_line() {
    assert_fails("//! A block that is `x` and given\n//! back.\n", 1, "given back");
    assert_fails("/// A block.\n///\n/// The block is given\n/// back.\nstruct A;\n", 3, "given back");
}

#[test]
fn style_words_ignores_parts_of_words_code_spans_and_literals() {
    assert_passes("// silently blends the household; whoever_else\n");
    assert_passes("// the flag `folder`, and ``lent ` whoever``.\n");
    assert_passes("//! ```\n//! let folder = lent;\n//! ```\n");
    assert_passes("let a = \"// nobody\"; let b = r#\"/* folder */\"#; let nobody = '\"'; let folder = 1;\n");
}

#[test]
fn style_words_of_two_comments_are_no_phrase() {
    assert_passes("// given\nlet a = 1;\n// back\n");
    assert_passes("let a = 1; // given\nlet b = 2; // back\n");
    assert_passes("//! given\n// back\n");
}

#[test]
fn style_openings_of_docs_are_banned() {
    for opening in ["The same", "As above", "Of", "It"] {
        assert_fails(&format!("/// {opening} x.\nstruct A;\n"), 1, opening);
        assert_fails(&format!("//! {opening} x.\n"), 1, opening);
        assert_passes(&format!("// {opening} x.\n"));
    }
    assert_passes("/// Items of x.\nstruct A;\n");
    assert_passes("/// Offset of x. Of course.\nstruct A;\n");
}

#[test]
fn style_verb_is_required_of_every_kind_of_function() {
    for function in [
        "fn f() {}",
        "pub fn f() {}",
        "pub(super) fn f() {}",
        "pub(in crate::a) const unsafe extern \"C\" fn f() {}",
        "async fn f();",
        "#[inline]\n#[must_use = \"]\"]\nfn f() {}",
        "#[cfg(test)] // why\npub fn f() {}",
    ] {
        assert_passes(&format!("/// Returns x.\n{function}\n"));
        assert_passes(&format!("trait T {{\n    /// Frees, then allocates x.\n    {function}\n}}\n"));
        assert_fails(
            &format!("/// The x.\n///\n/// Returns x.\n{function}\n"),
            1,
            "`fn f` begins with \"The\"",
        );
    }
}

#[test]
fn style_verb_is_third_person() {
    for word in ["Returns", "Allocates,", "Frees:", "Has", "Passes"] {
        assert_passes(&format!("/// {word} x.\nfn f() {{}}\n"));
    }
    for word in [
        "Return",
        "returns",
        "`Returns`",
        "This",
        "Its",
        "Thus",
        "Always",
        "Is",
        "As",
        "Was",
        "Bytes",
        "Address",
        "Previous",
        "A",
        "# Errors",
        "Re-reads",
    ] {
        assert_fails(&format!("/// {word} x.\nfn f() {{}}\n"), 1, "begin with a verb");
    }
}

#[test]
fn style_verb_is_not_required_elsewhere() {
    for item in [
        "struct A;",
        "const A: fn() = f;",
        "a: fn(),",
        "macro_rules! f { () => {} }",
        "#[test]\nfn f() {}",
        "#[tokio::test]\n#[ignore]\nfn f() {}",
        "mod fns;",
    ] {
        assert_passes(&format!("/// The x.\n{item}\n"));
    }
    assert_passes("#[test]\n/// The x.\nfn f() {}\n");
    assert_passes("// The x.\nfn f() {}\n//// The x.\nfn g() {}\n");
    assert_passes("const A: &str = \"\n/// The x.\nfn f() {}\n\";\n");
}

#[test]
fn style_problems_stand_in_the_order_of_their_lines() {
    let text = format!("//! A folder.\n// {} b\n/// The x.\nfn f() {{}}\n", "x".repeat(100));
    let file = Source { path: "a.rs".into(), text };
    let found: Vec<(usize, Rule)> = problems(&file).iter().map(|found| (found.line, found.rule)).collect();
    assert_eq!(found, [(1, Rule::Words), (2, Rule::Width), (3, Rule::Verb)]);
    assert_eq!(problems(&Source { path: "a.js".into(), text: "// nobody".into() }), []);
}
