//! Bugs that reviews found, each with the test that shows it.
#![expect(unsafe_code, reason = "uses memory that only these tests use")]
#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use arenite_core::{AllocErrorKind, Block, MemoryAllocator, Resource, Trim};
use arenite_pages::{
    FileError, MapMode, MappedArray, MemoryMappedAllocator, Region, RegionErrorKind, RingError, RingFile,
    map_file, memory, numa_distribution, page_size,
};
use core::alloc::Layout;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 64).unwrap()
}

#[test]
fn u30_trim_leaves_live_blocks_when_the_target_exceeds_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mapped = MemoryMappedAllocator::new(dir.path().join("a"), true).unwrap();
    let mut block = Block::zeroed_in(layout(100), &mapped).unwrap();
    assert_eq!((mapped.trim(usize::MAX), mapped.trim(usize::MAX - 4000)), (0, 0));
    block.bytes_mut()[0].write(1);
    assert_eq!(mapped.state().held, page_size());
}

/// Allocates a block in the last OS page of a file that ends inside it: the file grows, and a
/// zeroed block is zero.
#[test]
fn u30_blocks_in_the_rest_of_the_last_os_page_are_in_the_file() {
    for root in [std::env::temp_dir().as_path(), Path::new("/dev/shm")] {
        let Ok(dir) = tempfile::tempdir_in(root) else {
            println!("skipped: no directory can be made in {}", root.display());
            continue;
        };
        let path = dir.path().join("a");
        fs::write(&path, vec![3; 5000]).unwrap();
        let mapped = MemoryMappedAllocator::new(&path, true).unwrap();
        let first = Block::new_in(layout(5000), &mapped).unwrap();
        let mut block = Block::new_in(layout(1000), &mapped).unwrap();
        block.bytes_mut().iter_mut().for_each(|byte| _ = byte.write(42));
        mapped.sync().unwrap();
        assert_eq!(mapped.read(5056, 1000).unwrap(), [42; 1000]);
        drop((first, block));
        drop(mapped);
        assert_eq!(fs::metadata(&path).unwrap().len(), 8192);
        assert_eq!(fs::read(&path).unwrap()[5056..6056], [42; 1000]);
        let mapped = MemoryMappedAllocator::new(&path, true).unwrap();
        let _first = Block::new_in(layout(5000), &mapped).unwrap();
        let _zeroed = Block::zeroed_in(layout(1000), &mapped).unwrap();
        assert_eq!(mapped.read(5056, 1000).unwrap(), [0; 1000]);
    }
}

#[test]
fn u30_checked_api_requires_the_exact_size_and_counts_requested_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mapped = MemoryMappedAllocator::new(dir.path().join("a"), true).unwrap();
    let block = MemoryAllocator::allocate(&mapped, 1000, 8).unwrap();
    for size in [999, 1001, 1024] {
        let refused = MemoryAllocator::deallocate(&mapped, block, size, 8).unwrap_err();
        assert_eq!(refused.kind, AllocErrorKind::Mismatch { size: 1000, align: 8 }, "{size}");
    }
    assert_eq!((mapped.allocated_size(), mapped.peak_allocated()), (1000, 1000));
    MemoryAllocator::deallocate(&mapped, block, 1000, 8).unwrap();
    assert_eq!((mapped.allocated_size(), mapped.peak_allocated()), (0, 1000));
}

/// Accesses one lost OS page from two threads: neither loses the other's writes.
#[test]
fn u31_lost_page_keeps_writes_of_two_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut");
    for _ in 0..200 {
        fs::write(&path, vec![1; 2 * page_size()]).unwrap();
        let mut file = map_file(&path, MapMode::ReadWrite).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        // SAFETY: no code writes to the file; this test is about its length.
        let bytes = unsafe { file.as_mut_slice() }.unwrap();
        let (left, right) = bytes[..page_size()].split_at_mut(page_size() / 2);
        let start = Barrier::new(2);
        let write = |half: &mut [u8]| {
            start.wait();
            half.fill(7);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write(left));
            write(right);
        });
        assert!(bytes[..page_size()].iter().all(|&byte| byte == 7));
        assert!(file.is_damaged());
    }
}

#[test]
fn u31_sync_leaves_no_dirty_page() {
    /// Returns the kilobytes of the mapping at `address` that the kernel has not written yet.
    fn dirty(address: usize) -> usize {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&format!("{address:x}-")));
        let fields = lines
            .by_ref()
            .take(24)
            .filter(|line| line.starts_with("Shared_Dirty:") || line.starts_with("Private_Dirty:"));
        fields.map(|line| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()).sum()
    }
    // on a device: a file system in memory is never clean
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut array = MappedArray::<u64>::create(dir.path().join("array"), &[100_000]).unwrap();
    // SAFETY: no other code opens the file.
    unsafe { array.as_mut_slice() }.unwrap().fill(7);
    let address = array.file().as_ptr().addr().get();
    let before = dirty(address);
    array.sync().unwrap();
    assert!(before >= 700, "{before} kB dirty before");
    assert_eq!(dirty(address), 0);
}

#[test]
fn n23_pipes_fail_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    if !Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
        return println!("skipped: no mkfifo");
    }
    assert!(matches!(map_file(&pipe, MapMode::ReadOnly), Err(FileError::NotAFile { .. })));
    assert!(matches!(MemoryMappedAllocator::new(&pipe, false), Err(FileError::NotAFile { .. })));
    assert!(matches!(MappedArray::<f32>::open(&pipe, MapMode::ReadOnly), Err(FileError::NotAFile { .. })));
}

#[test]
fn u30_leftover_of_a_dead_process_does_not_block_create() {
    let dir = tempfile::tempdir().unwrap();
    for count in 0..200 {
        fs::write(dir.path().join(format!("a.{}.{count}.unfinished", std::process::id())), b"").unwrap();
    }
    MappedArray::<f32>::create(dir.path().join("a"), &[4]).unwrap();
}

#[test]
fn n05_queries_work_with_a_mapped_file_of_any_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"a\xffb"));
    fs::write(&path, b"x").unwrap();
    let _file = map_file(&path, MapMode::ReadOnly).unwrap();
    let region = Region::reserve(1 << 20, "seen").unwrap();
    assert_eq!(region.query(0).unwrap().range, 0..1 << 20);
}

#[test]
fn n07_peek_beyond_memory_is_an_error() {
    let region = memory::reserve(1 << 46, "vast").unwrap();
    assert!(memory::peek(region.addr, 1 << 46).is_err());
    assert!(memory::typed_peek(region.addr, "float64", 1 << 43).is_err());
    memory::release(region.addr).unwrap();
}

/// Fills a disk under a file with holes: allocations fail, and a write to a hole returns the
/// reason.
#[test]
fn u30_holes_on_a_full_disk_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path()).stderr(Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        return println!("skipped: this process may not mount a small file system");
    }
    let path = dir.path().join("sparse");
    File::create(&path).unwrap().set_len(800 << 10).unwrap();
    fs::write(dir.path().join("filler"), vec![1; 900 << 10]).unwrap();
    let written = map_file(&path, MapMode::ReadWrite).unwrap().write(0, &vec![7; 400 << 10]);
    let blocks = MemoryMappedAllocator::new(&path, true).unwrap();
    let refused = Block::new_in(layout(700 << 10), &blocks).map(drop);
    let whole = blocks.check();
    drop(blocks);
    assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
    assert!(matches!(written, Err(FileError::Damaged { .. })), "{written:?}");
    assert_eq!(refused.unwrap_err().kind, AllocErrorKind::Exhausted { errno: 28 });
    assert!(whole.is_ok(), "{whole:?}");
}

#[test]
fn n06_remap_requires_read_write_memory() {
    let (mut from, to) = (Region::reserve(1 << 20, "from").unwrap(), Region::reserve(1 << 20, "to").unwrap());
    from.commit(0, 8 * page_size()).unwrap();
    from.poke(0, b"kept").unwrap();
    // SAFETY: no code borrows the region.
    unsafe { from.protect(page_size(), page_size(), arenite_pages::Protection::Read) }.unwrap();
    // SAFETY: no code borrows either region.
    let refused = unsafe { from.remap(0, 8 * page_size(), &to, 0) }.unwrap_err();
    assert_eq!(refused.kind, RegionErrorKind::Inaccessible { at: page_size() });
    assert_eq!(from.query(page_size()).unwrap().protection, arenite_pages::Protection::Read, "as it was");
    assert_eq!(from.peek(0, 4).unwrap(), b"kept");
}

#[test]
fn n24_elements_of_another_alignment_fail() {
    #[derive(Clone, Copy)]
    #[repr(C, align(8192))]
    struct Wide([u8; 8192]);
    // SAFETY: zeroes are valid bytes.
    unsafe impl bytemuck::Zeroable for Wide {}
    // SAFETY: only bytes, as many as its size.
    unsafe impl bytemuck::Pod for Wide {}
    let ring = RingFile::anonymous::<[[u64; 32]; 32]>(4).unwrap();
    // SAFETY: no other code opens the file.
    let refused = unsafe { ring.producer::<Wide>() };
    assert!(matches!(refused, Err(RingError::OtherElement { .. })));
    assert!(matches!(RingFile::anonymous::<Wide>(4), Err(RingError::BadCapacity { .. })));
}

#[test]
fn u37_huge_unmapped_range_is_reported_at_once() {
    let found = numa_distribution(std::ptr::null(), 1 << 62).unwrap();
    assert!(found.absent > 1 << 61);
}

/// Grows an array whose newest header exceeds the addresses of the process: the growth fails, and
/// nothing changes.
#[test]
fn u30_a_growth_that_cannot_be_mapped_changes_nothing() {
    if let Ok(path) = std::env::var("ARENITE_GROW") {
        let mut array = MappedArray::<u8>::open(&path, MapMode::ReadWrite).unwrap();
        array.set(&[99], 5).unwrap();
        assert!(array.grow(3 << 30).is_err());
        assert_eq!((array.shape(), array.get(&[99]).unwrap()), (&[100][..], 5));
        array.grow(200).unwrap();
        println!("grown");
        return;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("array");
    drop(MappedArray::<u8>::create(&path, &[100]).unwrap());
    let mut child = Command::new("sh");
    child.args(["-c", "ulimit -v 2000000 && exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "u30_a_growth_that_cannot_be_mapped_changes_nothing", "--nocapture"]);
    let output = child.env("ARENITE_GROW", &path).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("grown"), "{output:?}");
    assert_eq!(MappedArray::<u8>::open(&path, MapMode::ReadOnly).unwrap().shape(), [200]);
}
