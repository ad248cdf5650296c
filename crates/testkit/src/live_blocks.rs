//! The live blocks of a test, each filled with its own bytes.
//!
//! One check after every step verifies the bytes, alignment and exclusivity of each block: laws 1,
//! 2, 3 and 7.
#![expect(unsafe_code, reason = "owns raw blocks and calls the unchecked API")]

use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::sync::LazyLock;

/// A live block, its requested layout and the seed of its contents.
#[derive(Clone, Copy, Debug)]
struct LiveBlock {
    start: NonNull<u8>,
    len: usize,
    layout: Layout,
    seed: usize,
}

/// A list of blocks allocated from one resource; dropping it leaks them.
///
/// Every call must name the resource that allocated the blocks.
///
/// ```
/// use arenite_core::AllocError;
/// use testkit::LiveBlocks;
/// let system = arenite_alloc::CountedGlobal::new();
/// let mut live = LiveBlocks::default();
/// live.allocate(&system, arenite_core::layout(100, 64)?)?;
/// live.verify();
/// live.deallocate_all(&system);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct LiveBlocks {
    blocks: Vec<LiveBlock>,
    seeds: usize,
}

/// Number of bytes after which a block's contents repeat: a prime above most block sizes.
const PERIOD: usize = 65_521;

/// One period of zeros to compare with.
static ZEROS: [u8; PERIOD] = [0; PERIOD];

/// Two periods of random bytes, so that a move by any distance is detected; each block starts at
/// another offset.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1u64;
    let mut next = || {
        // A step of Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    let period: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    [&period[..], &period[..]].concat()
});

/// Returns one period of the contents of the block with this seed.
fn contents(seed: usize) -> &'static [u8] {
    let start = seed.wrapping_mul(4093) % PERIOD;
    &BYTES[start..start + PERIOD]
}

/// Maximum number of bytes filled beyond the requested size.
const MAX_EXTRA_BYTES: usize = 4096;

impl LiveBlocks {
    /// Returns an empty list with capacity for `count` blocks, so that adding them does not
    /// allocate.
    pub(crate) fn with_capacity_for(count: usize) -> Self {
        // The first call creates the shared contents, which allocates.
        contents(0);
        Self { blocks: Vec::with_capacity(count), seeds: 0 }
    }

    /// Allocates a block and fills it.
    ///
    /// # Errors
    /// As [`Resource::allocate`].
    ///
    /// # Panics
    /// If the block breaks law 1 or 2.
    pub fn allocate(&mut self, resource: &dyn Resource, layout: Layout) -> Result<(), AllocError> {
        let block = resource.allocate(layout)?;
        self.insert(block, layout);
        Ok(())
    }

    /// Allocates a zeroed block, checks every byte and fills it.
    ///
    /// # Errors
    /// As [`Resource::allocate_zeroed`].
    ///
    /// # Panics
    /// If the block breaks law 1, 2 or 6.
    pub fn allocate_zeroed(&mut self, resource: &dyn Resource, layout: Layout) -> Result<(), AllocError> {
        let block = resource.allocate_zeroed(layout)?;
        // SAFETY: a fresh block of this length, zeroed by contract; nothing writes to it during the
        // check.
        let bytes = unsafe { block.as_ref() };
        let zero = bytes.chunks(PERIOD).all(|part| part == &ZEROS[..part.len()]);
        assert!(zero, "law 6: a zeroed block of {layout:?} is not zero");
        self.insert(block, layout);
        Ok(())
    }

    fn insert(&mut self, block: NonNull<[u8]>, layout: Layout) {
        let block = self.check_new(block, layout);
        self.blocks.push(block);
        fill(block);
    }

    /// Checks that a new block is long enough, aligned and disjoint from every other, and returns
    /// its entry.
    fn check_new(&mut self, block: NonNull<[u8]>, layout: Layout) -> LiveBlock {
        let start = block.cast::<u8>();
        let (at, len) = (start.addr().get(), block.len());
        assert!(len >= layout.size(), "law 1: {len} bytes for {layout:?}");
        assert!(at.is_multiple_of(layout.align()), "law 1: {start:?} for {layout:?}");
        assert!(at.checked_add(len).is_some(), "law 1: the block of {layout:?} wraps around");
        for other in &self.blocks {
            let from = other.start.addr().get();
            let apart = at + len <= from || from + other.len <= at;
            assert!(apart, "law 2: {start:?}+{len} overlaps {other:?}");
        }
        self.seeds += 1;
        LiveBlock { start, len: len.min(layout.size() + MAX_EXTRA_BYTES), layout, seed: self.seeds }
    }

    /// Resizes a block with `grow` or `shrink`. Returns whether it moved.
    ///
    /// # Errors
    /// As [`Resource::grow`]; the block is then checked and stays in the list.
    ///
    /// # Panics
    /// If law 1, 2 or 7 is broken.
    pub fn resize(&mut self, resource: &dyn Resource, index: usize, new: Layout) -> Result<bool, AllocError> {
        let old = self.blocks[index];
        let resized = if new.size() >= old.layout.size() {
            // SAFETY: a live block of this resource with this layout; on success its old entry is
            // removed.
            unsafe { resource.grow(old.start, old.layout, new) }
        } else {
            // SAFETY: a live block of this resource with this layout; on success its old entry is
            // removed.
            unsafe { resource.shrink(old.start, old.layout, new) }
        };
        let block = match resized {
            Ok(block) => block,
            Err(error) => {
                assert_unchanged(old, old.len, "law 7: after a failed resize");
                return Err(error);
            }
        };
        self.blocks.swap_remove(index);
        let block = self.check_new(block, new);
        let common = old.layout.size().min(new.size());
        assert_unchanged(LiveBlock { seed: old.seed, ..block }, common, "law 7: the prefix");
        self.blocks.push(block);
        let last = self.blocks.len() - 1;
        self.blocks.swap(index, last);
        fill(block);
        Ok(block.start != old.start)
    }

    /// Checks a block and frees it.
    ///
    /// # Panics
    /// If its bytes changed.
    pub fn deallocate(&mut self, resource: &dyn Resource, index: usize) {
        let block = self.blocks.swap_remove(index);
        assert_unchanged(block, block.len, "law 3: before it is freed");
        // SAFETY: a live block of this resource with this layout; its entry was removed.
        unsafe { resource.deallocate(block.start, block.layout) };
    }

    /// Frees every block, oldest and newest in turn.
    ///
    /// # Panics
    /// If the bytes of a block changed.
    pub fn deallocate_all(&mut self, resource: &dyn Resource) {
        while !self.blocks.is_empty() {
            self.deallocate(resource, 0);
            if !self.blocks.is_empty() {
                self.deallocate(resource, self.blocks.len() - 1);
            }
        }
    }

    /// Removes the blocks for whose index `freed` is true: the resource freed them all at once.
    pub fn remove_where(&mut self, mut freed: impl FnMut(usize) -> bool) {
        let mut index = 0;
        self.blocks.retain(|_| {
            index += 1;
            !freed(index - 1)
        });
    }

    /// Checks every byte of every block.
    ///
    /// # Panics
    /// If a byte changed.
    pub fn verify(&self) {
        for &block in &self.blocks {
            assert_unchanged(block, block.len, "law 3: while it is live");
        }
    }

    /// Returns the number of live blocks.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Returns whether no block is live.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns the sum of the requested sizes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.layout.size()).sum()
    }

    /// Returns the requested layout of block `index`.
    #[must_use]
    pub fn layout(&self, index: usize) -> Layout {
        self.blocks[index].layout
    }

    /// Returns the address of block `index`.
    #[must_use]
    pub fn address(&self, index: usize) -> usize {
        self.blocks[index].start.addr().get()
    }
}

fn fill(block: LiveBlock) {
    // SAFETY: the resource allocated the block for this list alone; any bytes may be written to
    // `MaybeUninit`.
    let bytes =
        unsafe { core::slice::from_raw_parts_mut(block.start.as_ptr().cast::<MaybeUninit<u8>>(), block.len) };
    for part in bytes.chunks_mut(PERIOD) {
        part.write_copy_of_slice(&contents(block.seed)[..part.len()]);
    }
}

fn assert_unchanged(block: LiveBlock, len: usize, when: &str) {
    // SAFETY: `fill` wrote the first `len` bytes of this live block, and nothing else writes to
    // them.
    let bytes = unsafe { core::slice::from_raw_parts(block.start.as_ptr(), len) };
    let same = bytes.chunks(PERIOD).all(|part| part == &contents(block.seed)[..part.len()]);
    assert!(same, "{when}: the first {len} bytes of {block:?} changed");
}

/// Frees a block that is in no list.
pub(crate) fn deallocate(resource: &dyn Resource, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller just allocated the block from this resource with this layout and does not
    // use it again.
    unsafe { resource.deallocate(block, layout) };
}

/// Copies bytes that the caller has written.
pub(crate) fn assume_init(bytes: &[MaybeUninit<u8>]) -> Vec<u8> {
    // SAFETY: the callers in this crate wrote these bytes or preserved written ones.
    bytes.iter().map(|byte| unsafe { byte.assume_init() }).collect()
}
