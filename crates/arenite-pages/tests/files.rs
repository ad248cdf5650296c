//! Mapped files: contents, rejected inputs, and survival of crashes and truncations.
#![expect(unsafe_code, reason = "borrows the pages of files that only this test uses")]
#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use arenite_core::{AllocErrorKind, Block, MemoryAllocator, Resource, Trim};
use arenite_pages::{
    FileError, MapMode, MappedArray, MemoryMappedAllocator, MemoryOrder, flush_file, map_file, memory,
    page_size, unmap_file,
};
use core::alloc::Layout;
use proptest::prelude::*;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn cut(path: &Path, len: u64) {
    File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn n23_a_file_is_mapped_written_flushed_and_unmapped() {
    let dir = dir();
    let path = dir.path().join("data");
    fs::write(&path, vec![5; 10_000]).unwrap();
    let at = memory::map_file(&path, true).unwrap();
    memory::poke(at.addr + 9_998, b"ab").unwrap();
    assert!(memory::poke(at.addr + 9_999, b"ab").is_err(), "beyond the end");
    assert!(memory::commit(at.addr, 1).is_err() && memory::release(at.addr).is_err(), "it is no region");
    memory::flush_file(at.addr).unwrap();
    assert_eq!(&fs::read(&path).unwrap()[9_997..], b"\x05ab");
    memory::unmap_file(at.addr).unwrap();
    assert!(memory::unmap_file(at.addr).is_err() && memory::flush_file(at.addr).is_err());
    let mut copy = map_file(&path, MapMode::CopyOnWrite).unwrap();
    copy.write(0, b"mine").unwrap();
    assert_eq!(copy.read(0, 5).unwrap(), b"mine\x05");
    flush_file(&copy).unwrap();
    unmap_file(copy);
    assert_eq!(fs::read(&path).unwrap()[0], 5, "a copy's writes stay its own");
}

#[test]
fn n23_map_file_fails_by_name() {
    let dir = dir();
    let path = dir.path().join("data");
    let error = |path: &Path, mode| map_file(path, mode).map(drop).unwrap_err();
    assert!(matches!(error(&path, MapMode::ReadOnly), FileError::Open { .. }));
    fs::write(&path, b"").unwrap();
    assert!(matches!(error(&path, MapMode::ReadOnly), FileError::Empty { .. }));
    for mode in [MapMode::ReadOnly, MapMode::ReadWrite] {
        assert!(matches!(error(dir.path(), mode), FileError::NotAFile { .. }));
        assert!(matches!(error("/dev/null".as_ref(), mode), FileError::NotAFile { .. }));
    }
    fs::write(&path, b"12345678").unwrap();
    let mut reader = map_file(&path, MapMode::ReadOnly).unwrap();
    let _second_reader = map_file(&path, MapMode::ReadOnly).unwrap();
    assert!(matches!(error(&path, MapMode::ReadWrite), FileError::Locked { .. }));
    assert!(matches!(reader.write(0, b"x"), Err(FileError::ReadOnly { .. })));
    assert!(matches!(reader.read(4, 5), Err(FileError::OutOfRange { .. })));
    assert!(matches!(reader.read(usize::MAX, 2), Err(FileError::OutOfRange { .. })));
    assert!(matches!(reader.read(0, usize::MAX), Err(FileError::OutOfRange { .. })));
    // SAFETY: the call fails, so no slice exists.
    assert!(unsafe { reader.as_mut_slice() }.is_err());
    drop((reader, _second_reader));
    let _writer = map_file(&path, MapMode::ReadWrite).unwrap();
    assert!(matches!(error(&path, MapMode::ReadOnly), FileError::Locked { .. }));
}

#[test]
fn n23_map_file_fails_without_permission() {
    if let Ok(dir) = std::env::var("ARENITE_FOLDER") {
        let dir = Path::new(&dir);
        let denied = |error: FileError| {
            let FileError::Open { source, .. } = &error else { panic!("{error}") };
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
        };
        denied(map_file(dir.join("secret"), MapMode::ReadOnly).map(drop).unwrap_err());
        denied(map_file(dir.join("public"), MapMode::ReadWrite).map(drop).unwrap_err());
        denied(MappedArray::<f32>::create(dir.join("new"), &[3]).map(drop).unwrap_err());
        denied(MemoryMappedAllocator::new(dir.join("public"), true).map(drop).unwrap_err());
        assert_eq!(map_file(dir.join("public"), MapMode::ReadOnly).unwrap().read(0, 1).unwrap(), b"p");
        println!("denied");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (name, bits) in [("secret", 0o600), ("public", 0o644)] {
        fs::write(dir.path().join(name), name).unwrap();
        mode(&dir.path().join(name), bits);
    }
    mode(dir.path(), 0o755);
    let mut child = Command::new("setpriv");
    child.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]);
    child.arg(std::env::current_exe().unwrap());
    child.args(["--exact", "n23_map_file_fails_without_permission", "--nocapture"]);
    let output = child.env("ARENITE_FOLDER", dir.path()).output();
    let text = output.map(|output| {
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    });
    match text {
        Ok(text) if text.contains("denied\n") => {}
        Ok(text) if text.contains("panicked") => panic!("{text}"),
        text => println!("skipped: cannot become a user without privilege here: {text:?}"),
    }
}

#[test]
fn u30_arrays_keep_type_shape_order_and_contents() {
    let dir = dir();
    let path = dir.path().join("array");
    let mut array = MappedArray::<i32>::create_in(&path, &[3, 5], MemoryOrder::ColumnMajor).unwrap();
    for (i, j) in (0..3).flat_map(|i| (0..5).map(move |j| (i, j))) {
        array.set(&[i, j], i32::try_from(10 * i + j).unwrap()).unwrap();
    }
    array.sync().unwrap();
    assert_eq!((array.len(), array.memory_usage(), array.is_empty()), (15, 60, false));
    drop(array);
    let array = MappedArray::<i32>::open(&path, MapMode::ReadOnly).unwrap();
    assert_eq!((array.shape(), array.order()), (&[3, 5][..], MemoryOrder::ColumnMajor));
    assert_eq!((array.get(&[2, 4]).unwrap(), array.read(0, 4).unwrap()), (24, vec![0, 10, 20, 1]));
    // SAFETY: no code writes to the file.
    assert_eq!(unsafe { array.as_slice() }[14], 24);
    for index in [&[3, 0][..], &[0, 5], &[0], &[0, 0, 0]] {
        assert!(matches!(array.get(index), Err(FileError::OutOfRange { .. })), "{index:?}");
    }
    assert!(matches!(array.read(10, 6), Err(FileError::OutOfRange { .. })));
    assert!(array.sync().is_err(), "nothing of it reaches the file");
    drop(array);
    let other = MappedArray::<f32>::open(&path, MapMode::ReadOnly).unwrap_err();
    assert!(other.to_string().contains("holds int32, requested float32"), "{other}");
    assert!(matches!(MappedArray::<i32>::create(&path, &[1]), Err(FileError::Open { .. })), "there is one");
    let mut copy = MappedArray::<i32>::open(&path, MapMode::CopyOnWrite).unwrap();
    copy.set(&[0, 0], -1).unwrap();
    assert!(copy.get(&[0, 0]).unwrap() == -1 && copy.grow(9).is_err());
    drop(copy);
    assert_eq!(MappedArray::<i32>::open(&path, MapMode::ReadOnly).unwrap().get(&[0, 0]).unwrap(), 0);
}

#[test]
fn u30_invalid_shapes_fail_and_leave_no_file() {
    let dir = dir();
    let path = dir.path().join("array");
    for shape in [&[][..], &[0], &[4, 0], &[usize::MAX], &[1 << 40, 1 << 40], &[1; 9]] {
        let error = MappedArray::<f64>::create(&path, shape).unwrap_err();
        assert!(matches!(error, FileError::BadShape { .. }), "{error}");
    }
    assert!(MappedArray::<u8>::create("", &[1]).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn u30_growth_keeps_contents_and_adds_zeroes() {
    let dir = dir();
    let path = dir.path().join("array");
    let mut array = MappedArray::<u16>::create(&path, &[2, 3]).unwrap();
    array.write(0, &[1, 2, 3, 4, 5, 6]).unwrap();
    for rows in [3, 3000, 3001] {
        array.grow(rows).unwrap();
        array.set(&[rows - 1, 2], 9).unwrap();
    }
    assert!(matches!(array.grow(2), Err(FileError::BadShape { .. })));
    assert!(matches!(array.grow(usize::MAX), Err(FileError::BadShape { .. })));
    assert_eq!((array.shape(), array.read(0, 9).unwrap()), (&[3001, 3][..], vec![1, 2, 3, 4, 5, 6, 0, 0, 9]));
    drop(array);
    let array = MappedArray::<u16>::open(&path, MapMode::ReadWrite).unwrap();
    assert_eq!((array.get(&[2999, 2]).unwrap(), array.get(&[3000, 1]).unwrap()), (9, 0));
}

#[test]
fn u30_damaged_header_fails_or_is_superseded() {
    let dir = dir();
    let path = dir.path().join("array");
    let mut array = MappedArray::<f64>::create(&path, &[10, 10]).unwrap();
    let once = fs::read(&path).unwrap();
    array.grow(20).unwrap();
    drop(array);
    let twice = fs::read(&path).unwrap();
    let open = |bytes: &[u8]| {
        let other = dir.path().join("other");
        fs::write(&other, bytes).unwrap();
        MappedArray::<f64>::open(&other, MapMode::ReadOnly).map(|array| array.shape()[0])
    };
    assert_eq!((open(&once).unwrap(), open(&twice).unwrap()), (10, 20));
    for at in 0..112 {
        let mut damaged = once.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(open(&damaged), Err(FileError::NotAnArray { .. })), "byte {at} of the only header");
        // the newer header is an OS page further: the older one is still valid
        let mut torn = twice.clone();
        torn[4096 + at] ^= 0x10;
        assert_eq!(open(&torn).unwrap(), 10, "byte {at} of the newer header");
    }
    assert!(matches!(open(b""), Err(FileError::Empty { .. })));
    assert!(matches!(open(b"PK\x03\x04 something else altogether"), Err(FileError::NotAnArray { .. })));
    assert!(matches!(open(&twice[..twice.len() - 1]), Err(FileError::Truncated { .. })));
    assert!(matches!(open(&once[..100]), Err(FileError::NotAnArray { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]
    #[test]
    fn u30_any_bytes_as_a_file_are_an_array_or_an_error(
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        changes in proptest::collection::vec((0_usize..8300, any::<u8>()), 0..4),
        len in 0_usize..9000,
    ) {
        let dir = dir();
        let path = dir.path().join("array");
        let mut array = MappedArray::<f32>::create(&path, &[5, 5]).unwrap();
        array.write(0, &[1.5; 25]).unwrap();
        array.grow(10).unwrap();
        drop(array);
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
        }
        bytes.truncate(len);
        for bytes in [&bytes, &garbage] {
            fs::write(&path, bytes).unwrap();
            if let Ok(array) = MappedArray::<f32>::open(&path, MapMode::ReadWrite) {
                prop_assert!(8192 + array.memory_usage() <= bytes.len() && array.shape()[1] == 5);
                prop_assert_eq!(array.read(0, array.len()).unwrap().len(), array.len());
            }
        }
    }
}

#[test]
fn u31_truncation_under_a_mapping_is_an_error() {
    let dir = dir();
    let path = dir.path().join("array");
    let mut array = MappedArray::<u64>::create(&path, &[100_000]).unwrap();
    // SAFETY: no code writes to the file; this test is about its length.
    unsafe { array.as_mut_slice() }.unwrap().fill(7);
    array.sync().unwrap();
    cut(&path, 40_000);
    assert!(matches!(array.get(&[0]), Err(FileError::Truncated { expected: 808_192, found: 40_000, .. })));
    assert!(matches!(array.set(&[99_999], 1), Err(FileError::Truncated { .. })));
    assert!(matches!(array.sync(), Err(FileError::Truncated { .. })));
    assert!(!array.file().is_damaged(), "no access beyond the file's end");
    // A slice reads zeroes beyond the file's end, and the mapping is marked.
    // SAFETY: no code writes to the file; this test is about its length.
    let sum: u64 = unsafe { array.as_slice() }.iter().sum();
    assert!(array.file().is_damaged() && sum < 700_000 && sum.is_multiple_of(7), "{sum}");
    // SAFETY: as above.
    unsafe { array.as_mut_slice() }.unwrap().fill(1);
    cut(&path, 900_000);
    assert!(matches!(array.file().check(), Err(FileError::Damaged { .. })), "it stays damaged");
    drop(array);
    assert_eq!(fs::metadata(&path).unwrap().len(), 900_000);
}

#[test]
fn u31_other_bus_errors_kill_the_process() {
    use std::os::unix::process::ExitStatusExt;
    if std::env::var("ARENITE_BUS").is_ok() {
        let dir = dir();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        fs::write(&ours, [1; 100]).unwrap();
        let _installs_the_handler = map_file(&ours, MapMode::ReadOnly).unwrap();
        // a mapping that this crate does not know: forgotten, so that the handler no longer serves
        // it
        let file = File::options().read(true).write(true).create_new(true).open(&theirs).unwrap();
        file.set_len(page_size() as u64).unwrap();
        // SAFETY: maps an own file and reads it.
        let byte = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page_size(),
                libc::PROT_READ,
                libc::MAP_SHARED,
                std::os::fd::AsRawFd::as_raw_fd(&file),
                0,
            )
        };
        file.set_len(0).unwrap();
        // SAFETY: none: this read must kill the process.
        let read = unsafe { byte.cast::<u8>().read_volatile() };
        std::process::exit(i32::from(read));
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "u31_other_bus_errors_kill_the_process"]).env("ARENITE_BUS", "1");
    let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGBUS));
}

#[test]
fn u30_blocks_grow_the_file_and_are_freed() {
    let dir = dir();
    let path = dir.path().join("blocks");
    let layout = Layout::from_size_align(100_000, 4096).unwrap();
    let mapped = MemoryMappedAllocator::new(&path, true).unwrap();
    let mut first = Block::zeroed_in(layout, &mapped).unwrap();
    let second = Block::zeroed_in(Layout::new::<[u64; 10]>(), &mapped).unwrap();
    first.bytes_mut()[99_999].write(42);
    mapped.sync().unwrap();
    assert_eq!(fs::read(&path).unwrap()[99_999], 42, "the first block begins the file");
    assert_eq!(mapped.state().live_blocks, 2);
    drop((first, second));
    assert_eq!((mapped.state().in_use, mapped.state().largest_free), (0, mapped.state().limit));
    assert!(mapped.trim(0) > 90_000 && fs::metadata(&path).unwrap().len() == 0, "unused space is truncated");
    drop(mapped);
    fs::write(&path, vec![3; 5000]).unwrap();
    let mapped = MemoryMappedAllocator::new(&path, true).unwrap();
    let block = Block::new_in(Layout::new::<[u8; 64]>(), &mapped).unwrap();
    assert_eq!(mapped.read(0, 64).unwrap(), [3; 64], "a block holds what the file held");
    drop(block);
    assert_eq!((mapped.trim(0), fs::metadata(&path).unwrap().len()), (0, 5000), "what was there stays");
    mapped.check().unwrap();
    assert!(matches!(MemoryMappedAllocator::new(&path, false), Err(FileError::Locked { .. })));
    drop(mapped);
    let read_only = MemoryMappedAllocator::new(&path, false).unwrap();
    let refused = Resource::allocate(&read_only, layout).unwrap_err();
    assert_eq!((refused.kind, read_only.read(4999, 1).unwrap()), (AllocErrorKind::ReadOnly, vec![3]));
    assert!(read_only.read(4999, 2).is_err());
    read_only.sync().unwrap();
}

#[test]
fn u30_checked_api_rejects_foreign_blocks() {
    let dir = dir();
    let mapped = MemoryMappedAllocator::with_capacity(dir.path().join("blocks"), true, 1 << 20).unwrap();
    let door: &dyn MemoryAllocator<Error = arenite_core::AllocError> = &mapped;
    let block = door.allocate(1000, 8).unwrap();
    let cause = |done: Result<(), arenite_core::AllocError>| done.unwrap_err().kind;
    let mut elsewhere = 0_u8;
    assert_eq!(cause(door.deallocate(&raw mut elsewhere, 1, 1)), AllocErrorKind::InvalidPointer);
    assert_eq!(cause(door.deallocate(std::ptr::null_mut(), 1, 1)), AllocErrorKind::InvalidPointer);
    assert_eq!(cause(door.deallocate(block.wrapping_add(8), 992, 8)), AllocErrorKind::InteriorPointer);
    assert_eq!(cause(door.deallocate(block, 999, 8)), AllocErrorKind::Mismatch { size: 1000, align: 8 });
    assert_eq!(cause(door.deallocate(block, 1000, 16)), AllocErrorKind::Mismatch { size: 1000, align: 8 });
    assert_eq!(cause(door.deallocate(block, 1000, 3)), AllocErrorKind::BadLayout);
    // SAFETY: a live block of 1000 bytes.
    unsafe { block.write_bytes(5, 1000) };
    let moved = door.reallocate(block, 1000, 9000, 8).unwrap();
    // SAFETY: a live block whose first 1000 bytes were copied.
    assert_eq!(unsafe { moved.wrapping_add(999).read() }, 5);
    assert_eq!(cause(door.reallocate(block, 1000, 10, 8).map(drop)), AllocErrorKind::DoubleFree);
    assert_eq!(cause(door.allocate(2 << 20, 8).map(drop)), AllocErrorKind::CapacityReached);
    assert_eq!(cause(door.allocate(usize::MAX, 8).map(drop)), AllocErrorKind::BadLayout);
    assert_eq!((door.allocated_size(), door.peak_allocated() >= 9000), (9000, true));
    door.reset_peak();
    door.deallocate(moved, 9000, 8).unwrap();
    assert_eq!(cause(door.deallocate(moved, 9000, 8)), AllocErrorKind::DoubleFree);
    assert!(MemoryMappedAllocator::new(dir.path(), true).is_err());
    assert!(MemoryMappedAllocator::new(dir.path().join("missing"), false).is_err());
}

/// A file system of one mebibyte, unmounted on drop.
struct Small(TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let dir = dir();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path());
        let done = mount.stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn u30_full_disk_fails_the_allocation() {
    let Some(small) = Small::mount() else {
        return println!("skipped: this process may not mount a small file system");
    };
    let at = |name: &str| small.0.path().join(name);
    let error = MappedArray::<f64>::create(at("large"), &[1 << 20]).unwrap_err();
    assert!(matches!(error, FileError::DiskFull { bytes, .. } if bytes > 8 << 20), "{error}");
    assert_eq!(fs::read_dir(small.0.path()).unwrap().count(), 0, "nothing is left behind");
    let mut array = MappedArray::<f64>::create(at("array"), &[100]).unwrap();
    array.set(&[99], 1.5).unwrap();
    let error = array.grow(1 << 20).unwrap_err();
    assert!(matches!(error, FileError::DiskFull { .. }), "{error}");
    assert_eq!((array.shape(), array.get(&[99]).unwrap()), (&[100][..], 1.5), "as it was");
    array.grow(200).unwrap();
    let blocks = MemoryMappedAllocator::new(at("blocks"), true).unwrap();
    let layout = Layout::from_size_align(256 << 10, 64).unwrap();
    let mut taken = Vec::new();
    let refused = loop {
        match Block::zeroed_in(layout, &blocks) {
            Ok(block) => taken.push(block),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (refused.kind, taken.len()),
        (AllocErrorKind::Exhausted { errno: libc::ENOSPC }, 3),
        "{refused}"
    );
    assert!(arenite_pages::RingFile::create::<u8>(&at("ring"), 4 << 20).is_err());
}

/// Writes numbers in order to the array at `path` until it is killed, and grows it now and then.
/// Prints a line for each number that a sync returned for.
fn write_until_killed(path: &Path, rounds: u64) {
    use std::io::Write;
    let mut array = MappedArray::<u64>::open(path, MapMode::ReadWrite).unwrap();
    let first = array.get(&[0]).unwrap();
    let mut out = std::io::stdout().lock();
    for number in first + 1..first + 1 + rounds {
        let place = usize::try_from(number).unwrap();
        if place >= array.len() {
            array.grow(array.len() + 300).unwrap();
        }
        array.set(&[place], number * number).unwrap();
        array.set(&[0], number).unwrap();
        array.sync().unwrap();
        writeln!(out, "{number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn u31_a_thousand_kills_lose_nothing_that_sync_returned_for() {
    if let Ok(path) = std::env::var("ARENITE_KILLED") {
        return write_until_killed(path.as_ref(), u64::MAX / 2);
    }
    let dir = dir();
    let path = dir.path().join("array");
    drop(MappedArray::<u64>::create(&path, &[100]).unwrap());
    write_until_killed(&path, 3);
    let rounds: u32 = std::env::var("ARENITE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let (mut promised, mut grown) = (3_u64, 0_usize);
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "u31_a_thousand_kills_lose_nothing_that_sync_returned_for", "--nocapture"]);
        let mut child = child.env("ARENITE_KILLED", &path).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // killed after the first line, or a few writes later, at any point
        let wait = round % 4;
        let mut seen = 0;
        while seen <= wait {
            let Some(Ok(line)) = lines.next() else { break };
            if let Ok(number) = line.trim().parse::<u64>() {
                (promised, seen) = (number, seen + 1);
            }
        }
        for _ in 0..(round % 7) * 900 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            promised = line.trim().parse().unwrap_or(promised);
        }
        child.wait().unwrap();
        let array = MappedArray::<u64>::open(&path, MapMode::ReadOnly).unwrap();
        let last = array.get(&[0]).unwrap();
        assert!(last >= promised, "round {round}: {promised} was promised, {last} is there");
        for number in [1, promised / 2, promised] {
            let place = usize::try_from(number).unwrap();
            assert_eq!(array.get(&[place]).unwrap(), number * number, "round {round}");
        }
        grown = array.len();
    }
    let array = MappedArray::<u64>::open(&path, MapMode::ReadOnly).unwrap();
    let all = array.read(0, usize::try_from(promised + 1).unwrap()).unwrap();
    assert!((1..).zip(&all[1..]).all(|(number, square): (u64, &u64)| *square == number * number));
    println!("{rounds} kills, {promised} promises kept, {grown} elements");
}
