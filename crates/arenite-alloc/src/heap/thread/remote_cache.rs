//! Blocks of other threads' slabs that a thread gave back and has not told of yet: those of one word of one slab's bits.
//!
//! Rests on the arena's tables, and on `Central`, which is told of slabs that have some. Who frees many blocks of another thread mostly frees those of a size in the order in which they were
//! lent, so one locked operation tells their owner of up to 64. What waits here is told of when a block of another word is freed, when
//! it has become much, when the thread ends, and when it hears that the heap calls for memory: at one of these, or when it needs a slab.
//! A thread that sleeps does not hear, and holds back what waits, and the slabs it lies in. (Frees that are gathered by the thread that frees
//! are as in snmalloc: Liétar et al., "snmalloc: a message passing allocator", 2019.)
#![expect(unsafe_code, reason = "an arena's tables lie at an address that is kept here")]

use crate::heap::central::remote_epochs::RemoteEpochs;
use crate::heap::segment::segment::Segment;
use crate::sync::plain::{AtomicU64, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::NonNull;

/// At most so many bytes of other threads' blocks of a class are given back and not told of.
pub(crate) const MAX_PENDING_BYTES: u16 = 16 << 10;
/// Bits of a word.
pub(crate) const WORD_BITS: usize = 64;

/// Of one class. All zeroes is none. Its thread alone changes it; anybody may ask how many wait.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RemoteFreeCache {
    /// Which word of which slab: the arena's address, whose low bits have room for the slab's first unit and the word.
    target: Cell<usize>,
    bits: AtomicU64,
    segment: Cell<Option<NonNull<Segment>>>,
    /// How many may still wait.
    remaining: Cell<usize>,
}

impl RemoteFreeCache {
    /// Has a block wait, which is the one of this number in the slab of another thread at the unit `first`, after telling of
    /// those of another word; `most` of a word may wait. Whether it told of some, `central` then too.
    ///
    /// # Errors
    /// The address of a block that was given back twice: this one, or one of those that waited.
    #[inline]
    pub(crate) fn push(
        &self,
        epochs: &RemoteEpochs,
        segment: &Segment,
        first: usize,
        block: usize,
        most: usize,
    ) -> Result<bool, usize> {
        let target = core::ptr::from_ref(segment).addr() | (first << 8) | (block / WORD_BITS);
        let flushes = target != self.target.get() || self.remaining.get() == 0;
        if flushes {
            self.flush(epochs)?;
            self.target.set(target);
            self.segment.set(Some(NonNull::from(segment)));
            self.remaining.set(most);
        }
        let (bits, bit) = (self.bits.load(Relaxed), 1 << (block % WORD_BITS));
        self.bits.store(bits | bit, Relaxed);
        self.remaining.set(self.remaining.get() - 1);
        if bits & bit == 0 { Ok(flushes) } else { Err(segment.slabs[first].address_of(block)) }
    }

    /// Tells their owner of those that wait.
    ///
    /// # Errors
    /// The address of a block among them that another thread gave back, too.
    pub(crate) fn flush(&self, epochs: &RemoteEpochs) -> Result<(), usize> {
        let bits = self.bits.load(Relaxed);
        let (Some(segment), true) = (self.segment.get(), bits != 0) else { return Ok(()) };
        self.bits.store(0, Relaxed);
        // SAFETY: blocks of this arena wait and count as lent, so it lives.
        let segment = unsafe { segment.as_ref() };
        let (first, word) = (self.target.get() >> 8 & 0xfff, self.target.get() & 0xff);
        post_word(epochs, segment, first, word, bits)
    }

    /// How many wait.
    pub(crate) fn pending(&self) -> u32 {
        self.bits.load(Relaxed).count_ones()
    }
}

/// Tells the owner of the slab at the unit `first` of blocks of one word of its bits, and `central` where they are the first.
///
/// # Errors
/// The address of one that was given back twice.
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
