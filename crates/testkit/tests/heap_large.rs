//! Large blocks that grow, are freed, and reuse the OS pages of freed blocks.
#![expect(unsafe_code, reason = "uses and frees raw blocks")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use arenite_alloc::Heap;
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use testkit::Random;

const MIB: usize = 1 << 20;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 64).unwrap()
}

/// A block with its own word in every OS page.
struct Marked {
    block: NonNull<u8>,
    size: usize,
    seed: u64,
}

impl Marked {
    fn allocate(heap: &Heap, size: usize, seed: u64) -> Self {
        let block = heap.allocate(layout(size)).unwrap().cast();
        let marked = Self { block, size, seed };
        marked.mark(0);
        marked
    }

    /// Returns the word at an offset that is a multiple of 8.
    fn word(&self, at: usize) -> NonNull<u64> {
        self.block.map_addr(|start| start.saturating_add(at)).cast()
    }

    fn mark(&self, from: usize) {
        for at in (from.next_multiple_of(4096)..self.size - 8).step_by(4096) {
            // SAFETY: inside the block, at a multiple of 8.
            unsafe { self.word(at).write(self.seed + at as u64) };
        }
    }

    fn check(&self) {
        for at in (0..self.size - 8).step_by(4096) {
            // SAFETY: inside the block, at a multiple of 8, written by `mark`.
            let found = unsafe { self.word(at).read() };
            assert_eq!(found, self.seed + at as u64, "at {at} of {}", self.size);
        }
    }

    fn grow(&mut self, heap: &Heap, size: usize) {
        // SAFETY: a live block of that size; the new size is not smaller.
        self.block = unsafe { heap.grow(self.block, layout(self.size), layout(size)) }.unwrap().cast();
        let before = core::mem::replace(&mut self.size, size);
        self.mark(before);
        self.check();
    }

    fn free(self, heap: &Heap) {
        self.check();
        // SAFETY: a live block of that size, not used again.
        unsafe { heap.deallocate(self.block, layout(self.size)) };
    }
}

fn faults() -> i64 {
    let mut usage = core::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for the structure that the call writes.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) }, 0);
    // SAFETY: the bytes were zeroed, which is a valid value, and the call wrote one.
    unsafe { usage.assume_init() }.ru_minflt
}

#[test]
fn n09_growing_block_reuses_the_pages_of_its_predecessor() {
    let heap = Heap::new().with_decay(None);
    let mut spent = Vec::new();
    for round in 0..4 {
        let before = faults();
        let mut block = Marked::allocate(&heap, 40 * MIB, round << 40);
        for size in [70, 100, 180, 256] {
            block.grow(&heap, size * MIB);
        }
        block.free(&heap);
        spent.push(faults() - before);
        let state = heap.state();
        assert_eq!((state.in_use, state.live_blocks), (0, 0));
        assert!(state.held >= 256 * MIB && state.held < 600 * MIB, "{state:?}");
    }
    assert!(spent[0] > 100, "{spent:?}");
    // The first round faults 128 huge pages or 65,536 small ones; an instrumented program has
    // faults of its own in each round.
    assert!(spent[2..].iter().all(|&again| again + 64 < spent[0]), "{spent:?}");
    println!("{spent:?}");
    heap.trim(0);
    assert!(heap.state().held < 10 * MIB, "{:?}", heap.state());
}

#[test]
fn n09_block_that_donated_pages_has_all_its_memory_when_reused() {
    let heap = Heap::new().with_decay(None);
    Marked::allocate(&heap, 200 * MIB, 1 << 50).free(&heap);
    // Another block gets a part of its OS pages.
    let small = Marked::allocate(&heap, 50 * MIB, 2 << 50);
    let large = Marked::allocate(&heap, 200 * MIB, 3 << 50);
    small.check();
    let other = Marked::allocate(&heap, 60 * MIB, 4 << 50);
    [small, large, other].into_iter().for_each(|block| block.free(&heap));
    // A zeroed block is zero although its pages could come from a cached block.
    let zeroed = heap.allocate_zeroed(layout(30 * MIB)).unwrap().cast::<u8>();
    // SAFETY: a live block of that size, zeroed by the heap.
    let bytes = unsafe { core::slice::from_raw_parts(zeroed.as_ptr(), 30 * MIB) };
    assert!(bytes.iter().all(|&byte| byte == 0));
    // SAFETY: a live block of this layout, not used again.
    unsafe { heap.deallocate(zeroed, layout(30 * MIB)) };
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n09_large_blocks_keep_their_contents_in_any_order() {
    let heap = Heap::new();
    let mut random = Random(7);
    let mut live: Vec<Marked> = Vec::new();
    for step in 0..400_u64 {
        match random.below(3) {
            0 if live.len() < 6 => {
                live.push(Marked::allocate(&heap, 17 * MIB + random.below(60) * MIB / 3, step << 40));
            }
            1 if !live.is_empty() => {
                let at = random.below(live.len());
                let now = live[at].size;
                let size = (now + 1 + random.below(40 * MIB)).min(150 * MIB).max(now);
                live[at].grow(&heap, size);
            }
            _ if !live.is_empty() => live.swap_remove(random.below(live.len())).free(&heap),
            _ => {}
        }
        if step % 100 == 50 {
            heap.trim(random.below(400) * MIB);
        }
    }
    live.into_iter().for_each(|block| block.free(&heap));
    let state = heap.state();
    assert_eq!((state.in_use, state.live_blocks), (0, 0));
}
