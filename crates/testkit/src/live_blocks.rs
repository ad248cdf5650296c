//! The blocks that a test holds, each filled with bytes of its own.
//!
//! Rests on any [`Resource`]. After every step a check asks whether each block still has its bytes, its alignment and its
//! room to itself: that is laws 1, 2, 3 and 7 in one question.
#![expect(unsafe_code, reason = "holds raw blocks and calls the unsafe half of a resource")]

use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::sync::LazyLock;

/// A block with what it was asked with and the number that its bytes are made of.
#[derive(Clone, Copy, Debug)]
struct Held {
    start: NonNull<u8>,
    len: usize,
    layout: Layout,
    seed: usize,
}

/// Blocks lent by one resource, which every call names; nothing is given back on drop.
///
/// ```
/// use arenite_core::AllocError;
/// use testkit::Lent;
/// let system = arenite_alloc::System::new();
/// let mut lent = Lent::default();
/// lent.take(&system, AllocError::layout(100, 64)?)?;
/// lent.verify();
/// lent.give_all(&system);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct Lent {
    blocks: Vec<Held>,
    seeds: usize,
}

/// After so many bytes a block's contents begin again; more than most blocks have, and prime.
const PERIOD: usize = 65_521;

/// A period of zeros to compare with.
static ZEROS: [u8; PERIOD] = [0; PERIOD];

/// Two periods of bytes without a pattern, so that bytes moved by any distance show. Each block's contents begin elsewhere.
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

/// One period of the contents of the block numbered `seed`.
fn contents(seed: usize) -> &'static [u8] {
    let start = seed.wrapping_mul(4093) % PERIOD;
    &BYTES[start..start + PERIOD]
}

/// What lies above the size asked is filled up to this many bytes.
const SPARE: usize = 4096;

impl Lent {
    /// None yet, and room for so many without another allocation.
    pub(crate) fn with_room(count: usize) -> Self {
        // the contents are made by the first that asks
        contents(0);
        Self { blocks: Vec::with_capacity(count), seeds: 0 }
    }

    /// Takes a block and fills it.
    ///
    /// # Errors
    /// As [`Resource::allocate`].
    ///
    /// # Panics
    /// If the block breaks law 1 or 2.
    pub fn take(&mut self, resource: &dyn Resource, layout: Layout) -> Result<(), AllocError> {
        let block = resource.allocate(layout)?;
        self.enter(block, layout);
        Ok(())
    }

    /// Takes a zeroed block, looks at every byte, and fills it.
    ///
    /// # Errors
    /// As [`Resource::allocate_zeroed`].
    ///
    /// # Panics
    /// If the block breaks law 1, 2 or 6.
    pub fn take_zeroed(&mut self, resource: &dyn Resource, layout: Layout) -> Result<(), AllocError> {
        let block = resource.allocate_zeroed(layout)?;
        // SAFETY: a fresh block of this length, zeroed by contract; nobody writes to it meanwhile.
        let bytes = unsafe { block.as_ref() };
        let zero = bytes.chunks(PERIOD).all(|part| part == &ZEROS[..part.len()]);
        assert!(zero, "law 6: a zeroed block of {layout:?} is not zero");
        self.enter(block, layout);
        Ok(())
    }

    fn enter(&mut self, block: NonNull<[u8]>, layout: Layout) {
        let held = self.checked(block, layout);
        self.blocks.push(held);
        fill(held);
    }

    /// The block as an entry, if it is one: long enough, aligned, apart from every other.
    fn checked(&mut self, block: NonNull<[u8]>, layout: Layout) -> Held {
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
        Held { start, len: len.min(layout.size() + SPARE), layout, seed: self.seeds }
    }

    /// Changes a block's size and alignment, by `grow` or `shrink`; says whether it moved.
    ///
    /// # Errors
    /// As [`Resource::grow`]; the block is then looked at and stays.
    ///
    /// # Panics
    /// If laws 1, 2 or 7 are broken.
    pub fn resize(&mut self, resource: &dyn Resource, index: usize, new: Layout) -> Result<bool, AllocError> {
        let old = self.blocks[index];
        let resized = if new.size() >= old.layout.size() {
            // SAFETY: a live block of this resource with this layout; on success the old entry goes.
            unsafe { resource.grow(old.start, old.layout, new) }
        } else {
            // SAFETY: as above.
            unsafe { resource.shrink(old.start, old.layout, new) }
        };
        let block = match resized {
            Ok(block) => block,
            Err(error) => {
                intact(old, old.len, "law 7: after a refused resize");
                return Err(error);
            }
        };
        self.blocks.swap_remove(index);
        let held = self.checked(block, new);
        let kept = old.layout.size().min(new.size());
        intact(Held { seed: old.seed, ..held }, kept, "law 7: the prefix");
        self.blocks.push(held);
        let last = self.blocks.len() - 1;
        self.blocks.swap(index, last);
        fill(held);
        Ok(held.start != old.start)
    }

    /// Gives a block back after a last look at it.
    ///
    /// # Panics
    /// If its bytes are not its own any more.
    pub fn give(&mut self, resource: &dyn Resource, index: usize) {
        let held = self.blocks.swap_remove(index);
        intact(held, held.len, "law 3: before it is given back");
        // SAFETY: a live block of this resource with this layout, which leaves the list.
        unsafe { resource.deallocate(held.start, held.layout) };
    }

    /// Gives every block back, oldest and newest in turn.
    ///
    /// # Panics
    /// If the bytes of one are not its own any more.
    pub fn give_all(&mut self, resource: &dyn Resource) {
        while !self.blocks.is_empty() {
            self.give(resource, 0);
            if !self.blocks.is_empty() {
                self.give(resource, self.blocks.len() - 1);
            }
        }
    }

    /// Forgets the blocks for which `gone` is true of their index: the resource freed them all at once.
    pub fn forget(&mut self, mut gone: impl FnMut(usize) -> bool) {
        let mut index = 0;
        self.blocks.retain(|_| {
            index += 1;
            !gone(index - 1)
        });
    }

    /// Looks at every byte of every block.
    ///
    /// # Panics
    /// If one has changed.
    pub fn verify(&self) {
        for &held in &self.blocks {
            intact(held, held.len, "law 3: while it is live");
        }
    }

    /// How many blocks there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is no block.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The sum of the sizes asked, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(|held| held.layout.size()).sum()
    }

    /// The layout that block `index` was asked with.
    #[must_use]
    pub fn layout(&self, index: usize) -> Layout {
        self.blocks[index].layout
    }

    /// Where block `index` starts.
    #[must_use]
    pub fn address(&self, index: usize) -> usize {
        self.blocks[index].start.addr().get()
    }
}

fn fill(held: Held) {
    // SAFETY: the resource lent the block to this list alone; any bytes may be written to `MaybeUninit`.
    let bytes =
        unsafe { core::slice::from_raw_parts_mut(held.start.as_ptr().cast::<MaybeUninit<u8>>(), held.len) };
    for part in bytes.chunks_mut(PERIOD) {
        part.write_copy_of_slice(&contents(held.seed)[..part.len()]);
    }
}

fn intact(held: Held, len: usize, when: &str) {
    // SAFETY: the first `len` bytes of a live block were filled when it was entered, and nobody writes to them meanwhile.
    let bytes = unsafe { core::slice::from_raw_parts(held.start.as_ptr(), len) };
    let same = bytes.chunks(PERIOD).all(|part| part == &contents(held.seed)[..part.len()]);
    assert!(same, "{when}: the first {len} bytes of {held:?} changed");
}

/// Gives a block back that was taken outside a list.
pub(crate) fn give_back(resource: &dyn Resource, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller just took the block from this resource with this layout and drops it here.
    unsafe { resource.deallocate(block, layout) };
}

/// A copy of bytes that the caller wrote before.
pub(crate) fn initialised(bytes: &[MaybeUninit<u8>]) -> Vec<u8> {
    // SAFETY: the callers of this crate wrote these bytes, or keep a copy of bytes written.
    bytes.iter().map(|byte| unsafe { byte.assume_init() }).collect()
}
