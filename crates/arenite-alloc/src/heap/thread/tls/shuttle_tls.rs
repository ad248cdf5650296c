//! Thread-local storage of a shuttle model (`--cfg shuttle`), and models of whole heaps.
//!
//! All threads of a model are stacks that one system thread runs in turn, so thread-local values
//! are stored by task id.

use crate::heap::thread::heap_table::{CurrentHeap, HeapTable, MAX_HEAPS_PER_THREAD};
use core::cell::{Cell, RefCell};
use core::ptr::null;
use std::collections::BTreeMap;

struct TaskLocals {
    current: CurrentHeap,
    table: HeapTable,
}

std::thread_local! {
    static TASKS: RefCell<BTreeMap<usize, TaskLocals>> = const { RefCell::new(BTreeMap::new()) };
}

/// Runs a hook, and drops the values of a task, when the task exits.
struct TaskExit(Cell<Option<fn()>>);

impl Drop for TaskExit {
    fn drop(&mut self) {
        if let Some(hook) = self.0.get() {
            hook();
        }
        TASKS.with_borrow_mut(|tasks| _ = tasks.remove(&task_id()));
    }
}

shuttle::thread_local! {
    static EXIT: TaskExit = TaskExit(Cell::new(None));
}

fn task_id() -> usize {
    shuttle::current::get_current_task().map_or(usize::MAX, usize::from)
}

fn with_locals<T>(visit: impl FnOnce(&mut TaskLocals) -> T) -> T {
    TASKS.with_borrow_mut(|tasks| {
        let locals = TaskLocals { current: (0, null()), table: [None; MAX_HEAPS_PER_THREAD] };
        visit(tasks.entry(task_id()).or_insert(locals))
    })
}

pub(crate) fn get() -> CurrentHeap {
    with_locals(|locals| locals.current)
}

pub(crate) fn set(current: CurrentHeap) {
    with_locals(|locals| locals.current = current);
}

pub(crate) fn table() -> HeapTable {
    with_locals(|locals| locals.table)
}

pub(crate) fn set_table(table: HeapTable) {
    with_locals(|locals| locals.table = table);
}

/// Returns `false`: a thread of a model exits in one round.
pub(crate) const fn end_round() -> bool {
    false
}

pub(crate) const fn rounds_done() -> bool {
    false
}

pub(crate) fn register_hook(hook: fn()) {
    EXIT.with(|exit| exit.0.set(Some(hook)));
}

#[cfg(test)]
#[expect(unsafe_code, reason = "blocks of a heap are pointers")]
mod models {
    use crate::Heap;
    use arenite_core::{Resource, Trim};
    use core::alloc::Layout;
    use shuttle::{rand::Rng, sync::Mutex, thread};
    use std::sync::Arc;

    /// A block filled with a mark.
    struct Block {
        at: core::ptr::NonNull<u8>,
        layout: Layout,
        mark: u8,
    }

    // SAFETY: a block has one holder.
    unsafe impl Send for Block {}

    fn allocate(heap: &Heap, size: usize, mark: u8) -> Block {
        let layout = Layout::from_size_align(size, 8).unwrap();
        let at = heap.allocate(layout).unwrap().cast::<u8>();
        // SAFETY: a live block of that size.
        unsafe { at.write_bytes(mark, size) };
        Block { at, layout, mark }
    }

    fn free(heap: &Heap, block: &Block) {
        for index in 0..block.layout.size() {
            // SAFETY: inside a live block that was filled.
            let byte = unsafe { block.at.add(index).read() };
            assert_eq!(byte, block.mark, "another block lies over this one");
        }
        // SAFETY: a live block of that layout.
        unsafe { heap.deallocate(block.at, block.layout) };
    }

    type Mailboxes = Arc<Vec<Mutex<Vec<Block>>>>;

    /// Runs threads that free some of their blocks, pass some to the next thread, and leave some
    /// until after their exit.
    fn run_model() {
        let heap = Arc::new(Heap::new());
        let mailboxes: Mailboxes = Arc::new((0..3).map(|_| Mutex::new(Vec::new())).collect());
        let threads: Vec<_> = (0..3)
            .map(|index| {
                let (heap, mailboxes) = (Arc::clone(&heap), Arc::clone(&mailboxes));
                thread::spawn(move || work(&heap, index, &mailboxes))
            })
            .collect();
        if shuttle::rand::thread_rng().gen_bool(0.5) {
            heap.trim(0);
            let _stats = heap.stats();
        }
        let live = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        live.collect::<Vec<_>>().iter().for_each(|block| free(&heap, block));
        for blocks in mailboxes.iter() {
            blocks.lock().unwrap().drain(..).for_each(|block| free(&heap, &block));
        }
        assert_eq!((heap.state().in_use, heap.state().live_blocks), (0, 0));
        heap.defrag();
        assert_eq!(heap.state().in_use, 0);
    }

    fn work(heap: &Heap, index: usize, mailboxes: &Mailboxes) -> Vec<Block> {
        let mut random = shuttle::rand::thread_rng();
        let mut live = Vec::new();
        for turn in 0..8 {
            let size = [24, 24, 24, 4000, 20_000, 70_000, 300_000][random.gen_range(0..7)];
            live.push(allocate(heap, size, u8::try_from(index * 16 + turn).unwrap()));
            let one = random.gen_range(0..live.len());
            match random.gen_range(0..3) {
                0 => free(heap, &live.swap_remove(one)),
                1 => mailboxes[(index + 1) % 3].lock().unwrap().push(live.swap_remove(one)),
                _ => {}
            }
            let received = core::mem::take(&mut *mailboxes[index].lock().unwrap());
            received.iter().for_each(|block| free(heap, block));
        }
        live
    }

    #[test]
    fn shuttle_threads_share_a_heap_in_any_order() {
        shuttle::check_random(run_model, 600);
    }

    #[test]
    fn shuttle_threads_share_a_heap_with_few_changes_of_thread() {
        shuttle::check_pct(run_model, 300, 3);
    }
}
