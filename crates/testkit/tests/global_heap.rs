//! The heap as the global allocator of a whole program: the tests, their harness and their
//! threads.

use arenite_alloc::Heap;
use arenite_core::Resource;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::mpsc;

#[global_allocator]
static HEAP: Heap = Heap::new();

#[test]
fn n08_containers_live_in_the_global_heap() {
    let words: Vec<String> = (0..20_000).map(|number| format!("word {number}")).collect();
    assert!(HEAP.state().live_blocks >= 20_000);
    let mut lengths: HashMap<&str, usize> = HashMap::new();
    words.iter().for_each(|word| _ = lengths.insert(word, word.len()));
    let ordered: BTreeMap<_, _> = lengths.iter().collect();
    assert_eq!((ordered.len(), lengths["word 777"]), (20_000, 8));
    let mut grown = Vec::new();
    (0..5_000_000_u64).for_each(|number| grown.push(number));
    assert!(grown.iter().enumerate().all(|(at, &number)| at as u64 == number));
}

#[test]
fn n08_threads_exchange_blocks_and_exit() {
    for _ in 0..30 {
        let (sender, receiver) = mpsc::channel::<Box<[usize]>>();
        let makers: Vec<_> = (1..4)
            .map(|maker| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    (0..500).for_each(|count| sender.send(vec![maker; count].into_boxed_slice()).unwrap());
                })
            })
            .collect();
        drop(sender);
        let sum: usize = receiver.iter().map(|all| all.iter().sum::<usize>()).sum();
        assert_eq!(sum, (1 + 2 + 3) * (0..500).sum::<usize>());
        makers.into_iter().for_each(|maker| maker.join().unwrap());
    }
}

#[test]
fn n08_destructors_of_thread_locals_may_allocate_and_free() {
    struct Last(Vec<String>);
    impl Drop for Last {
        fn drop(&mut self) {
            let more: Vec<String> = self.0.iter().map(|text| text.repeat(3)).collect();
            assert_eq!(more[0].len(), 3 * self.0[0].len());
        }
    }
    thread_local! {
        static LAST: RefCell<Last> = const { RefCell::new(Last(Vec::new())) };
    }
    for count in 1..20 {
        std::thread::spawn(move || {
            LAST.with(|last| {
                last.borrow_mut().0 = (0..count * 10).map(|number| format!("text {number}")).collect()
            });
        })
        .join()
        .unwrap();
    }
}

#[test]
fn n08_a_child_process_starts_from_a_threaded_one() {
    let busy: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(|| (0..20_000).map(|number| vec![number; number % 300].len()).sum::<usize>())
        })
        .collect();
    for _ in 0..20 {
        let output = Command::new("echo").arg("hello").output().unwrap();
        assert_eq!(output.stdout, b"hello\n");
    }
    busy.into_iter().for_each(|thread| assert!(thread.join().unwrap() > 0));
}
