//! Rings against a naive queue, between threads, and between processes of which one dies.
#![expect(unsafe_code, reason = "opens the ends of rings in files, and commits slots")]
#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use arenite_pages::{Consumer, Producer, RingError, RingFile, WaitError, memory, page_size, ring_buffer};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    PushSlice(usize),
    PushAll(usize),
    Reserve(usize, usize),
    Pop(usize),
    PopSlice(usize),
    PopExact(usize),
    Peek(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let few = 0_usize..900;
    prop_oneof![
        few.clone().prop_map(Step::Push),
        few.clone().prop_map(Step::PushSlice),
        few.clone().prop_map(Step::PushAll),
        (few.clone(), few.clone()).prop_map(|(count, commit)| Step::Reserve(count, commit)),
        few.clone().prop_map(Step::Pop),
        few.clone().prop_map(Step::PopSlice),
        few.clone().prop_map(Step::PopExact),
        few.prop_map(Step::Peek),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
    #[test]
    fn n24_n25_any_sequence_of_calls_equals_a_queue(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut producer, mut consumer) = ring_buffer::<[u32; 3]>(1000).unwrap();
        prop_assert_eq!(producer.capacity(), 1024);
        let (mut model, mut next) = (VecDeque::new(), 0_u32);
        let mut fresh = |count: usize| -> Vec<[u32; 3]> {
            (0..count).map(|_| { next += 1; [next, next * 2, !next] }).collect()
        };
        for step in steps {
            let free = 1024 - model.len();
            match step {
                Step::Push(count) => for element in fresh(count) {
                    let pushed = producer.push(element);
                    prop_assert_eq!(pushed.is_ok(), model.len() < 1024);
                    if pushed.is_ok() { model.push_back(element); }
                },
                Step::PushSlice(count) => {
                    let elements = fresh(count);
                    let taken = producer.push_slice(&elements);
                    prop_assert_eq!(taken, count.min(free));
                    model.extend(&elements[..taken]);
                }
                Step::PushAll(count) => {
                    let elements = fresh(count);
                    prop_assert_eq!(producer.push_all(&elements), count <= free);
                    if count <= free { model.extend(&elements); }
                }
                Step::Reserve(count, commit) => {
                    let elements = fresh(count);
                    let slots = producer.reserve(count);
                    prop_assert_eq!(slots.is_some(), count <= free);
                    if let Some(mut slots) = slots {
                        slots.as_mut_slice().copy_from_slice(&elements);
                        slots.commit(commit);
                        model.extend(&elements[..commit.min(count)]);
                    }
                }
                Step::Pop(count) => for _ in 0..count {
                    prop_assert_eq!(consumer.pop(), model.pop_front());
                },
                Step::PopSlice(count) => {
                    let mut into = vec![[0; 3]; count];
                    let taken = consumer.pop_slice(&mut into);
                    prop_assert_eq!(taken, count.min(model.len()));
                    prop_assert!(into[..taken].iter().copied().eq(model.drain(..taken)));
                }
                Step::PopExact(count) => {
                    let mut into = vec![[0; 3]; count];
                    let done = consumer.pop_exact(&mut into);
                    prop_assert_eq!(done, count <= model.len());
                    if done { prop_assert!(into.iter().copied().eq(model.drain(..count))); }
                }
                Step::Peek(count) => {
                    prop_assert!(consumer.peek().iter().eq(model.iter()), "one slice, whatever its place");
                    prop_assert_eq!(consumer.peek_exact(count).is_some(), count <= model.len());
                    let gone = consumer.release(count);
                    prop_assert_eq!(gone, count.min(model.len()));
                    model.drain(..gone);
                }
            }
            prop_assert_eq!((consumer.len(), producer.free_slots()), (model.len(), 1024 - model.len()));
        }
    }
}

#[test]
fn n24_elements_that_are_left_are_dropped_once() {
    let token = Arc::new(());
    let (mut producer, mut consumer) = ring_buffer::<Arc<()>>(600).unwrap();
    for _ in 0..700 {
        let _full = producer.push(Arc::clone(&token));
        if Arc::strong_count(&token) == 513 {
            drop(consumer.pop());
        }
    }
    assert_eq!(consumer.release(100), 100);
    let left = consumer.len();
    assert_eq!(Arc::strong_count(&token), 1 + left);
    drop(producer);
    assert!(consumer.is_closed() && consumer.pop().is_some());
    drop(consumer);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn n24_elements_written_in_reserved_slots_arrive_and_are_dropped_once() {
    let token = Arc::new(());
    let (mut producer, mut consumer) = ring_buffer::<Arc<()>>(100).unwrap();
    let mut slots = producer.reserve(3).unwrap();
    for slot in &mut slots.as_uninit()[..2] {
        slot.write(Arc::clone(&token));
    }
    // SAFETY: the first two slots were written.
    unsafe { slots.commit_init(2) };
    assert_eq!((consumer.len(), Arc::strong_count(&token)), (2, 3));
    drop((consumer.pop().unwrap(), producer, consumer));
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn n24_a_destructor_that_panics_drops_nothing_twice() {
    struct Loud(Arc<()>, bool);
    impl Drop for Loud {
        fn drop(&mut self) {
            assert!(!self.1, "loud: {} hold the token", Arc::strong_count(&self.0));
        }
    }
    let token = Arc::new(());
    let (mut producer, mut consumer) = ring_buffer::<Loud>(16).unwrap();
    for index in 0..5 {
        assert!(producer.push(Loud(Arc::clone(&token), index == 2)).is_ok());
    }
    let released = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| consumer.release(4)));
    assert!(released.is_err());
    assert_eq!((consumer.len(), Arc::strong_count(&token)), (1, 2));
    drop((producer, consumer));
    assert_eq!(Arc::strong_count(&token), 1);
}

/// Returns a cheap sequence of sizes.
fn sizes(seed: u64) -> impl FnMut() -> usize {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 54).unwrap() + 1
    }
}

#[test]
fn n25_bytes_between_two_threads_arrive_complete_and_in_order() {
    const ALL: usize = 8 << 20;
    let (mut producer, mut consumer) = ring_buffer::<u8>(page_size()).unwrap();
    let writer = std::thread::spawn(move || {
        let (mut size, mut at) = (sizes(1), 0_usize);
        while at < ALL {
            let count = size().min(ALL - at);
            producer.wait_free(count, None).unwrap();
            let mut slots = producer.reserve(count).unwrap();
            for (offset, byte) in slots.as_mut_slice().iter_mut().enumerate() {
                *byte = u8::try_from((at + offset) % 251).unwrap();
            }
            slots.commit(count);
            at += count;
        }
    });
    let (mut size, mut at) = (sizes(2), 0_usize);
    while at < ALL {
        let count = size().min(ALL - at);
        consumer.wait_ready(count, None).unwrap();
        for (offset, &byte) in consumer.peek_exact(count).unwrap().iter().enumerate() {
            assert_eq!(usize::from(byte), (at + offset) % 251, "byte {}", at + offset);
        }
        consumer.release(count);
        at += count;
    }
    writer.join().unwrap();
    assert_eq!(consumer.wait_ready(1, None), Err(WaitError::Closed));
}

#[test]
fn n24_boxes_between_two_threads_arrive_once() {
    let (mut producer, mut consumer) = ring_buffer::<Box<usize>>(512).unwrap();
    let writer =
        std::thread::spawn(move || (0..200_000).all(|number| producer.send(Box::new(number)).is_ok()));
    for number in 0..200_000 {
        assert_eq!(consumer.recv().map(|boxed| *boxed), Ok(number));
    }
    assert!(writer.join().unwrap());
    assert_eq!(consumer.recv(), Err(WaitError::Closed));
}

#[test]
fn n24_waits_end_by_timeout_or_close() {
    let (mut producer, mut consumer) = ring_buffer::<u8>(page_size()).unwrap();
    let soon = Some(Duration::from_millis(2));
    assert_eq!(consumer.wait_ready(1, soon), Err(WaitError::TimedOut));
    assert_eq!(consumer.wait_ready(1, Some(Duration::ZERO)), Err(WaitError::TimedOut));
    assert!(matches!(consumer.wait_ready(page_size() + 1, soon), Err(WaitError::TooMany { .. })));
    assert_eq!(producer.push_slice(&vec![1; 5000]), page_size());
    assert_eq!(producer.wait_free(1, soon), Err(WaitError::TimedOut));
    // a consumer that is dropped while the producer waits, or before
    let waiting = std::thread::spawn(move || producer.send(9));
    drop(consumer);
    assert_eq!(waiting.join().unwrap(), Err(9));
}

#[test]
fn n24_invalid_sizes_fail() {
    for capacity in [0, usize::MAX, 1 << 62] {
        assert!(matches!(ring_buffer::<u64>(capacity), Err(RingError::BadCapacity { .. })), "{capacity}");
    }
    assert!(matches!(ring_buffer::<()>(10), Err(RingError::BadCapacity { size: 0, .. })));
    assert!(matches!(ring_buffer::<u8>(1 << 50), Err(RingError::Os { .. })));
    let (mut producer, _consumer) = ring_buffer::<[u8; 24]>(1).unwrap();
    assert_eq!(producer.capacity() * 24 % page_size(), 0);
    assert!(producer.reserve(usize::MAX).is_none());
}

#[test]
fn n26_rings_by_id_are_freed_once() {
    let ring = memory::ring_buffer(1000).unwrap();
    assert_eq!(memory::ring_write(ring.ring_id, &vec![7; 10_000]).unwrap(), ring.capacity);
    assert_eq!(memory::ring_read(ring.ring_id, 10).unwrap(), [7; 10]);
    memory::ring_buffer_free(ring.ring_id).unwrap();
    assert!(memory::ring_buffer_free(ring.ring_id).is_err());
    assert!(memory::ring_read(ring.ring_id, 1).is_err() && memory::ring_write(0, &[1]).is_err());
    assert!(memory::ring_buffer(0).is_err());
}

/// Opens both ends of `file`, which no other code opens.
fn ends<T: bytemuck::Pod>(file: &RingFile) -> (Producer<T>, Consumer<T>) {
    // SAFETY: only this crate maps the file, in this process and its children, and no other code
    // writes to it.
    let producer = unsafe { file.producer() };
    // SAFETY: as above.
    (producer.unwrap(), unsafe { file.consumer() }.unwrap())
}

#[test]
fn n24_ring_file_keeps_committed_elements_and_has_one_of_each_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ring");
    let file = RingFile::create::<u64>(&path, 1000).unwrap();
    assert_eq!(file.capacity().unwrap(), 1024);
    let (mut producer, consumer) = ends::<u64>(&file);
    assert_eq!(producer.push_slice(&[1, 2, 3]), 3);
    let again = RingFile::open(&path).unwrap();
    // SAFETY: only this crate maps the file, in this process and its children, and no other code
    // writes to it.
    let in_use = unsafe { again.producer::<u64>() }.unwrap_err();
    assert!(matches!(in_use, RingError::InUse { end: "producer" }), "{in_use}");
    // SAFETY: only this crate maps the file, in this process and its children, and no other code
    // writes to it.
    let other = unsafe { again.consumer::<u32>() }.unwrap_err();
    assert!(matches!(other, RingError::OtherElement { found: 8, requested: 4 }), "{other}");
    drop((producer, consumer));
    let (_producer, mut consumer) = ends::<u64>(&again);
    assert_eq!(consumer.peek(), [1, 2, 3]);
    assert!(matches!(RingFile::create::<u64>(&path, 10), Err(RingError::Open { .. })), "there is one");
    let handed = std::os::fd::AsFd::as_fd(&again).try_clone_to_owned().unwrap();
    assert_eq!(RingFile::from_fd(handed).unwrap().capacity().unwrap(), 1024);
    let other = tempfile::tempfile().unwrap();
    assert!(matches!(RingFile::from_fd(other.into()), Err(RingError::NotARing { .. })));
}

#[test]
fn n24_invalid_ring_files_fail() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ring");
    drop(RingFile::create::<u8>(&path, 10_000).unwrap());
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        let other = dir.path().join("other");
        std::fs::write(&other, bytes).unwrap();
        matches!(RingFile::open(&other), Err(RingError::NotARing { .. }))
    };
    assert!(refused(b"") && refused(b"arenring") && refused(&whole[..whole.len() - 1]) && !refused(&whole));
    for at in 0..32 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        assert!(refused(&damaged), "byte {at}");
    }
    assert!(matches!(RingFile::open(dir.path()), Err(RingError::Open { .. })));
    assert!(matches!(RingFile::open(&dir.path().join("missing")), Err(RingError::Open { .. })));
    assert!(matches!(RingFile::create::<u8>(&dir.path().join("a/b"), 10), Err(RingError::Open { .. })));
}

/// Starts this test again in a process of its own, with the ring at `path`.
fn child(test: &str, path: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("ARENITE_RING", path);
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn n24_elements_arrive_and_a_close_is_noticed_between_processes() {
    const ALL: u64 = 300_000;
    if let Ok(path) = std::env::var("ARENITE_RING") {
        let file = RingFile::open(path.as_ref()).unwrap();
        // SAFETY: only this crate maps the file, in this process and its children, and no other
        // code writes to it.
        let mut producer = unsafe { file.producer::<u64>() }.unwrap();
        assert!((0..ALL).all(|number| producer.send(number).is_ok()));
        return;
    }
    let file = RingFile::anonymous::<u64>(512).unwrap();
    // SAFETY: only this crate maps the file, in this process and its children, and no other code
    // writes to it.
    let mut consumer = unsafe { file.consumer::<u64>() }.unwrap();
    // the descriptor of this process, by its path: equivalent to a passed one
    let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&file));
    let mut other = child(
        "n24_elements_arrive_and_a_close_is_noticed_between_processes",
        &format!("/proc/{}/fd/{fd}", std::process::id()),
    );
    for number in 0..ALL {
        assert_eq!(consumer.recv(), Ok(number));
    }
    assert_eq!(consumer.recv(), Err(WaitError::Closed));
    assert!(other.wait().unwrap().success());
}

#[test]
fn n24_killed_peer_is_noticed_and_its_end_is_free_between_processes() {
    if let Ok(path) = std::env::var("ARENITE_RING") {
        let file = RingFile::open(path.as_ref()).unwrap();
        // SAFETY: only this crate maps the file, in this process and its children, and no other
        // code writes to it.
        let mut producer = unsafe { file.producer::<u64>() }.unwrap();
        assert!(producer.push_all(&[1, 2, 3]));
        // reserved and not committed
        let _reserved = producer.reserve(5).map(|mut slots| slots.as_mut_slice().fill(99));
        std::thread::park_timeout(Duration::from_secs(60));
        std::process::exit(3);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ring");
    let file = RingFile::create::<u64>(&path, 512).unwrap();
    // SAFETY: only this crate maps the file, in this process and its children, and no other code
    // writes to it.
    let mut consumer = unsafe { file.consumer::<u64>() }.unwrap();
    let name = "n24_killed_peer_is_noticed_and_its_end_is_free_between_processes";
    let mut other = child(name, path.to_str().unwrap());
    consumer.wait_ready(3, Some(Duration::from_secs(30))).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    let began = Instant::now();
    assert_eq!(consumer.wait_ready(4, Some(Duration::from_secs(30))), Err(WaitError::PeerDied));
    println!("noticed within {:?}", began.elapsed());
    assert_eq!(consumer.peek(), [1, 2, 3], "what was committed is there");
    // SAFETY: only this crate maps the file, in this process and its children, and no other code
    // writes to it.
    let mut next = unsafe { file.producer::<u64>() }.unwrap();
    assert!(next.push(4).is_ok());
    assert_eq!(consumer.peek(), [1, 2, 3, 4]);
}
