//! `arenite doctor --check`: every facility of `arenite-pages` used for real, once, and what came of it.
//!
//! Rests on `arenite_pages`. What a kernel claims and what it does are two things, so each check does the work and looks at
//! the result; a machine that lacks something is no failure, and a result that is wrong is one.
#![expect(unsafe_code, reason = "uses the memory of regions that it has just made")]

use arenite_core::Bytes;
use arenite_pages::machine::{Available, CgroupEvents, OsPages, numa_info};
use arenite_pages::{
    FileError, MapMode, MappedArray, PageCause, PageError, PressureError, PressureTrigger, Protection,
    Region, RegionOptions, RingFile, StallKind, WriteWatch, large_alloc, map_file, numa_alloc, page_size,
    ring_buffer,
};
use serde::Serialize;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It did what it should.
    Works,
    /// This machine, kernel or process lacks it.
    Unsupported,
    /// It did something else.
    Fails,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckLine {
    /// The facility.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen, or what is lacking.
    pub seen: String,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// Why a check did not succeed.
enum Refused {
    Unsupported(String),
    Fails(String),
}

impl<E: Into<Box<dyn Error>>> From<E> for Refused {
    fn from(error: E) -> Self {
        let error = error.into();
        let lacking = match error.downcast_ref::<PageError>() {
            Some(page) => matches!(page.cause, PageCause::Unsupported { .. } | PageCause::LockLimit { .. }),
            None => matches!(
                error.downcast_ref(),
                Some(PressureError::Unsupported { .. } | PressureError::BadTimes { .. })
            ),
        };
        if lacking { Self::Unsupported(error.to_string()) } else { Self::Fails(error.to_string()) }
    }
}

type Seen = Result<String, Refused>;

/// A facility's name, and what uses it; files are made in the folder.
type Check = (&'static str, fn(&Path) -> Seen);

/// The checks, in the order of the room.
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
    ("a file cut off", truncation),
    ("ring, threads", |_| ring()),
    ("ring in a file", ring_file),
    ("pressure trigger", |_| pressure()),
    ("cgroup events", |_| events()),
    ("available memory", |_| available()),
];

/// Runs every check; files are made and removed in `folder`.
pub(super) fn run(folder: &Path) -> Vec<CheckLine> {
    let one = |&(name, check): &Check| {
        let began = Instant::now();
        let (outcome, seen) = match check(folder) {
            Ok(seen) => (Outcome::Works, seen),
            Err(Refused::Unsupported(why)) => (Outcome::Unsupported, why),
            Err(Refused::Fails(why)) => (Outcome::Fails, why),
        };
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        CheckLine { name, outcome, seen, micros }
    };
    CHECKS.iter().map(one).collect()
}

/// `seen`, or a failure with it.
fn expect(holds: bool, seen: impl Into<String>) -> Seen {
    let seen = seen.into();
    if holds { Ok(seen) } else { Err(Refused::Fails(seen)) }
}

fn region(size: usize) -> Result<Region, PageError> {
    let region = Region::reserve(size, "doctor")?;
    region.commit(0, size)?;
    Ok(region)
}

fn commit() -> Seen {
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

fn protect() -> Seen {
    let mut region = region(page_size())?;
    // SAFETY: nobody borrows the region.
    unsafe { region.protect(0, page_size(), Protection::Read) }?;
    expect(
        region.poke(0, &[1]).is_err() && region.peek(0, 1).is_ok(),
        "a write to what is read-only is refused",
    )
}

fn guards() -> Seen {
    let region = RegionOptions::new().guarded(1).reserve(page_size())?;
    region.commit(0, page_size())?;
    expect(region.guard() >= page_size(), format!("{} on either side", Bytes(region.guard())))
}

fn labels() -> Seen {
    let region = region(page_size())?;
    if region.query(0)?.named {
        return Ok("/proc/PID/maps shows [anon:doctor]".to_owned());
    }
    Err(Refused::Unsupported(
        "the kernel writes no names of anonymous memory (CONFIG_ANON_VMA_NAME)".to_owned(),
    ))
}

fn remap() -> Seen {
    let (mut from, to) = (region(1 << 20)?, Region::reserve(1 << 20, "doctor")?);
    from.poke(5000, b"moved")?;
    // SAFETY: nobody borrows either region.
    unsafe { from.remap(0, 1 << 20, &to, 0) }?;
    expect(to.peek(5000, 5)? == b"moved" && from.peek(5000, 1).is_err(), "1 MiB moved, no byte copied")
}

fn prefetch() -> Seen {
    let region = region(4 << 20)?;
    region.prefetch(0, 4 << 20)?;
    let resident = region.query(0)?.resident;
    expect(resident == 4 << 20, format!("{} of 4 MiB in memory", Bytes(resident)))
}

fn offer() -> Seen {
    let mut region = region(16 * page_size())?;
    for at in 0..16 {
        region.poke(at * page_size(), &[7])?;
    }
    // SAFETY: nobody borrows the region.
    let offer = unsafe { region.offer(0, 16 * page_size()) }?;
    region.page_out(4 * page_size(), page_size())?; // as memory pressure would
    let back = offer.reclaim();
    let kept = region.peek(0, 1)? == [7];
    let lost = back.lost.iter().map(std::ops::Range::len).sum::<usize>() / page_size();
    expect(kept && lost <= 1, format!("{lost} of 16 OS pages dropped, and known"))
}

fn transparent() -> Seen {
    if !OsPages::read().grants_transparent() {
        return Err(Refused::Unsupported("the machine's policy grants none".to_owned()));
    }
    let region = RegionOptions::new().huge(true).reserve(8 << 20)?;
    region.commit(0, 8 << 20)?;
    region.prefetch(0, 8 << 20)?;
    let huge = region.query(0)?.huge;
    expect(huge > 0, format!("{} of 8 MiB on huge pages", Bytes(huge)))
}

fn explicit() -> Seen {
    let pools = OsPages::read().explicit;
    let aside = pools
        .iter()
        .map(|pool| format!("{} of {} free", pool.free, Bytes(usize::try_from(pool.size).unwrap_or(0))));
    let aside = aside.collect::<Vec<_>>().join(", ");
    if pools.iter().all(|pool| pool.free == 0) {
        return Err(Refused::Unsupported(format!(
            "none set aside ({aside}); as root: sysctl vm.nr_hugepages=N"
        )));
    }
    let block = large_alloc(2 << 20)?;
    Ok(format!("{:?}; {aside}", block.kind()))
}

fn collapse() -> Seen {
    let region = RegionOptions::new().huge(false).reserve(4 << 20)?;
    region.commit(0, 4 << 20)?;
    region.prefetch(0, 4 << 20)?;
    region.advise_huge(0, 4 << 20, true)?;
    region.collapse(0, 4 << 20)?;
    let huge = region.query(0)?.huge;
    expect(huge > 0, format!("{} of 4 MiB on huge pages", Bytes(huge)))
}

fn lock() -> Seen {
    let region = region(16 * page_size())?;
    region.lock(0, 16 * page_size())?;
    region.unlock(0, 16 * page_size())?;
    Ok(format!("{} locked and unlocked", Bytes(16 * page_size())))
}

fn watch() -> Seen {
    let region = region(64 * page_size())?;
    let mut watch = WriteWatch::new(region.as_range(), &region)?;
    // SAFETY: a committed byte that nobody borrows.
    unsafe { region.as_ptr().as_ptr().wrapping_add(9 * page_size()).write(1) };
    let written = watch.written()?;
    let one = written.len() == 1 && written[0] == (9 * page_size()..10 * page_size());
    expect(one, format!("{} run of written OS pages seen", written.len()))
}

fn numa() -> Seen {
    let numa = numa_info();
    let mut seen = Vec::new();
    for node in numa.nodes.iter().filter(|node| node.has_memory()) {
        let mut block = numa_alloc(1 << 20, node.id)?;
        block.fill(1);
        let found = block.distribution()?;
        if found.on(node.id) != 1 << 20 {
            return Err(Refused::Fails(format!("bound to node {}, found {found:?}", node.id)));
        }
        seen.push(node.id.to_string());
    }
    match seen.len() {
        0 => Err(Refused::Unsupported("the kernel tells of no nodes".to_owned())),
        1 => Ok("1 MiB bound and verified; one node, so there is nothing to choose".to_owned()),
        _ => Ok(format!("1 MiB bound and verified on each of the nodes {}", seen.join(", "))),
    }
}

fn file(folder: &Path) -> Seen {
    let path = folder.join("file");
    std::fs::write(&path, b"before")?;
    let mut file = map_file(&path, MapMode::ReadWrite)?;
    file.write(0, b"behind")?;
    file.flush()?;
    expect(std::fs::read(&path)? == b"behind", "what was flushed is in the file")
}

fn array(folder: &Path) -> Seen {
    let path = folder.join("array");
    let mut array = MappedArray::<f64>::create(&path, &[1000, 3])?;
    array.set(&[7, 2], 1.5)?;
    array.grow(2000)?;
    array.sync()?;
    drop(array);
    let array = MappedArray::<f64>::open(&path, MapMode::ReadOnly)?;
    expect(array.get(&[7, 2])? == 1.5 && array.shape() == [2000, 3], "created, grown, synced, opened again")
}

fn truncation(folder: &Path) -> Seen {
    let path = folder.join("cut");
    let array = MappedArray::<u64>::create(&path, &[100_000])?;
    std::fs::File::options().write(true).open(&path)?.set_len(20_000)?;
    let refused = matches!(array.get(&[50_000]), Err(FileError::Truncated { .. }));
    // SAFETY: nobody writes to the file while the slice lives.
    let last = unsafe { array.as_slice() }[99_999];
    expect(refused && last == 0 && array.file().is_damaged(), "an error and a mark, not a dead process")
}

fn ring() -> Seen {
    const COUNT: u64 = 100_000;
    let (mut producer, mut consumer) = ring_buffer::<u64>(512)?;
    let began = Instant::now();
    let writer = std::thread::spawn(move || (0..COUNT).all(|number| producer.send(number).is_ok()));
    let mut order = true;
    for number in 0..COUNT {
        order &= consumer.recv()? == number;
    }
    let nanos = began.elapsed().as_nanos() / u128::from(COUNT);
    expect(
        writer.join().is_ok_and(|sent| sent) && order,
        format!("{COUNT} numbers in order, {nanos} ns each with waits"),
    )
}

fn ring_file(folder: &Path) -> Seen {
    let ring = RingFile::create::<u32>(&folder.join("ring"), 100)?;
    // SAFETY: this process alone opens the file, through this crate.
    let mut producer = unsafe { ring.producer::<u32>() }?;
    // SAFETY: as above.
    let second = unsafe { ring.producer::<u32>() }.is_err();
    // SAFETY: as above.
    let mut consumer = unsafe { ring.consumer::<u32>() }?;
    let sent = producer.push(7).is_ok();
    expect(sent && second && consumer.recv()? == 7, "an element arrives; a second producer is refused")
}

fn pressure() -> Seen {
    let trigger = PressureTrigger::new(StallKind::Some, Duration::from_millis(100), Duration::from_secs(2))?;
    let fired = trigger.wait(Some(Duration::ZERO))?;
    Ok(format!("set for 0.1 s in 2 s; {}", if fired { "it fires now" } else { "quiet now" }))
}

fn events() -> Seen {
    let events = CgroupEvents::read();
    let events = events.ok_or_else(|| Refused::Unsupported("no memory controller to be seen".to_owned()))?;
    let count = |count: Option<u64>| count.map_or("not counted".to_owned(), |count| count.to_string());
    Ok(format!("limit met: {}; killed: {}", count(events.limit), count(events.killed)))
}

fn available() -> Seen {
    let (ceiling, bytes) =
        Available::read().smallest().ok_or(Refused::Fails("no ceiling can be read".to_owned()))?;
    Ok(format!("{} below the ceiling {ceiling:?}", Bytes(usize::try_from(bytes).unwrap_or(usize::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n16_every_check_runs_and_none_fails_here() {
        let folder = tempfile::tempdir().unwrap();
        let lines = run(folder.path());
        assert_eq!(lines.len(), CHECKS.len());
        for line in &lines {
            println!("{:?} {}: {} ({} us)", line.outcome, line.name, line.seen, line.micros);
            assert!(line.outcome != Outcome::Fails && !line.seen.is_empty(), "{line:?}");
            assert!(line.name.len() < 17, "{} does not fit its column", line.name);
            if line.outcome == Outcome::Unsupported {
                println!("skipped: {}: {}", line.name, line.seen);
            }
        }
        assert!(lines.iter().filter(|line| line.outcome == Outcome::Works).count() > 10);
    }

    #[test]
    fn n16_a_folder_that_is_not_there_fails_the_files_and_nothing_else() {
        let lines = run(Path::new("/nonexistent/folder"));
        let failed = lines.iter().filter(|line| line.outcome == Outcome::Fails).map(|line| line.name);
        assert_eq!(
            failed.collect::<Vec<_>>(),
            ["mapped file", "mapped array", "a file cut off", "ring in a file"]
        );
    }
}
