//! Every suite with tiny rounds: each case has results, all competitors do the same work, and the
//! JSON round-trips.

use rivals::{Bench, Failure, JsonFile, Report, SUITES, Settings, Suite, left_out, losses, table};
use std::time::Duration;

fn run(name: &str) -> Result<Report, Failure> {
    let settings = Settings { rounds: 3, warm_up: 1, round: Duration::from_micros(1) };
    let suite = Suite::named(name).unwrap_or(&SUITES[0]);
    let report = suite.run(&Bench::new(settings))?;
    assert!(report.suite == name && report.rows.len() >= suite.len());
    Ok(report)
}

/// Checks the values, the names and a round trip through a file.
fn check(report: &Report, rivals: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    for row in &report.rows {
        let values = std::iter::once(&row.ours).chain(row.rivals.values()).chain(row.variants.values());
        for value in values {
            // A case may need no new memory if another case of this process left some to the heap.
            let none = ["faults", "MiB", "× live"].contains(&row.unit.as_str());
            let positive = *value > 0.0 || (none && *value == 0.0);
            assert!(value.is_finite() && positive, "{}: {value} {}", row.case, row.unit);
        }
        // A row may exclude rounds at another core distance.
        let some = report.suite == "ring" && (1..=3).contains(&row.rounds);
        assert!(row.lower_is_better && (row.rounds == 3 || some), "{}: {} rounds", row.case, row.rounds);
        assert!(!row.rivals.is_empty(), "{} has no rival", row.case);
        assert_eq!(row.spread.len(), 1 + row.rivals.len() + row.variants.len());
    }
    for name in rivals.iter().filter(|name| !left_out().contains(name)) {
        assert!(report.rows.iter().any(|row| row.rivals.contains_key(*name)), "{name} did not run");
    }
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("report.json");
    JsonFile::at(&path)?.write(std::slice::from_ref(report))?;
    let text = std::fs::read_to_string(&path)?;
    assert_eq!(&serde_json::from_str::<Report>(&text)?, report);
    let text = table(report);
    for row in &report.rows {
        assert!(text.contains(&row.case), "{} is not in the table", row.case);
    }
    assert!(losses(report).len() <= report.rows.len());
    Ok(())
}

#[test]
fn arena_runs() {
    check(&run("arena").unwrap(), &["bumpalo", "bump-scope", "blink-alloc", "system"]).unwrap();
}

#[test]
fn pool_runs() {
    check(&run("pool").unwrap(), &["slab", "system", "mimalloc", "jemalloc", "snmalloc"]).unwrap();
}

#[test]
fn pools_runs() {
    check(&run("pools").unwrap(), &["system", "mimalloc", "jemalloc", "snmalloc", "rpmalloc"]).unwrap();
}

#[test]
fn step_runs() {
    check(&run("step").unwrap(), &["system", "mimalloc", "jemalloc", "snmalloc"]).unwrap();
}

#[test]
fn heap_runs() {
    check(&run("heap").unwrap(), &["system", "mimalloc", "jemalloc", "snmalloc", "rpmalloc"]).unwrap();
}

#[test]
fn pages_runs() {
    let rivals =
        ["mmap", "mmap, populated", "mprotect", "copy", "mremap", "magic-buffer", "slice-ring-buffer"];
    check(&run("pages").unwrap(), &rivals).unwrap();
}

#[test]
fn ring_runs() {
    check(&run("ring").unwrap(), &["rtrb", "rtrb, two slices", "ringbuf", "crossbeam"]).unwrap();
}

#[test]
fn every_suite_has_a_test() {
    let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    assert_eq!(names, ["arena", "pool", "pools", "heap", "step", "pages", "ring"]);
}
