//! Large blocks in a process that has almost no mappings left.
//!
//! The test is alone in its process because it fills the table of mappings.
#![expect(unsafe_code, reason = "uses and frees raw blocks, and maps memory")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use arenite_alloc::Heap;
use arenite_core::Resource;
use core::alloc::Layout;
use core::ptr::NonNull;

const MIB: usize = 1 << 20;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

/// Mappings of one OS page each, as many as the process may have.
struct Filler {
    base: *mut libc::c_void,
    pages: usize,
}

impl Filler {
    /// Creates all possible mappings except `left`; `None` if the limit is too high to reach.
    fn leaving(left: usize) -> Option<Self> {
        let max_mappings: usize =
            std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
        let pages = max_mappings.min(200_000) + 1000;
        let (none, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        // SAFETY: the kernel chooses the address, so no mapping is replaced.
        let base = unsafe { libc::mmap(core::ptr::null_mut(), pages * 4096, none, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        let filler = Self { base, pages };
        let protect = |page: usize, access: libc::c_int| {
            let at = base.wrapping_byte_add(page * 4096);
            // SAFETY: an OS page of the mapping above, which has no user.
            unsafe { libc::mprotect(at, 4096, access) }
        };
        let limit = (0..pages).step_by(2).find(|&page| protect(page, libc::PROT_READ) != 0);
        // Closing an OS page joins it with its neighbours, which frees two mappings.
        let last = limit?;
        for page in (0..last).rev().filter(|page| page.is_multiple_of(2)).take(left.div_ceil(2)) {
            assert_eq!(protect(page, none), 0);
        }
        Some(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // SAFETY: the mapping above, which has no user.
        assert_eq!(unsafe { libc::munmap(self.base, self.pages * 4096) }, 0);
    }
}

#[test]
fn n09_large_block_is_unchanged_when_mappings_run_out() {
    let mut grown = [0, 0];
    for left in 0..24 {
        let heap = Heap::new().with_decay(None);
        let block = heap.allocate(layout(17 * MIB)).unwrap().cast::<u8>();
        let word = |block: NonNull<u8>, at: usize| -> NonNull<usize> {
            block.map_addr(|start| start.saturating_add(at)).cast()
        };
        for at in (0..17 * MIB).step_by(4096) {
            // SAFETY: inside the block, at a multiple of 8.
            unsafe { word(block, at).write(at + 1) };
        }
        let Some(filler) = Filler::leaving(left) else {
            println!("skipped: the mapping limit is above 200,000 mappings");
            return;
        };
        // SAFETY: a live block of that size; the new size is larger.
        let answer = unsafe { heap.grow(block, layout(17 * MIB), layout(200 * MIB)) };
        drop(filler);
        grown[usize::from(answer.is_ok())] += 1;
        let size = if answer.is_ok() { 200 * MIB } else { 17 * MIB };
        let block = answer.map_or(block, NonNull::cast);
        for at in (0..17 * MIB).step_by(4096) {
            // SAFETY: inside the block, at a multiple of 8, and written before.
            assert_eq!(unsafe { word(block, at).read() }, at + 1, "{left} mappings left");
        }
        // SAFETY: a live block of that size, not used again.
        unsafe { heap.deallocate(block, layout(size)) };
        assert_eq!(heap.state().live_blocks, 0);
    }
    assert!(grown[0] > 0 && grown[1] > 0, "{grown:?}");
}
