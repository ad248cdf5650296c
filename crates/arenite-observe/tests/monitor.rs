//! Tests of a monitor on this machine: its cost while idle and its delay at a real change.

use arenite_core::MemoryPressure;
use arenite_observe::MemoryMonitor;
use arenite_pages::machine::Limits;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Returns the CPU seconds used by this process, to a hundredth.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc/self/stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

#[test]
fn u21_monitor_uses_no_measurable_cpu_time_while_it_waits() {
    let monitor = MemoryMonitor::new();
    monitor.on_pressure_change(|_, _| {}).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let before = cpu_seconds();
    std::thread::sleep(Duration::from_secs(10));
    let used = cpu_seconds() - before;
    assert!(used < 0.05, "{used} s of 10, by the kernel's count");
}

const LIMIT: usize = 300 << 20;

#[test]
fn u23_monitor_reports_a_real_change_of_level_within_two_seconds() {
    if std::env::var_os("ARENITE_TEST_INSIDE").is_none() {
        // The test runs in a child process with a memory limit of its own.
        let command = format!("ulimit -d {} && exec \"$0\" \"$@\"", LIMIT / 1024);
        let test = "u23_monitor_reports_a_real_change_of_level_within_two_seconds";
        let output = Command::new("sh")
            .args(["-c", &command])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env("ARENITE_TEST_INSIDE", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    assert_eq!(Limits::read().data.and_then(|limit| limit.soft.bytes()), Some(LIMIT as u64));
    let monitor = MemoryMonitor::new();
    let first = monitor.current_pressure_level();
    let (sender, changes) = mpsc::channel();
    monitor.on_pressure_change(move |old, new| sender.send((old, new, Instant::now())).unwrap()).unwrap();
    // `black_box`: an optimised build would remove an unused vector.
    let memory = std::hint::black_box(vec![1_u8; LIMIT - (30 << 20)]);
    let start = Instant::now();
    let (old, new, at) = changes.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(old == first && new >= MemoryPressure::High, "{old} to {new} after {} bytes", memory.len());
    assert!(at - start < Duration::from_secs(2), "{:?}", at - start);
    drop(memory);
    let start = Instant::now();
    let (_, new, at) = changes.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(new == first && at - start < Duration::from_secs(2), "{new} after {:?}", at - start);
}
