//! Remote frees that are not posted yet, buffered per size class (snmalloc: `RemoteDeallocCache`).
//!
//! A thread usually frees another thread's blocks in allocation order, so up to 64 of them share
//! one bitmap word and one atomic operation. The buffer is posted when a block of another word
//! arrives, when it is full, when the thread exits, and on a trim request. A thread serves a trim
//! request when the buffered word changes or an allocation takes the slow path. A sleeping thread
//! posts nothing and pins the slabs of its buffered blocks. (Liétar et al., "snmalloc: a message
//! passing allocator", 2019.)
#![expect(unsafe_code, reason = "stores the address of a segment")]

use crate::heap::central::remote_epochs::RemoteEpochs;
use crate::heap::remote_free::WORD_BITS;
use crate::heap::segment::segment::Segment;
use crate::util::sync::plain::{AtomicU64, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::NonNull;

/// Maximum number of bytes of blocks that are buffered per class.
pub(crate) const MAX_PENDING_BYTES: u16 = 16 << 10;
/// Largest block whose remote free is buffered, so that at least two fit.
pub(crate) const MAX_BUFFERED_BLOCK_BYTES: usize = MAX_PENDING_BYTES as usize / 2;

/// The buffer of one class: blocks of one word of one slab. All zeroes: empty. The owning thread
/// alone changes it; any thread may read the number of blocks.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RemoteFreeCache {
    /// The word's identity: the segment's address, with the slab's first unit and the word's index
    /// in the low bits.
    target: Cell<usize>,
    bits: AtomicU64,
    segment: Cell<Option<NonNull<Segment>>>,
    /// Number of blocks that may still be buffered.
    remaining: Cell<usize>,
}

impl RemoteFreeCache {
    /// Buffers block `block` of another thread's slab at the unit `first`. Posts the pending word
    /// first if it is another one or full; `max` blocks of a word are buffered. Returns whether the
    /// pending word changed, so that it was posted if it had bits.
    ///
    /// # Errors
    /// The address of a block that was freed twice: this one, or one that was buffered.
    #[inline]
    pub(crate) fn push(
        &self,
        epochs: &RemoteEpochs,
        segment: &Segment,
        first: usize,
        block: usize,
        max: usize,
    ) -> Result<bool, usize> {
        let target = core::ptr::from_ref(segment).addr() | (first << 8) | (block / WORD_BITS);
        let changes = target != self.target.get() || self.remaining.get() == 0;
        if changes {
            self.flush(epochs)?;
            self.target.set(target);
            self.segment.set(Some(NonNull::from(segment)));
            self.remaining.set(max);
        }
        let (bits, bit) = (self.bits.load(Relaxed), 1 << (block % WORD_BITS));
        self.bits.store(bits | bit, Relaxed);
        self.remaining.set(self.remaining.get() - 1);
        if bits & bit == 0 { Ok(changes) } else { Err(segment.slabs[first].address_of(block)) }
    }

    /// Posts the buffered blocks.
    ///
    /// # Errors
    /// The address of one of them that another thread freed as well.
    pub(crate) fn flush(&self, epochs: &RemoteEpochs) -> Result<(), usize> {
        let bits = self.bits.load(Relaxed);
        let (Some(segment), true) = (self.segment.get(), bits != 0) else { return Ok(()) };
        self.bits.store(0, Relaxed);
        // SAFETY: blocks of this segment are buffered and count as allocated, so it lives.
        let segment = unsafe { segment.as_ref() };
        let (first, word) = (self.target.get() >> 8 & 0xfff, self.target.get() & 0xff);
        post_word(epochs, segment, first, word, bits)
    }

    /// Returns the number of buffered blocks.
    pub(crate) fn pending(&self) -> u32 {
        self.bits.load(Relaxed).count_ones()
    }
}

/// Sets bits of one remote-free word of the slab at the unit `first`. Bumps the class's epoch if
/// the owner must be notified.
///
/// # Errors
/// The address of a block whose bit was set before.
pub(crate) fn post_word(
    epochs: &RemoteEpochs,
    segment: &Segment,
    first: usize,
    word: usize,
    bits: u64,
) -> Result<(), usize> {
    let class = segment.class_at(first);
    let pushed = segment.push_remote(first, word, bits);
    if pushed.must_notify {
        epochs.bump(class);
    }
    if pushed.already_set == 0 {
        return Ok(());
    }
    Err(segment.slabs[first].address_of(word * WORD_BITS + pushed.already_set.trailing_zeros() as usize))
}
