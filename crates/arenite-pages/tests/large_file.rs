//! An array of 800 MB in a file, written, synced and read by a process that never has 64 MiB
//! beside the page cache. Resident memory is counted per process, so this test has one of its own.
#![expect(unsafe_code, reason = "borrows the pages of a file that only this test uses")]
#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use arenite_pages::machine::ProcessMemory;
use arenite_pages::{MapMode, MappedArray};

const COUNT: usize = 100_000_000;
const MOST: u64 = 64 << 20;

fn value(index: usize) -> f64 {
    index as f64 * 0.5
}

/// Returns the resident anonymous bytes of this process.
fn anonymous() -> u64 {
    ProcessMemory::read().unwrap().anonymous_bytes.unwrap()
}

#[test]
fn u30_a_hundred_million_numbers_are_written_synced_and_read_again() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("large");
    let before = anonymous();
    let mut array = match MappedArray::<f64>::create(&path, &[COUNT]) {
        Ok(array) => array,
        Err(error @ arenite_pages::FileError::DiskFull { .. }) => return println!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    };
    // SAFETY: the file was just made, and no other code opens it.
    for (index, number) in unsafe { array.as_mut_slice() }.unwrap().iter_mut().enumerate() {
        *number = value(index);
    }
    let written = anonymous() - before;
    array.sync().unwrap();
    drop(array);
    let array = MappedArray::<f64>::open(&path, MapMode::ReadOnly).unwrap();
    // SAFETY: no code writes to the file.
    let sum: f64 = unsafe { array.as_slice() }.iter().sum();
    assert_eq!(sum, (COUNT - 1) as f64 * COUNT as f64 / 4.0);
    assert_eq!(array.get(&[99_999_999]).unwrap(), value(99_999_999));
    let read = anonymous().saturating_sub(before);
    println!("{written} bytes beside the page cache after writing, {read} after reading");
    assert!(written.max(read) < MOST, "{written} {read}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 8192 + 8 * COUNT as u64);
}
