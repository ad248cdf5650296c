//! The checks of `arenite doctor --check`: each facility of `arenite-pages`, exercised once.
//!
//! A kernel may report a facility that does not work, so each check verifies the result. A missing
//! facility is unsupported; a wrong result is a failure.
#![expect(unsafe_code, reason = "uses the memory of regions that it has just created")]

use super::limit_name::limit_name;
use arenite_core::Bytes;
use arenite_pages::machine::{Available, CgroupEvents, PageSizes, numa_info};
use arenite_pages::{
    FileError, LargeKind, MapMode, MappedArray, PressureError, PressureTrigger, Protection, Region,
    RegionError, RegionErrorKind, RegionOptions, RingFile, StallKind, WriteWatch, large_alloc, map_file,
    numa_alloc, page_size, ring_buffer,
};
use serde::Serialize;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The result was right.
    Ok,
    /// The machine, the kernel or the process lacks the facility.
    Unsupported,
    /// The result was wrong.
    Failed,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckLine {
    /// The facility.
    pub name: &'static str,
    /// The outcome.
    pub outcome: Outcome,
    /// The observation, or the missing facility.
    pub detail: String,
    /// Duration in nanoseconds.
    pub elapsed_ns: u64,
}

/// The reason why a check did not succeed.
enum CheckError {
    Unsupported(String),
    Failed(String),
}

impl<E: Into<Box<dyn Error>>> From<E> for CheckError {
    fn from(error: E) -> Self {
        let error = error.into();
        let is_unsupported = match error.downcast_ref::<RegionError>() {
            Some(page) => {
                matches!(page.kind, RegionErrorKind::Unsupported { .. } | RegionErrorKind::LockLimit { .. })
            }
            None => matches!(
                error.downcast_ref(),
                Some(PressureError::Unsupported { .. } | PressureError::InvalidWindow { .. })
            ),
        };
        if is_unsupported { Self::Unsupported(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

type CheckResult = Result<String, CheckError>;

/// The name of a facility, and the function that exercises it with files in a directory.
type Check = (&'static str, fn(&Path) -> CheckResult);

/// The checks, in the order of the report.
const CHECKS: &[Check] = &[
    ("reserve, commit", |_| commit()),
    ("protect", |_| protect()),
    ("guard pages", |_| guards()),
    ("labels", |_| labels()),
    ("remap", |_| remap()),
    ("prefetch", |_| prefetch()),
    ("offer, reclaim", |_| offer()),
    ("transparent huge", |_| transparent()),
    ("explicit huge", |_| explicit()),
    ("collapse", |_| collapse()),
    ("lock in memory", |_| lock()),
    ("write watch", |_| watch()),
    ("NUMA placement", |_| numa()),
    ("mapped file", file),
    ("mapped array", array),
    ("truncated file", truncation),
    ("ring, threads", |_| ring()),
    ("ring in a file", ring_file),
    ("pressure trigger", |_| pressure()),
    ("cgroup events", |_| events()),
    ("available memory", |_| available()),
];

/// Runs every check, with files in `dir`.
pub(super) fn run(dir: &Path) -> Vec<CheckLine> {
    let one = |&(name, check): &Check| {
        let start = Instant::now();
        let (outcome, detail) = match check(dir) {
            Ok(detail) => (Outcome::Ok, detail),
            Err(CheckError::Unsupported(reason)) => (Outcome::Unsupported, reason),
            Err(CheckError::Failed(reason)) => (Outcome::Failed, reason),
        };
        let elapsed_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        CheckLine { name, outcome, detail, elapsed_ns }
    };
    CHECKS.iter().map(one).collect()
}

/// Returns `detail`, or a failure with it if the check does not hold.
fn expect(holds: bool, detail: impl Into<String>) -> CheckResult {
    let detail = detail.into();
    if holds { Ok(detail) } else { Err(CheckError::Failed(detail)) }
}

fn region(size: usize) -> Result<Region, RegionError> {
    let region = Region::reserve(size, "doctor")?;
    region.commit(0, size)?;
    Ok(region)
}

fn commit() -> CheckResult {
    let mut region = Region::reserve(1 << 30, "doctor")?;
    region.commit(0, 1 << 16)?;
    region.typed_poke(100, &[2.5_f64])?;
    let back = region.typed_peek::<f64>(100, 1)?;
    let outside = region.peek(1 << 16, 1).is_err();
    let resident = region.query(0)?.resident;
    expect(
        back == [2.5] && outside && resident == page_size(),
        format!("{} of 1 GiB in memory after one write", Bytes(resident)),
    )
}

fn protect() -> CheckResult {
    let mut region = region(page_size())?;
    // SAFETY: no reference into the region exists.
    unsafe { region.protect(0, page_size(), Protection::Read) }?;
    expect(region.poke(0, &[1]).is_err() && region.peek(0, 1).is_ok(), "a write to read-only memory fails")
}

fn guards() -> CheckResult {
    let region = RegionOptions::new().with_guard(1).reserve(page_size())?;
    region.commit(0, page_size())?;
    expect(region.guard() >= page_size(), format!("{} on each side", Bytes(region.guard())))
}

fn labels() -> CheckResult {
    let region = region(page_size())?;
    if region.query(0)?.named {
        return Ok("/proc/PID/maps shows [anon:doctor]".to_owned());
    }
    Err(CheckError::Unsupported(
        "the kernel does not name anonymous memory (CONFIG_ANON_VMA_NAME)".to_owned(),
    ))
}

fn remap() -> CheckResult {
    let (mut from, to) = (region(1 << 20)?, Region::reserve(1 << 20, "doctor")?);
    from.poke(5000, b"moved")?;
    // SAFETY: no reference into either region exists.
    unsafe { from.remap(0, 1 << 20, &to, 0) }?;
    expect(to.peek(5000, 5)? == b"moved" && from.peek(5000, 1).is_err(), "1 MiB moved without a copy")
}

fn prefetch() -> CheckResult {
    let region = region(4 << 20)?;
    region.prefetch(0, 4 << 20)?;
    let resident = region.query(0)?.resident;
    expect(resident == 4 << 20, format!("{} of 4 MiB in memory", Bytes(resident)))
}

fn offer() -> CheckResult {
    let mut region = region(16 * page_size())?;
    for at in 0..16 {
        region.poke(at * page_size(), &[7])?;
    }
    // SAFETY: no reference into the region exists.
    let offer = unsafe { region.offer(0, 16 * page_size()) }?;
    region.page_out(4 * page_size(), page_size())?; // simulates memory pressure
    let back = offer.reclaim();
    let kept = region.peek(0, 1)? == [7];
    let lost = back.lost.iter().map(std::ops::Range::len).sum::<usize>() / page_size();
    expect(kept && lost <= 1, format!("{lost} of 16 OS pages dropped and reported"))
}

fn transparent() -> CheckResult {
    if !PageSizes::read().grants_transparent() {
        return Err(CheckError::Unsupported("the machine's policy is `never`, or unknown".to_owned()));
    }
    let region = RegionOptions::new().with_huge_pages(true).reserve(8 << 20)?;
    region.commit(0, 8 << 20)?;
    region.prefetch(0, 8 << 20)?;
    let huge = region.query(0)?.huge;
    expect(huge > 0, format!("{} of 8 MiB on huge pages", Bytes(huge)))
}

fn explicit() -> CheckResult {
    let pools = PageSizes::read().explicit;
    let pool_text = pools
        .iter()
        .map(|pool| format!("{} of {} free", pool.free, Bytes(usize::try_from(pool.size).unwrap_or(0))));
    let pool_text = pool_text.collect::<Vec<_>>().join(", ");
    if pools.iter().all(|pool| pool.free == 0) {
        return Err(CheckError::Unsupported(format!(
            "no huge pages in the pools ({pool_text}); as root: sysctl vm.nr_hugepages=N"
        )));
    }
    let block = large_alloc(2 << 20)?;
    let kind = match block.kind() {
        LargeKind::Explicit { page } => format!("2 MiB on explicit huge pages of {}", Bytes(page)),
        LargeKind::Transparent => "2 MiB on transparent huge pages".to_owned(),
        LargeKind::Ordinary => "2 MiB on ordinary OS pages".to_owned(),
    };
    Ok(format!("{kind}; {pool_text}"))
}

fn collapse() -> CheckResult {
    let region = RegionOptions::new().with_huge_pages(false).reserve(4 << 20)?;
    region.commit(0, 4 << 20)?;
    region.prefetch(0, 4 << 20)?;
    region.advise_huge(0, 4 << 20, true)?;
    region.collapse(0, 4 << 20)?;
    let huge = region.query(0)?.huge;
    expect(huge > 0, format!("{} of 4 MiB on huge pages", Bytes(huge)))
}

fn lock() -> CheckResult {
    let region = region(16 * page_size())?;
    region.lock(0, 16 * page_size())?;
    region.unlock(0, 16 * page_size())?;
    Ok(format!("{} locked and unlocked", Bytes(16 * page_size())))
}

fn watch() -> CheckResult {
    let region = region(64 * page_size())?;
    let mut watch = WriteWatch::new(region.as_range(), &region)?;
    // SAFETY: the byte is committed, and no reference to it exists.
    unsafe { region.as_ptr().as_ptr().wrapping_add(9 * page_size()).write(1) };
    let written = watch.written()?;
    let is_right = written.len() == 1 && written[0] == (9 * page_size()..10 * page_size());
    expect(is_right, format!("{} range of written OS pages detected", written.len()))
}

fn numa() -> CheckResult {
    let numa = numa_info();
    let mut verified = Vec::new();
    for node in numa.nodes.iter().filter(|node| node.has_memory()) {
        let mut block = numa_alloc(1 << 20, node.id)?;
        block.fill(1);
        let found = block.distribution()?;
        if found.bytes_on_node(node.id) != 1 << 20 {
            return Err(CheckError::Failed(format!("bound to node {}, found {found:?}", node.id)));
        }
        verified.push(node.id.to_string());
    }
    match verified.len() {
        0 => Err(CheckError::Unsupported("the kernel reports no nodes".to_owned())),
        1 => Ok("1 MiB bound and verified on the only node".to_owned()),
        _ => Ok(format!("1 MiB bound and verified on each of the nodes {}", verified.join(", "))),
    }
}

fn file(dir: &Path) -> CheckResult {
    let path = dir.join("file");
    std::fs::write(&path, b"before")?;
    let mut file = map_file(&path, MapMode::ReadWrite)?;
    file.write(0, b"behind")?;
    file.flush()?;
    expect(std::fs::read(&path)? == b"behind", "flushed bytes are in the file")
}

fn array(dir: &Path) -> CheckResult {
    let path = dir.join("array");
    let mut array = MappedArray::<f64>::create(&path, &[1000, 3])?;
    array.set(&[7, 2], 1.5)?;
    array.grow(2000)?;
    array.sync()?;
    drop(array);
    let array = MappedArray::<f64>::open(&path, MapMode::ReadOnly)?;
    expect(array.get(&[7, 2])? == 1.5 && array.shape() == [2000, 3], "created, grown, synced, reopened")
}

fn truncation(dir: &Path) -> CheckResult {
    let path = dir.join("truncated");
    let array = MappedArray::<u64>::create(&path, &[100_000])?;
    std::fs::File::options().write(true).open(&path)?.set_len(20_000)?;
    let is_error = matches!(array.get(&[50_000]), Err(FileError::Truncated { .. }));
    // SAFETY: no process writes to the file while the slice lives.
    let last = unsafe { array.as_slice() }[99_999];
    expect(is_error && last == 0 && array.file().is_damaged(), "an error and a flag, not SIGBUS")
}

fn ring() -> CheckResult {
    const COUNT: u64 = 100_000;
    let (mut producer, mut consumer) = ring_buffer::<u64>(512)?;
    let start = Instant::now();
    let writer = std::thread::spawn(move || (0..COUNT).all(|number| producer.send(number).is_ok()));
    let mut order = true;
    for number in 0..COUNT {
        order &= consumer.recv()? == number;
    }
    let nanos = start.elapsed().as_nanos() / u128::from(COUNT);
    expect(
        writer.join().is_ok_and(|sent| sent) && order,
        format!("{COUNT} elements in order, {nanos} ns each with waits"),
    )
}

fn ring_file(dir: &Path) -> CheckResult {
    let ring = RingFile::create::<u32>(&dir.join("ring"), 100)?;
    // SAFETY: only this process opens the file, and only through this crate.
    let mut producer = unsafe { ring.producer::<u32>() }?;
    // SAFETY: only this process opens the file, and only through this crate.
    let second = unsafe { ring.producer::<u32>() }.is_err();
    // SAFETY: only this process opens the file, and only through this crate.
    let mut consumer = unsafe { ring.consumer::<u32>() }?;
    let sent = producer.push(7).is_ok();
    expect(sent && second && consumer.recv()? == 7, "an element arrives; a second producer fails")
}

fn pressure() -> CheckResult {
    let trigger = PressureTrigger::new(StallKind::Some, Duration::from_millis(100), Duration::from_secs(2))?;
    let fired = trigger.wait(Some(Duration::ZERO))?;
    Ok(format!("set for 100 ms in 2 s; {}", if fired { "fired" } else { "did not fire" }))
}

fn events() -> CheckResult {
    let events = CgroupEvents::read();
    let events = events.ok_or_else(|| CheckError::Unsupported("no memory controller found".to_owned()))?;
    let count = |count: Option<u64>| count.map_or("not counted".to_owned(), |count| count.to_string());
    Ok(format!("limit reached: {}; processes killed: {}", count(events.limit), count(events.killed)))
}

fn available() -> CheckResult {
    let (limit, bytes) =
        Available::read().smallest().ok_or(CheckError::Failed("no limit can be read".to_owned()))?;
    Ok(format!("{}, limited by {}", crate::format::bytes(bytes), limit_name(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n16_every_check_runs_and_none_fails() {
        let dir = tempfile::tempdir().unwrap();
        let lines = run(dir.path());
        assert_eq!(lines.len(), CHECKS.len());
        for line in &lines {
            println!("{:?} {}: {} ({} ns)", line.outcome, line.name, line.detail, line.elapsed_ns);
            assert!(line.outcome != Outcome::Failed && !line.detail.is_empty(), "{line:?}");
            assert!(line.name.len() < 17, "{} does not fit its column", line.name);
            if line.outcome == Outcome::Unsupported {
                println!("skipped: {}: {}", line.name, line.detail);
            }
        }
        assert!(lines.iter().filter(|line| line.outcome == Outcome::Ok).count() > 10);
    }

    #[test]
    fn n16_only_file_checks_fail_when_the_directory_is_missing() {
        let lines = run(Path::new("/nonexistent/dir"));
        let failed = lines.iter().filter(|line| line.outcome == Outcome::Failed).map(|line| line.name);
        assert_eq!(
            failed.collect::<Vec<_>>(),
            ["mapped file", "mapped array", "truncated file", "ring in a file"]
        );
    }
}
