//! Large blocks that grow, go back, and get the OS pages of those that went back.
#![expect(unsafe_code, reason = "uses and gives back raw blocks")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use arenite_alloc::Heap;
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

const MIB: usize = 1 << 20;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 64).unwrap()
}

/// A block with a word of its own in every OS page.
struct Marked {
    block: NonNull<u8>,
    size: usize,
    seed: u64,
}

impl Marked {
    fn take(heap: &Heap, size: usize, seed: u64) -> Self {
        let block = heap.allocate(layout(size)).unwrap().cast();
        let marked = Self { block, size, seed };
        marked.mark(0);
        marked
    }

    /// The word at an offset that is a multiple of 8.
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
        // SAFETY: a live block of that size.
        self.block = unsafe { heap.grow(self.block, layout(self.size), layout(size)) }.unwrap().cast();
        let before = core::mem::replace(&mut self.size, size);
        self.mark(before);
        self.check();
    }

    fn give(self, heap: &Heap) {
        self.check();
        // SAFETY: a live block of that size, which is not used again.
        unsafe { heap.deallocate(self.block, layout(self.size)) };
    }
}

fn faults() -> i64 {
    let mut usage = core::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: there is room for what the call writes.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) }, 0);
    // SAFETY: zeroes are a value, and the call wrote one.
    unsafe { usage.assume_init() }.ru_minflt
}

#[test]
fn n09_a_block_that_grows_again_finds_the_pages_of_the_one_before() {
    let heap = Heap::new().decaying(None);
    let mut spent = Vec::new();
    for round in 0..4 {
        let before = faults();
        let mut block = Marked::take(&heap, 40 * MIB, round << 40);
        for size in [70, 100, 180, 256] {
            block.grow(&heap, size * MIB);
        }
        block.give(&heap);
        spent.push(faults() - before);
        let state = heap.state();
        assert_eq!((state.in_use, state.live_blocks), (0, 0));
        assert!(state.held >= 256 * MIB && state.held < 600 * MIB, "{state:?}");
    }
    assert!(spent[0] > 100, "{spent:?}");
    // of 128 huge pages or 65,536 others; an instrumented program has faults of its own in each round
    assert!(spent[2..].iter().all(|&again| again + 64 < spent[0]), "{spent:?}");
    println!("{spent:?}");
    heap.trim(0);
    assert!(heap.state().held < 10 * MIB, "{:?}", heap.state());
}

#[test]
fn n09_a_block_that_gave_pages_away_is_whole_when_it_is_lent() {
    let heap = Heap::new().decaying(None);
    Marked::take(&heap, 200 * MIB, 1 << 50).give(&heap);
    // a part of its pages goes to another
    let small = Marked::take(&heap, 50 * MIB, 2 << 50);
    let large = Marked::take(&heap, 200 * MIB, 3 << 50);
    small.check();
    let other = Marked::take(&heap, 60 * MIB, 4 << 50);
    [small, large, other].into_iter().for_each(|block| block.give(&heap));
    // fresh ones are zeroed, also where pages could come from a kept block
    let zeroed = heap.allocate_zeroed(layout(30 * MIB)).unwrap().cast::<u8>();
    // SAFETY: a live block of that size.
    let bytes = unsafe { core::slice::from_raw_parts(zeroed.as_ptr(), 30 * MIB) };
    assert!(bytes.iter().all(|&byte| byte == 0));
    // SAFETY: not used again.
    unsafe { heap.deallocate(zeroed, layout(30 * MIB)) };
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n09_large_blocks_in_any_order_keep_what_is_theirs() {
    let heap = Heap::new();
    let mut random = 7_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (random >> 33) as usize % below
    };
    let mut live: Vec<Marked> = Vec::new();
    for step in 0..400_u64 {
        match next(3) {
            0 if live.len() < 6 => {
                live.push(Marked::take(&heap, 17 * MIB + next(60) * MIB / 3, step << 40));
            }
            1 if !live.is_empty() => {
                let at = next(live.len());
                let now = live[at].size;
                let size = (now + 1 + next(40 * MIB)).min(150 * MIB).max(now);
                live[at].grow(&heap, size);
            }
            _ if !live.is_empty() => live.swap_remove(next(live.len())).give(&heap),
            _ => {}
        }
        if step % 100 == 50 {
            heap.trim(next(400) * MIB);
        }
    }
    live.into_iter().for_each(|block| block.give(&heap));
    let state = heap.state();
    assert_eq!((state.in_use, state.live_blocks), (0, 0));
}
