//! Buffers that are evicted and loaded again: against a model, out of memory, and without a usable
//! directory.

use arenite_alloc::{Heap, Limit, Spill, SpillError};
use arenite_core::Trim;
use testkit::Random;

#[test]
fn buffers_keep_their_contents_when_spilled() {
    let spill = Spill::new("model").with_limit(100_000);
    let (mut buffers, mut model, mut random) = (Vec::new(), Vec::<Vec<u32>>::new(), Random(7));
    for turn in 0..3000_u32 {
        match random.below(5) {
            0 if buffers.len() < 40 => {
                let len = random.below(8000);
                buffers.push(spill.allocate_buffer::<u32>(len).unwrap());
                model.push(vec![0; len]);
            }
            1 if !buffers.is_empty() => {
                let at = random.below(buffers.len());
                drop(buffers.swap_remove(at));
                model.swap_remove(at);
            }
            2 => _ = spill.trim(random.below(100_000)),
            3 if !buffers.is_empty() => {
                let at = random.below(buffers.len());
                buffers[at].write().unwrap().fill(turn);
                model[at].fill(turn);
            }
            _ if !buffers.is_empty() => {
                let at = random.below(buffers.len());
                assert_eq!(*buffers[at].read().unwrap(), *model[at], "turn {turn}");
            }
            _ => {}
        }
        let stats = spill.stats();
        let all: usize = model.iter().map(|values| values.len() * 4).sum();
        assert_eq!((stats.resident + stats.spilled, stats.pinned), (all, 0));
        assert!(stats.resident <= 100_000);
    }
    assert!(spill.stats().writes > 100 && spill.stats().reads > 100, "{:?}", spill.stats());
    drop(buffers);
    assert_eq!((spill.stats().resident, spill.stats().spilled), (0, 0));
}

#[test]
fn pinned_buffers_stay_and_the_coldest_is_evicted_first() {
    let spill = Spill::new("cold");
    let buffers: Vec<_> = (0..4).map(|_| spill.allocate_buffer::<u8>(1000).unwrap()).collect();
    let hot = buffers[0].read().unwrap();
    drop(buffers[1].read().unwrap());
    assert_eq!((spill.trim(2000), spill.stats().resident, spill.stats().pinned), (2000, 2000, 1000));
    let reads = spill.stats().reads;
    drop(buffers[1].read().unwrap());
    assert_eq!(spill.stats().reads, reads, "the most recently used buffer is in memory");
    spill.trim(0);
    assert_eq!((spill.stats().resident, hot.len()), (1000, 1000));
    // A buffer that did not change is not written again.
    drop(hot);
    spill.trim(0);
    let writes = spill.stats().writes;
    drop(buffers[0].read().unwrap());
    spill.trim(0);
    assert_eq!(spill.stats().writes, writes);
}

#[test]
fn spill_evicts_other_buffers_when_allocation_fails() {
    let spill = Spill::with_upstream("limited", Limit::new(Heap::new(), 10_000));
    let mut buffers: Vec<_> = (0..8).map(|_| spill.allocate_buffer::<u8>(4000).unwrap()).collect();
    assert!(spill.stats().spilled >= 24_000);
    let (one, two) = buffers.split_at_mut(1);
    let (mut first, second) = (one[0].write().unwrap(), two[0].read().unwrap());
    first[0] = second[0] + 1;
    let error = two[1].read().unwrap_err();
    assert!(matches!(error, SpillError::Memory(_)) && error.to_string().contains("limited"), "{error}");
    drop((first, second));
    assert_eq!((buffers[0].read().unwrap()[0], buffers[2].read().unwrap()[0]), (1, 0));
    assert!(matches!(spill.allocate_buffer::<u64>(usize::MAX), Err(SpillError::Memory(_))));
    assert!(spill.allocate_buffer::<u64>(0).unwrap().read().unwrap().is_empty());
}

#[test]
fn spill_without_a_directory_evicts_and_loses_nothing() {
    let spill = Spill::new("nowhere").with_dir("/nonexistent").with_limit(1000);
    let mut kept = spill.allocate_buffer::<u8>(900).unwrap();
    kept.write().unwrap().fill(7);
    let error = spill.allocate_buffer::<u8>(900).unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
    assert_eq!(spill.trim(0), 0);
    assert!(kept.read().unwrap().iter().all(|&byte| byte == 7));
}

#[test]
fn threads_use_their_buffers_at_once() {
    let spill = Spill::new("threads").with_limit(64 << 10);
    let all_there = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (spill, all_there) = (&spill, &all_there);
            scope.spawn(move || {
                let mut buffer = spill.allocate_buffer::<u64>(4000).unwrap();
                all_there.wait();
                for round in 0..50 {
                    buffer.write().unwrap().fill(thread * 1000 + round);
                    assert!(buffer.read().unwrap().iter().all(|&value| value == thread * 1000 + round));
                }
            });
        }
    });
    assert!(spill.stats().reads > 0);
}
