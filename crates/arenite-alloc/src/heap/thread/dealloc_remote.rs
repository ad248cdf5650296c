//! Remote frees: frees of blocks that lie in another thread's slab.
//!
//! The owner word of the block led here. The free is buffered in the [`RemoteFreeCache`] of its
//! class. The cache posts up to 64 frees at once to the slab's bits; see `remote_free` for those.
//! A free of a block above 8 KiB is posted at once. So is a free to another heap than the one that
//! the thread used last. The owner collects the bits when it runs out of blocks of the class.

use crate::heap::central::central::Central;
use crate::heap::hardened::misuse::{Misuse, MisuseReport, abort_misuse};
use crate::heap::remote_free::WORD_BITS;
use crate::heap::segment::segment::Segment;
use crate::heap::thread::remote_cache::{MAX_BUFFERED_BLOCK_BYTES, MAX_PENDING_BYTES, post_word};
use crate::heap::thread::thread_heap::ThreadHeap;
use core::ptr::NonNull;

impl ThreadHeap {
    /// Frees a block of another thread's slab, which begins with the unit `first`. `this` is the
    /// calling thread's part of the heap, if it is the heap that the thread used last. O(1).
    ///
    /// # Errors
    /// No block begins there, or a block was freed twice: this one, or one that was buffered.
    #[inline]
    pub(crate) fn dealloc_remote(
        this: Option<&Self>,
        central: &Central,
        segment: &Segment,
        first: usize,
        block: NonNull<u8>,
    ) -> Result<(), MisuseReport> {
        let wrong = |misuse| MisuseReport::new(misuse, block.addr().get());
        let double_free = |address| MisuseReport::new(Misuse::DoubleFree, address);
        let (number, geometry) = segment.block_index_at(first, block).map_err(wrong)?;
        match this.and_then(|this| this.remote_cache.get(geometry.class())) {
            Some(remote_cache) if geometry.size() <= MAX_BUFFERED_BLOCK_BYTES => {
                let changed = remote_cache
                    .push(
                        &central.remote_epochs,
                        segment,
                        first,
                        number,
                        geometry.blocks_in(MAX_PENDING_BYTES),
                    )
                    .map_err(double_free)?;
                if let (true, Some(this)) = (changed, this) {
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
            .map_err(double_free),
        }
    }

    /// Posts every buffered remote free. A double free ends the program. Runs under the heap's
    /// lock, so that statistics count each block once.
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
