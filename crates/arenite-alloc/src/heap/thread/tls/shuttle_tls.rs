//! What a thread knows of the heaps it uses, where threads are a scheduler's (`--cfg shuttle`); and whole heaps under it.
//!
//! Rests on shuttle. All threads of a model are stacks that one thread of the system runs in turn, so what is one thread's own
//! is kept by the number of its task.

use crate::heap::thread::registry::{Entries, MOST, leave_all};
use crate::heap::thread::tls::Last;
use core::cell::RefCell;
use core::ptr::null;
use std::collections::BTreeMap;

struct Own {
    last: Last,
    entries: Entries,
}

std::thread_local! {
    static TASKS: RefCell<BTreeMap<usize, Own>> = const { RefCell::new(BTreeMap::new()) };
}

struct End;

impl Drop for End {
    fn drop(&mut self) {
        leave_all();
        TASKS.with_borrow_mut(|tasks| _ = tasks.remove(&task()));
    }
}

shuttle::thread_local! {
    static END: End = End;
}

fn task() -> usize {
    shuttle::current::get_current_task().map_or(usize::MAX, usize::from)
}

fn own<T>(see: impl FnOnce(&mut Own) -> T) -> T {
    TASKS.with_borrow_mut(|tasks| {
        see(tasks.entry(task()).or_insert(Own { last: (0, null()), entries: [None; MOST] }))
    })
}

pub(crate) fn get() -> Last {
    own(|own| own.last)
}

pub(crate) fn set(last: Last) {
    own(|own| own.last = last);
}

pub(crate) fn entries() -> Entries {
    own(|own| own.entries)
}

pub(crate) fn set_entries(entries: Entries) {
    own(|own| own.entries = entries);
}

pub(crate) fn call_at_end() {
    END.with(|_| ());
}

/// A model's thread ends once.
pub(crate) const fn ended() {}

pub(crate) const fn is_over() -> bool {
    false
}

#[cfg(test)]
#[expect(unsafe_code, reason = "blocks of a heap are pointers")]
mod models {
    use crate::Heap;
    use arenite_core::{Resource, Trim};
    use core::alloc::Layout;
    use shuttle::{rand::Rng, sync::Mutex, thread};
    use std::sync::Arc;

    /// A block that says what is in it.
    struct Block {
        at: core::ptr::NonNull<u8>,
        layout: Layout,
        mark: u8,
    }

    // SAFETY: a block is one holder's.
    unsafe impl Send for Block {}

    fn take(heap: &Heap, size: usize, mark: u8) -> Block {
        let layout = Layout::from_size_align(size, 8).unwrap();
        let at = heap.allocate(layout).unwrap().cast::<u8>();
        // SAFETY: a live block of that size.
        unsafe { at.write_bytes(mark, size) };
        Block { at, layout, mark }
    }

    fn give(heap: &Heap, block: &Block) {
        for index in 0..block.layout.size() {
            // SAFETY: inside of a live block, which was filled.
            let found = unsafe { block.at.add(index).read() };
            assert_eq!(found, block.mark, "another block lies over this one");
        }
        // SAFETY: a live block of that layout.
        unsafe { heap.deallocate(block.at, block.layout) };
    }

    type Post = Arc<Vec<Mutex<Vec<Block>>>>;

    /// Some blocks are freed where they were made, some by the next thread, the rest after their threads ended.
    fn round() {
        let heap = Arc::new(Heap::new());
        let post: Post = Arc::new((0..3).map(|_| Mutex::new(Vec::new())).collect());
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let (heap, post) = (Arc::clone(&heap), Arc::clone(&post));
                thread::spawn(move || work(&heap, number, &post))
            })
            .collect();
        if shuttle::rand::thread_rng().gen_bool(0.5) {
            heap.trim(0);
            let _figures = heap.stats();
        }
        let kept = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        kept.collect::<Vec<_>>().iter().for_each(|block| give(&heap, block));
        for blocks in post.iter() {
            blocks.lock().unwrap().drain(..).for_each(|block| give(&heap, &block));
        }
        assert_eq!((heap.state().in_use, heap.state().live_blocks), (0, 0));
        heap.defrag();
        assert_eq!(heap.state().in_use, 0);
    }

    fn work(heap: &Heap, number: usize, post: &Post) -> Vec<Block> {
        let mut random = shuttle::rand::thread_rng();
        let mut kept = Vec::new();
        for turn in 0..8 {
            let size = [24, 24, 24, 4000, 20_000, 70_000, 300_000][random.gen_range(0..7)];
            kept.push(take(heap, size, u8::try_from(number * 16 + turn).unwrap()));
            let one = random.gen_range(0..kept.len());
            match random.gen_range(0..3) {
                0 => give(heap, &kept.swap_remove(one)),
                1 => post[(number + 1) % 3].lock().unwrap().push(kept.swap_remove(one)),
                _ => {}
            }
            let mine = core::mem::take(&mut *post[number].lock().unwrap());
            mine.iter().for_each(|block| give(heap, block));
        }
        kept
    }

    #[test]
    fn shuttle_threads_share_a_heap_in_any_order() {
        shuttle::check_random(round, 600);
    }

    #[test]
    fn shuttle_threads_share_a_heap_with_few_changes_of_thread() {
        shuttle::check_pct(round, 300, 3);
    }
}
