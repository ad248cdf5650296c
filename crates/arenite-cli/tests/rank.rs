//! `arenite rank` on files of edges, on packages and on bad input.

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
    let dir = tempfile::tempdir().unwrap();
    let (edges, json) = (dir.path().join("edges"), dir.path().join("ranks.json"));
    // edges from a and b to c, from c to a, from b to d; d has no edges
    std::fs::write(&edges, "# links\na c\nb c\nc a\nc a\nb d\n").unwrap();
    let output = rank(&["--edges", edges.to_str().unwrap(), "--json", json.to_str().unwrap(), "--top", "2"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert!(report["residual"].is_f64() && report["peak_in_use_bytes"].as_u64() > Some(0), "{report}");
    assert_eq!(report["ranks"][0]["in_degree"], 2, "{report}");
    assert_eq!(
        (&report["nodes"], &report["edges"]),
        (&Value::from(4), &Value::from(4)),
        "one edge was repeated"
    );
    let of = |name: &str| {
        let ranks = report["ranks"].as_array().unwrap();
        ranks.iter().find(|ranked| ranked["name"] == name).unwrap()["rank"].as_f64().unwrap()
    };
    // the four equations of PageRank, iterated
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
fn r18_edges_are_read_from_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_arenite"))
        .args(["rank", "--edges", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"x y\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && String::from_utf8(output.stdout).unwrap().contains("2 nodes, 1 edge;")
    );
}

#[test]
fn r18_a_run_that_does_not_converge_warns() {
    let dir = tempfile::tempdir().unwrap();
    let edges = dir.path().join("edges");
    std::fs::write(&edges, "a b\nb c\nc a\na c\n").unwrap();
    for (iterations, converged) in [("1", false), ("500", true)] {
        let output = rank(&["--edges", edges.to_str().unwrap(), "--iterations", iterations, "--json", "-"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.contains("warning: not converged"), !converged, "{text}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["converged"], &report["tolerance"]), (&converged.into(), &1e-12.into()));
    }
    let output = rank(&["--edges", edges.to_str().unwrap(), "--iterations", "1"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("; 1 iteration in "));
}

#[test]
fn r18_an_error_in_standard_input_says_so() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_arenite"))
        .args(["rank", "--edges", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"x y\nz\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && text.contains("line 2 of standard input"), "{text}");
}

#[test]
fn r18_packages_of_this_machine_are_ranked_if_there_are_any() {
    let output = rank(&["--dpkg", "--top", "3"]);
    if output.status.success() {
        assert!(String::from_utf8(output.stdout).unwrap().contains("libc6"));
    } else {
        println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn r18_bad_input_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, empty, binary) =
        (file("one", b"a b\nc\n"), file("empty", b"\n# x\n"), file("binary", &[0xff, 0, 7]));
    let dir = dir.path().to_str().unwrap().to_owned();
    for (arguments, expected) in [
        (vec!["--edges", "/nonexistent"], "/nonexistent"),
        (vec!["--edges", &dir], "cannot read --edges"),
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
        assert!(output.status.code() == Some(2) && text.contains(expected), "{arguments:?}: {text}");
    }
}
