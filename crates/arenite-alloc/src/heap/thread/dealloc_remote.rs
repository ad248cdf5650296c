//! Frees of blocks that another thread's slab holds.

use crate::heap::central::central::Central;
use crate::heap::hardened::misuse::{Misuse, MisuseReport, abort_misuse};
use crate::heap::segment::segment::Segment;
use crate::heap::thread::remote_cache::{MAX_PENDING_BYTES, WORD_BITS, post_word};
use crate::heap::thread::thread_heap::ThreadHeap;
use core::ptr::NonNull;

impl ThreadHeap {
    /// Takes a block back that lies in another thread's slab, which begins with the unit `first`; `this`: the calling thread's part of
    /// the heap, if it has one.
    ///
    /// # Errors
    /// No block begins there, or one was given back before: the block meant, or one that was given back lately.
    #[inline]
    pub(crate) fn dealloc_remote(
        this: Option<&Self>,
        central: &Central,
        segment: &Segment,
        first: usize,
        block: NonNull<u8>,
    ) -> Result<(), MisuseReport> {
        let wrong = |misuse| MisuseReport::new(misuse, block.addr().get());
        let already_set = |address| MisuseReport::new(Misuse::DoubleFree, address);
        let (number, geometry) = segment.block_index_at(first, block).map_err(wrong)?;
        match this.and_then(|this| this.remote_cache.get(geometry.class())) {
            Some(remote_cache) if geometry.size() <= usize::from(MAX_PENDING_BYTES / 2) => {
                let posted = remote_cache
                    .push(
                        &central.remote_epochs,
                        segment,
                        first,
                        number,
                        geometry.blocks_in(MAX_PENDING_BYTES),
                    )
                    .map_err(already_set)?;
                if let (true, Some(this)) = (posted, this) {
                    this.poll_trim_request();
                }
                Ok(())
            }
            _ => post_word(
                &central.remote_epochs,
                segment,
                first,
                number / WORD_BITS,
                1 << (number % WORD_BITS),
            )
            .map_err(already_set),
        }
    }

    /// Tells other threads of what this one gave back. A block that was given back twice ends the program. Under the heap's lock, so that
    /// who sums up what is lent while a thread ends counts each block once.
    pub(crate) fn flush_remote_frees(&self) {
        let lock = self.central().lock();
        let posted = self
            .remote_cache
            .iter()
            .try_for_each(|remote_cache| remote_cache.flush(&self.central().remote_epochs));
        drop(lock);
        if let Err(address) = posted {
            abort_misuse(Misuse::DoubleFree, address);
        }
    }
}
