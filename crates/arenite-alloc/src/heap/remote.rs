//! The blocks of one slab that other threads gave back.
//!
//! Rests on one atomic word: the newest block's address in its low 48 bits, the number of blocks above. Any thread pushes,
//! the slab's owner takes all at once; nobody takes one of many, so a block cannot come back between two looks at it (the
//! stack of Treiber, 1986, without its weakness).
#![expect(unsafe_code, reason = "threads a list through blocks that were given back")]

use super::slab::Node;
use crate::sync::{AtomicU64, Ordering};
use core::cell::Cell;
use core::ptr::{NonNull, null_mut};

const ADDRESS: u64 = (1 << 48) - 1;

/// A list of blocks with their number. Zero is empty.
#[derive(Debug, Default)]
pub(super) struct Remote(AtomicU64);

impl Remote {
    /// Puts a block on the list. Lock-free.
    ///
    /// # Safety
    /// The block is live, at least 8 bytes, aligned to 8, and nobody uses it afterwards.
    pub(super) unsafe fn push(&self, block: NonNull<u8>) {
        // SAFETY: the caller's promise, of a chain of one.
        unsafe { self.push_chain(block.cast(), block.cast(), 1) };
    }

    /// Puts a chain of `count` blocks on the list, from `first` to `last`, each but the last with the next one in it.
    ///
    /// # Safety
    /// As [`Remote::push`], for each of them.
    pub(super) unsafe fn push_chain(&self, first: NonNull<Node>, last: NonNull<Node>, count: u32) {
        let address = first.as_ptr().expose_provenance() as u64;
        debug_assert!(address <= ADDRESS, "an address of more than 48 bits");
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            let next = core::ptr::with_exposed_provenance_mut(address_of(old));
            // SAFETY: the block is this call's until the exchange below succeeds.
            unsafe { last.write(Node { next: Cell::new(next) }) };
            let new = address | ((old & !ADDRESS).wrapping_add(u64::from(count) << 48));
            match self.0.compare_exchange_weak(old, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Takes the whole list: its newest block, and how many there are.
    #[inline]
    pub(super) fn take(&self) -> (*mut Node, u32) {
        if self.0.load(Ordering::Relaxed) == 0 {
            return (null_mut(), 0);
        }
        let all = self.0.swap(0, Ordering::Acquire);
        (core::ptr::with_exposed_provenance_mut(address_of(all)), count_of(all))
    }

    /// How many blocks are on it.
    pub(super) fn count(&self) -> u32 {
        count_of(self.0.load(Ordering::Relaxed))
    }
}

fn address_of(word: u64) -> usize {
    usize::try_from(word & ADDRESS).unwrap_or(0)
}

fn count_of(word: u64) -> u32 {
    u32::try_from(word >> 48).unwrap_or(0)
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// The numbers on a taken chain, and how many there were said to be.
    fn numbers((first, count): (*mut Node, u32), base: usize) -> (Vec<usize>, u32) {
        let (mut found, mut at) = (Vec::new(), first);
        while let Some(node) = NonNull::new(at) {
            found.push((node.addr().get() - base) / size_of::<[u64; 2]>());
            // SAFETY: nodes of the array below, which were pushed.
            at = unsafe { node.as_ref() }.next.get();
        }
        (found, count)
    }

    #[test]
    fn loom_every_block_given_back_is_taken_once_and_counted() {
        loom::model(|| {
            let blocks = Box::leak(Box::new([[0_u64; 2]; 4]));
            let base = NonNull::from(&mut *blocks).cast::<u8>();
            let block =
                move |index: usize| base.map_addr(|base| base.saturating_add(index * size_of::<[u64; 2]>()));
            let remote = Arc::new(Remote(AtomicU64::new(0)));
            let (one, two) = (Arc::clone(&remote), block(0).as_ptr().expose_provenance());
            let other = thread::spawn(move || {
                let start: *mut u8 = core::ptr::with_exposed_provenance_mut(two);
                for index in 0..2 {
                    let block = NonNull::new(start.wrapping_add(index * size_of::<[u64; 2]>())).unwrap();
                    // SAFETY: two words of the array, which nobody else uses.
                    unsafe { one.push(block) };
                }
            });
            let mut taken = numbers(remote.take(), base.addr().get());
            // SAFETY: as above.
            unsafe { remote.push(block(2)) };
            other.join().unwrap();
            let rest = numbers(remote.take(), base.addr().get());
            taken.0.extend(rest.0);
            taken.0.sort_unstable();
            assert_eq!((taken.0, taken.1 + rest.1), (vec![0, 1, 2], 3));
            // SAFETY: leaked above, and no thread is left.
            drop(unsafe { Box::from_raw(core::ptr::from_mut(blocks)) });
        });
    }
}
