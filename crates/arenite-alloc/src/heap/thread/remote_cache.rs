//! Blocks of other threads' slabs that a thread gave back and has not told of yet: those of one word of one slab's bits.
//!
//! Rests on the arena's tables, and on `Central`, which is told of slabs that have some. Who frees many blocks of another thread mostly frees those of a size in the order in which they were
//! lent, so one locked operation tells their owner of up to 64. What waits here is told of when a block of another word is freed, when
//! it has become much, when the thread ends, and when it hears that the heap calls for memory: at one of these, or when it needs a slab.
//! A thread that sleeps does not hear, and holds back what waits, and the slabs it lies in. (Frees that are gathered by the thread that frees
//! are as in snmalloc: Liétar et al., "snmalloc: a message passing allocator", 2019.)
#![expect(unsafe_code, reason = "an arena's tables lie at an address that is kept here")]

use crate::heap::central::central::Central;
use crate::heap::hardened::hardened::misused;
use crate::heap::hardened::options::{Misuse, MisuseReport};
use crate::heap::segment::segment::Header;
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::sync::plain::{AtomicU64, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::NonNull;

/// At most so many bytes of other threads' blocks of a class are given back and not told of.
const AWAY: u16 = 16 << 10;
/// Bits of a word.
const WORD: usize = 64;

/// Of one class. All zeroes is none. Its thread alone changes it; anybody may ask how many wait.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Away {
    /// Which word of which slab: the arena's address, whose low bits have room for the slab's first unit and the word.
    key: Cell<usize>,
    bits: AtomicU64,
    header: Cell<Option<NonNull<Header>>>,
    /// How many may still wait.
    left: Cell<usize>,
}

impl Away {
    /// Has a block wait, which is the one of this number in the slab of another thread at the unit `first`, after telling of
    /// those of another word; `most` of a word may wait. Whether it told of some, `central` then too.
    ///
    /// # Errors
    /// The address of a block that was given back twice: this one, or one of those that waited.
    #[inline]
    pub(crate) fn add(
        &self,
        central: &Central,
        header: &Header,
        first: usize,
        block: usize,
        most: usize,
    ) -> Result<bool, usize> {
        let key = core::ptr::from_ref(header).addr() | (first << 8) | (block / WORD);
        let tells = key != self.key.get() || self.left.get() == 0;
        if tells {
            self.tell(central)?;
            self.key.set(key);
            self.header.set(Some(NonNull::from(header)));
            self.left.set(most);
        }
        let (bits, bit) = (self.bits.load(Relaxed), 1 << (block % WORD));
        self.bits.store(bits | bit, Relaxed);
        self.left.set(self.left.get() - 1);
        if bits & bit == 0 { Ok(tells) } else { Err(header.slabs[first].address_of(block)) }
    }

    /// Tells their owner of those that wait.
    ///
    /// # Errors
    /// The address of a block among them that another thread gave back, too.
    pub(crate) fn tell(&self, central: &Central) -> Result<(), usize> {
        let bits = self.bits.load(Relaxed);
        let (Some(header), true) = (self.header.get(), bits != 0) else { return Ok(()) };
        self.bits.store(0, Relaxed);
        // SAFETY: blocks of this arena wait and count as lent, so it lives.
        let header = unsafe { header.as_ref() };
        let (first, word) = (self.key.get() >> 8 & 0xfff, self.key.get() & 0xff);
        give(central, header, first, word, bits)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.bits.load(Relaxed).count_ones()
    }
}

/// Tells the owner of the slab at the unit `first` of blocks of one word of its bits, and `central` where they are the first.
///
/// # Errors
/// The address of one that was given back twice.
fn give(central: &Central, header: &Header, first: usize, word: usize, bits: u64) -> Result<(), usize> {
    let class = header.class_at(first);
    let pushed = header.give_remote(first, word, bits);
    if pushed.first {
        central.tell_of(class);
    }
    if pushed.twice == 0 {
        return Ok(());
    }
    Err(header.slabs[first].address_of(word * WORD + pushed.twice.trailing_zeros() as usize))
}

impl ThreadHeap {
    /// Takes a block back that lies in another thread's slab, which begins with the unit `first`; `this`: the calling thread's part of
    /// the heap, if it has one.
    ///
    /// # Errors
    /// No block begins there, or one was given back before: the block meant, or one that was given back lately.
    #[inline]
    pub(crate) fn give_away(
        this: Option<&Self>,
        central: &Central,
        header: &Header,
        first: usize,
        block: NonNull<u8>,
    ) -> Result<(), MisuseReport> {
        let wrong = |misuse| MisuseReport::of(misuse, block.addr().get());
        let twice = |address| MisuseReport::of(Misuse::DoubleFree, address);
        let (number, shape) = header.block_at(first, block).map_err(wrong)?;
        match this.and_then(|this| this.away.get(shape.class())) {
            Some(away) if shape.size() <= usize::from(AWAY / 2) => {
                let told = away.add(central, header, first, number, shape.blocks_in(AWAY)).map_err(twice)?;
                if let (true, Some(this)) = (told, this) {
                    this.listen();
                }
                Ok(())
            }
            _ => give(central, header, first, number / WORD, 1 << (number % WORD)).map_err(twice),
        }
    }

    /// Tells other threads of what this one gave back. A block that was given back twice ends the program. Under the heap's lock, so that
    /// who sums up what is lent while a thread ends counts each block once.
    pub(crate) fn tell(&self) {
        let lock = self.central().lock();
        let told = self.away.iter().try_for_each(|away| away.tell(self.central()));
        drop(lock);
        if let Err(address) = told {
            misused(Misuse::DoubleFree, address);
        }
    }
}
