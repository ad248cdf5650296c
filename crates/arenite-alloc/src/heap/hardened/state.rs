//! The slabs with free blocks and the quarantine of a hardened heap, under one lock.
#![expect(unsafe_code, reason = "links slabs and keeps the quarantine in OS pages of its own")]

use crate::heap::classes::SIZE_CLASS_COUNT;
use crate::heap::hardened::misuse::Caller;
use crate::heap::slab::slab::Slab;
use arenite_core::Resource;
use arenite_pages::PageAllocator;
use core::alloc::Layout;
use core::ptr::{NonNull, null};

/// Maximum number of quarantined blocks.
const QUARANTINE_SLOTS: usize = 1 << 14;

const QUARANTINE_LAYOUT: Layout = match Layout::array::<*mut u8>(QUARANTINE_SLOTS) {
    Ok(layout) => layout,
    Err(_) => panic!("a constant"),
};

/// The data under the lock of a hardened heap.
#[derive(Debug)]
pub(crate) struct HardenedState {
    /// Slabs with available blocks, by class.
    pub(crate) partial: [*const Slab; SIZE_CLASS_COUNT],
    /// Quarantined blocks in the order of their frees: a ring in OS pages of its own.
    quarantine: Option<NonNull<*mut u8>>,
    oldest: usize,
    quarantined: usize,
    pub(crate) quarantined_bytes: usize,
    random: u64,
    calls: u32,
}

// SAFETY: the pointers lead to memory of the heap, used under the lock alone.
unsafe impl Send for HardenedState {}

impl HardenedState {
    pub(crate) const NEW: Self = Self {
        partial: [null(); SIZE_CLASS_COUNT],
        quarantine: None,
        oldest: 0,
        quarantined: 0,
        quarantined_bytes: 0,
        random: 0,
        calls: 0,
    };

    pub(crate) fn caller(&mut self, thread: u16) -> Caller {
        self.calls = self.calls.wrapping_add(1);
        Caller { thread, call: self.calls }
    }

    /// Returns a random number below `below` (Vigna, "xorshift64*", 2016), seeded by the system.
    pub(crate) fn random(&mut self, below: usize) -> usize {
        if self.random == 0 {
            self.random = arenite_pages::random_seed() | 1;
        }
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let number = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap_or(0) % below.max(1)
    }

    pub(crate) fn register_slab(&mut self, slab: &Slab) {
        let first = &mut self.partial[usize::from(slab.class.get())];
        slab.previous.set(null());
        slab.next.set(*first);
        // SAFETY: slabs in the list are live, under the lock.
        if let Some(next) = unsafe { first.as_ref() } {
            next.previous.set(slab);
        }
        *first = slab;
    }

    pub(crate) fn unregister_slab(&mut self, slab: &Slab) {
        let (previous, next) = (slab.previous.replace(null()), slab.next.replace(null()));
        // SAFETY: slabs in the list are live, under the lock.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.partial[usize::from(slab.class.get())] = next,
        }
        // SAFETY: as above.
        if let Some(next) = unsafe { next.as_ref() } {
            next.previous.set(previous);
        }
    }

    /// Adds a freed block to the quarantine. Returns whether there was memory for the ring.
    pub(crate) fn quarantine_push(&mut self, block: NonNull<u8>, size: usize) -> bool {
        if self.quarantine.is_none() {
            self.quarantine = PageAllocator::new().allocate(QUARANTINE_LAYOUT).ok().map(NonNull::cast);
        }
        let Some(quarantine) = self.quarantine else { return false };
        let at = (self.oldest + self.quarantined) % QUARANTINE_SLOTS;
        let slot = quarantine.as_ptr().wrapping_add(at);
        // SAFETY: a slot of the ring.
        unsafe { slot.write(block.as_ptr()) };
        self.quarantined += 1;
        self.quarantined_bytes += size;
        true
    }

    /// Removes the oldest block if the quarantine is too large.
    pub(crate) fn quarantine_pop(&mut self, max_bytes: usize) -> Option<NonNull<u8>> {
        let quarantine = self.quarantine?;
        if self.quarantined == 0
            || (self.quarantined_bytes <= max_bytes && self.quarantined < QUARANTINE_SLOTS)
        {
            return None;
        }
        let slot = quarantine.as_ptr().wrapping_add(self.oldest);
        // SAFETY: a slot of the ring that was written.
        let block = unsafe { slot.read() };
        self.oldest = (self.oldest + 1) % QUARANTINE_SLOTS;
        self.quarantined -= 1;
        NonNull::new(block)
    }
}

impl Drop for HardenedState {
    fn drop(&mut self) {
        if let Some(quarantine) = self.quarantine.take() {
            // SAFETY: allocated with this layout, and not used any more.
            unsafe { PageAllocator::new().deallocate(quarantine.cast(), QUARANTINE_LAYOUT) };
        }
    }
}
