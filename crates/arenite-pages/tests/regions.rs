//! Regions against a naive model, against the kernel's list, and with invalid inputs.
#![expect(unsafe_code, reason = "uses the memory of regions")]
#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use arenite_pages::{
    PageStatus, Protection, Region, RegionErrorKind, RegionOptions, memory, page_size, regions, stats,
};
use proptest::prelude::*;

const PAGES: usize = 48;

/// Expected state of an OS page of a region.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Model {
    Reserved,
    Committed(Protection, u8),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Commit,
    Decommit,
    Protect(Protection),
    Write(u8),
    Discard,
}

fn step() -> impl Strategy<Value = Step> {
    use Protection::{None, Read, ReadExecute, ReadWrite};
    prop_oneof![
        Just(Step::Commit),
        Just(Step::Decommit),
        prop_oneof![Just(None), Just(Read), Just(ReadWrite), Just(ReadExecute)].prop_map(Step::Protect),
        (1_u8..=255).prop_map(Step::Write),
        Just(Step::Discard),
    ]
}

/// Runs a step on `pages` of the region and of the model, and checks that both accept or both
/// reject it.
fn apply(
    region: &mut Region,
    model: &mut [Model],
    step: Step,
    pages: std::ops::Range<usize>,
) -> Result<(), TestCaseError> {
    let (at, size) = (pages.start * page_size(), pages.len() * page_size());
    let part = &mut model[pages.clone()];
    match step {
        Step::Commit => {
            region.commit(at, size).unwrap();
            for page in part {
                let byte = if let Model::Committed(_, byte) = *page { byte } else { 0 };
                *page = Model::Committed(Protection::ReadWrite, byte);
            }
        }
        Step::Decommit => {
            // SAFETY: this test borrows no byte of the region.
            unsafe { region.decommit(at, size) }.unwrap();
            part.fill(Model::Reserved);
        }
        Step::Protect(protection) => {
            // SAFETY: as above; it reads and writes only through the kernel.
            let done = unsafe { region.protect(at, size, protection) };
            let gap = part.iter().position(|page| *page == Model::Reserved);
            prop_assert_eq!(
                done.map_err(|error| error.kind),
                match gap {
                    Some(gap) => Err(RegionErrorKind::Inaccessible { at: at + gap * page_size() }),
                    None => Ok(()),
                }
            );
            if gap.is_none() {
                for page in part {
                    if let Model::Committed(old, _) = page {
                        *old = protection;
                    }
                }
            }
        }
        Step::Write(byte) => {
            for (offset, page) in part.iter_mut().enumerate() {
                let done = region.poke((pages.start + offset) * page_size(), &[byte]);
                let open = matches!(page, Model::Committed(Protection::ReadWrite, _));
                prop_assert_eq!(done.is_ok(), open, "{:?}", page);
                if open {
                    *page = Model::Committed(Protection::ReadWrite, byte);
                }
            }
        }
        Step::Discard => {
            // SAFETY: as above.
            unsafe { region.discard(at, size) }.unwrap();
            for page in part {
                if let Model::Committed(protection, _) = *page {
                    *page = Model::Committed(protection, 0);
                }
            }
        }
    }
    Ok(())
}

/// Checks the region's report on each OS page, and its contents.
fn check(region: &Region, model: &[Model]) -> Result<(), TestCaseError> {
    let stretches = region.query_all().unwrap();
    let mut at = 0;
    for info in &stretches {
        prop_assert_eq!((info.range.start, info.label.as_str()), (at, "model"));
        at = info.range.end;
        for page in &model[info.range.start / page_size()..info.range.end / page_size()] {
            let expected = match *page {
                Model::Reserved => (PageStatus::Reserved, Protection::None),
                Model::Committed(protection, _) => (PageStatus::Committed, protection),
            };
            prop_assert_eq!((info.state, info.protection), expected);
        }
    }
    prop_assert_eq!(at, region.len());
    for (index, page) in model.iter().enumerate() {
        let found = region.peek(index * page_size(), 1);
        match *page {
            Model::Committed(Protection::None, _) | Model::Reserved => prop_assert!(found.is_err()),
            Model::Committed(_, byte) => prop_assert_eq!(found.unwrap(), [byte]),
        }
    }
    Ok(())
}

/// Returns the kernel's report in `/proc/self/smaps`: access of each OS page, and resident bytes.
fn smaps(region: &Region) -> (Vec<String>, usize) {
    let base = region.as_ptr().addr().get();
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut access, mut resident, mut inside) = (vec![String::new(); PAGES], 0, false);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let range = first.split_once('-').and_then(|(from, to)| {
            Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
        });
        if let Some((from, to)) = range {
            inside = from < base + region.len() && to > base;
            let letters = words.next().unwrap_or_default();
            for (index, page) in access.iter_mut().enumerate() {
                let at = base + index * page_size();
                if from <= at && at < to {
                    *page = letters[..3].to_owned();
                }
            }
        } else if inside && first == "Rss:" {
            resident += words.next().unwrap_or_default().parse::<usize>().unwrap() * 1024;
        }
    }
    (access, resident)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
    #[test]
    fn n02_n04_n05_any_sequence_of_steps_equals_the_model_and_the_kernel(
        steps in proptest::collection::vec((step(), 0..PAGES, 1..PAGES), 1..40),
    ) {
        // a guard on each side prevents the kernel from merging the region with a neighbour
        let mut region = RegionOptions::new().with_label("model").with_guard(1).with_huge_pages(false).reserve(PAGES * page_size()).unwrap();
        let mut model = vec![Model::Reserved; PAGES];
        for (step, first, count) in steps {
            let pages = first..(first + count).min(PAGES);
            apply(&mut region, &mut model, step, pages)?;
            check(&region, &model)?;
        }
        let (access, resident) = smaps(&region);
        for (page, letters) in model.iter().zip(&access) {
            let expected = match page {
                Model::Reserved | Model::Committed(Protection::None, _) => "---",
                Model::Committed(Protection::Read, _) => "r--",
                Model::Committed(Protection::ReadWrite, _) => "rw-",
                Model::Committed(Protection::ReadExecute, _) => "r-x",
            };
            prop_assert_eq!(letters, expected);
        }
        let reported: usize = region.query_all().unwrap().iter().map(|info| info.resident).sum();
        prop_assert_eq!(reported, resident);
    }
}

#[test]
fn n01_a_gibibyte_reserved_costs_no_resident_byte_and_appears_in_the_stats() {
    let region = Region::reserve(1 << 30, "gibibyte").unwrap();
    assert_eq!(region.query(0).unwrap().resident, 0);
    assert!(regions().iter().any(|entry| entry.base == region.as_ptr().addr().get() && entry.len == 1 << 30));
    let before = stats().unwrap();
    region.commit(0, 1 << 20).unwrap();
    region.prefetch(0, 1 << 20).unwrap();
    let after = stats().unwrap();
    assert!(after.reserved >= 1 << 30 && after.regions >= 1);
    println!("before {before:?}, after {after:?}");
    assert!(region.query(0).unwrap().resident == 1 << 20 && after.resident >= 1 << 20);
}

#[test]
fn n04_a_wrong_access_faults() {
    use std::os::unix::process::ExitStatusExt;
    if let Ok(mode) = std::env::var("ARENITE_FAULT") {
        let region = Region::reserve(page_size(), "guarded").unwrap();
        region.commit(0, page_size()).unwrap();
        let byte = region.as_ptr().as_ptr();
        // SAFETY: the byte is committed.
        unsafe { byte.write_volatile(1) };
        let protection: Protection = mode.parse().unwrap();
        // SAFETY: none: the access below must kill the process.
        unsafe { region.protect(0, page_size(), protection) }.unwrap();
        // SAFETY: as above.
        let read = unsafe { byte.read_volatile() };
        // SAFETY: as above.
        unsafe { byte.write_volatile(read) };
        std::process::exit(0);
    }
    let run = |mode: &str| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "n04_a_wrong_access_faults"]).env("ARENITE_FAULT", mode);
        child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        child.status().unwrap()
    };
    assert_eq!(run("read-write").code(), Some(0));
    for mode in ["none", "read", "read-execute"] {
        assert_eq!(run(mode).signal(), Some(11), "{mode}");
    }
}

#[test]
fn n06_n07_inaccessible_memory_is_an_error_and_not_a_fault() {
    let mut region = Region::reserve(4 * page_size(), "gaps").unwrap();
    region.commit(page_size(), page_size()).unwrap();
    assert_eq!(region.peek(0, 1).unwrap_err().kind, RegionErrorKind::Inaccessible { at: 0 });
    let across = region.poke(2 * page_size() - 2, b"four").unwrap_err();
    assert_eq!(across.kind, RegionErrorKind::Inaccessible { at: 2 * page_size() });
    assert!(across.to_string().contains("poke into 4 B at offset 8190 of region `gaps`"), "{across}");
    assert_eq!(region.peek(4 * page_size(), 1).unwrap_err().kind, RegionErrorKind::OutOfRange);
    assert_eq!(region.peek(usize::MAX, 2).unwrap_err().kind, RegionErrorKind::OutOfRange);
    assert_eq!(region.peek(page_size(), usize::MAX).unwrap_err().kind, RegionErrorKind::OutOfRange);
    assert_eq!(
        region.typed_peek::<f64>(page_size(), usize::MAX / 2).unwrap_err().kind,
        RegionErrorKind::OutOfRange
    );
    assert_eq!(region.peek(page_size(), 0).unwrap(), []);
    // SAFETY: no code uses the range.
    unsafe { region.protect(page_size(), page_size(), Protection::Read) }.unwrap();
    assert_eq!(
        region.poke(page_size(), &[1]).unwrap_err().kind,
        RegionErrorKind::Inaccessible { at: page_size() }
    );
    assert_eq!(region.peek(page_size(), 1).unwrap(), [0]);
}

#[test]
fn n56_n57_every_number_type_is_read_back_unaligned() {
    use arenite_pages::{ScalarType, ScalarVec};
    let region = memory::reserve(page_size(), "numbers").unwrap();
    memory::commit(region.addr, page_size()).unwrap();
    let written = [
        ScalarVec::Float32(vec![3.25, f32::MIN_POSITIVE, f32::INFINITY]),
        ScalarVec::Float64(vec![2.75, -0.0]),
        ScalarVec::Int32(vec![i32::MIN, 7]),
        ScalarVec::Int64(vec![i64::MAX, -1]),
        ScalarVec::Uint32(vec![u32::MAX]),
        ScalarVec::Int8(vec![-1]),
        ScalarVec::Int16(vec![-300]),
        ScalarVec::Uint8(vec![200]),
        ScalarVec::Uint16(vec![60_000]),
        ScalarVec::Uint64(vec![1 << 63]),
    ];
    let mut seen = Vec::new();
    for (numbers, of) in written
        .iter()
        .zip(["float32", "float64", "int32", "int64", "uint32", "int8", "int16", "uint8", "uint16", "uint64"])
    {
        memory::typed_poke(region.addr + 3, numbers).unwrap();
        let count = numbers.as_bytes().len() / of.parse::<ScalarType>().unwrap().size();
        assert_eq!(&memory::typed_peek(region.addr + 3, of, count).unwrap(), numbers);
        seen.push(of.parse::<ScalarType>().unwrap());
    }
    assert_eq!(seen.len(), ScalarType::ALL.len());
    assert!(memory::typed_peek(region.addr, "float16", 1).is_err());
    assert!(memory::typed_peek(region.addr, "float64", usize::MAX).is_err());
    memory::release(region.addr).unwrap();
}

#[test]
fn labels_appear_in_the_kernels_list_where_it_writes_them() {
    let region = Region::reserve(page_size(), "named [arena]").unwrap();
    region.commit(0, page_size()).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    if region.query(0).unwrap().named {
        assert!(maps.contains("[anon:named _arena_]"), "{maps}");
    } else {
        println!("skipped: this kernel writes no names of anonymous memory (CONFIG_ANON_VMA_NAME)");
        assert!(!maps.contains("[anon:named"));
    }
}

#[test]
fn lock_returns_the_limit_it_hit() {
    let region = Region::reserve(1 << 30, "locked").unwrap();
    region.commit(0, 1 << 20).unwrap();
    region.lock(0, 1 << 16).unwrap();
    assert_eq!(region.query(0).unwrap().resident, 1 << 16, "locking finds the pages");
    region.unlock(0, 1 << 16).unwrap();
    assert_eq!(region.lock(0, 2 << 20).unwrap_err().kind, RegionErrorKind::Inaccessible { at: 1 << 20 });
    if let Ok(limit) = std::env::var("ARENITE_MEMLOCK") {
        let error = region.lock(0, 1 << 20).unwrap_err();
        let RegionErrorKind::LockLimit { limit: found, .. } = error.kind else { panic!("{error}") };
        assert_eq!(found.to_string(), limit);
        println!("limit met");
        return;
    }
    // as a user without privilege, in a process of its own
    let limit = 128 << 10;
    let script = format!(
        "ulimit -l {} && exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \"$0\" \"$@\"",
        limit / 1024
    );
    let mut child = std::process::Command::new("sh");
    child.args(["-c", &script]).arg(std::env::current_exe().unwrap());
    child
        .args(["--exact", "lock_returns_the_limit_it_hit", "--nocapture"])
        .env("ARENITE_MEMLOCK", limit.to_string());
    let output = child.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if text.contains("limit met") {
        assert!(output.status.success(), "{text}");
    } else if text.contains("panicked") {
        panic!("{text}");
    } else {
        println!("skipped: cannot become a user without privilege here: {text}");
    }
}

#[test]
fn n03_large_blocks_by_address_are_freed_once() {
    let block = memory::large_alloc(100_000).unwrap();
    memory::poke(block.addr, b"large").unwrap();
    assert_eq!(memory::peek(block.addr, 6).unwrap(), b"large\0");
    assert!(memory::release(block.addr).is_err() && memory::numa_free(block.addr).is_err());
    memory::large_free(block.addr).unwrap();
    let error = memory::large_free(block.addr).unwrap_err();
    assert!(error.to_string().contains("no region, block or file begins at"), "{error}");
}

#[test]
fn n03_second_release_and_foreign_addresses_fail() {
    let region = memory::reserve(1 << 20, "once").unwrap();
    let inside = memory::commit(region.addr + 5 * page_size(), 10)
        .and_then(|()| memory::peek(region.addr + 5 * page_size(), 4096));
    assert_eq!(inside.unwrap(), vec![0; 4096], "ranges are widened to OS pages");
    assert!(memory::release(region.addr + page_size()).is_err(), "not its start");
    assert!(memory::commit(region.addr, 0).is_err());
    assert!(memory::commit(region.addr, 2 << 20).is_err());
    assert!(memory::commit(region.addr, usize::MAX).is_err());
    assert!(memory::protect(region.addr, 10, "read-write-execute").is_err());
    memory::release(region.addr).unwrap();
    let error = memory::release(region.addr).unwrap_err();
    assert!(error.to_string().contains("or it was released"), "{error}");
    let here = std::ptr::from_ref(&error).addr();
    for refused in [
        memory::poke(here, &[0]).is_err(),
        memory::peek(here, 1).is_err(),
        memory::commit(here, 1).is_err(),
        memory::query(0).is_err(),
    ] {
        assert!(refused);
    }
    // regions of other code are not accessible
    let own = Region::reserve(page_size(), "own").unwrap();
    assert!(memory::commit(own.as_ptr().addr().get(), page_size()).is_err());
    assert!(memory::reserve(0, "none").is_err() && memory::reserve(usize::MAX, "vast").is_err());
}

#[test]
fn n20_n22_offered_bytes_are_inaccessible_until_reclaimed() {
    let region = memory::reserve(1 << 20, "offered").unwrap();
    memory::commit(region.addr, 1 << 20).unwrap();
    memory::poke(region.addr + 100, b"kept").unwrap();
    memory::offer(region.addr, 8 * page_size()).unwrap();
    for refused in [
        memory::peek(region.addr + 100, 1).map(drop),
        memory::poke(region.addr + 100, &[1]),
        memory::commit(region.addr, 1),
        memory::decommit(region.addr + 7 * page_size(), 1),
        memory::protect(region.addr, 1, "none"),
        memory::discard(region.addr, 1),
        memory::offer(region.addr + page_size(), 1),
        memory::lock(region.addr, 1),
    ] {
        assert!(refused.unwrap_err().to_string().contains("reclaim it first"));
    }
    memory::poke(region.addr + 8 * page_size(), &[1]).unwrap();
    let back = memory::reclaim(region.addr).unwrap();
    assert_eq!(
        (back.all_kept(), memory::peek(region.addr + 100, 4).unwrap().as_slice()),
        (true, &b"kept"[..])
    );
    assert!(memory::reclaim(region.addr).is_err());
    memory::discard(region.addr, 1).unwrap();
    assert_eq!(memory::peek(region.addr + 100, 4).unwrap(), [0; 4]);
    match memory::write_watch(region.addr, 4 * page_size()) {
        Ok(()) => {
            memory::poke(region.addr + 2 * page_size() + 9, &[1]).unwrap();
            let page = region.addr + 2 * page_size();
            assert_eq!(memory::written(region.addr).unwrap().first(), Some(&(page..page + page_size())));
            assert!(memory::written(region.addr).unwrap().is_empty(), "and begins afresh");
        }
        Err(error) => println!("skipped: {error}"),
    }
    memory::prefetch(region.addr, 1 << 20).unwrap();
    memory::unlock(region.addr, 1).unwrap();
    memory::release(region.addr).unwrap();
}
