//! `arenite rank` on edges of a file, and on what is no file of edges.

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn rank(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arenite"))
        .arg("rank")
        .args(arguments)
        .output()
        .expect("the command runs")
}

#[test]
fn r18_ranks_of_a_file_are_those_computed_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let (edges, json) = (folder.path().join("edges"), folder.path().join("ranks.json"));
    // a and b point at c, c at a; d points nowhere
    std::fs::write(&edges, "# links\na c\nb c\nc a\nc a\nb d\n").unwrap();
    let output = rank(&["--edges", edges.to_str().unwrap(), "--json", json.to_str().unwrap(), "--top", "2"]);
    assert!(output.status.success(), "{output:?}");
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!((&figures["nodes"], &figures["edges"]), (&Value::from(4), &Value::from(4)), "one came twice");
    let of = |name: &str| {
        let ranks = figures["ranks"].as_array().unwrap();
        ranks.iter().find(|ranked| ranked["name"] == name).unwrap()["rank"].as_f64().unwrap()
    };
    // the same four equations, iterated here
    let (mut a, mut b, mut c, mut d) = (0.25, 0.25, 0.25, 0.25);
    for _ in 0..2000 {
        let base = 0.15 / 4.0 + 0.85 * d / 4.0;
        (a, b, c, d) = (base + 0.85 * c, base, base + 0.85 * (a + b / 2.0), base + 0.85 * b / 2.0);
    }
    for (name, expected) in [("a", a), ("b", b), ("c", c), ("d", d)] {
        assert!((of(name) - expected).abs() < 1e-9, "{name}: {} {expected}", of(name));
    }
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("4 nodes, 4 edges") && text.contains("context:"), "{text}");
}

#[test]
fn r18_edges_come_from_standard_input_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_arenite"))
        .args(["rank", "--edges", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"x y\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && String::from_utf8(output.stdout).unwrap().contains("2 nodes, 1 edges")
    );
}

#[test]
fn r18_packages_of_this_machine_are_ranked_where_there_are_any() {
    let output = rank(&["--dpkg", "--top", "3"]);
    if output.status.success() {
        assert!(String::from_utf8(output.stdout).unwrap().contains("libc6"));
    } else {
        println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn r18_bad_input_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, empty, binary) =
        (file("one", b"a b\nc\n"), file("empty", b"\n# x\n"), file("binary", &[0xff, 0, 7]));
    let folder = folder.path().to_str().unwrap().to_owned();
    for (arguments, said) in [
        (vec!["--edges", "/nonexistent"], "/nonexistent"),
        (vec!["--edges", &folder], "cannot use"),
        (vec!["--edges", &one], "line 2"),
        (vec!["--edges", &empty], "no edges"),
        (vec!["--edges", &binary], "line 1"),
        (vec!["--edges", &one, "--dpkg"], "--dpkg"),
        (vec!["--damping", "1.5"], "from 0 to below 1"),
        (vec!["--iterations", "0"], "0"),
        (vec!["--edges", &one, "--json", "/nonexistent/f"], "/nonexistent/f"),
    ] {
        let output = rank(&arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(said), "{arguments:?}: {text}");
    }
}
