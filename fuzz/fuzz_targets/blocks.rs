//! Blocks of any resource, driven by the fuzzer's operations; every byte of every block is
//! checked.

use arbitrary::Arbitrary;
use arenite_core::Resource;
use core::alloc::Layout;
use core::ptr::NonNull;

/// An operation of the fuzzer.
#[derive(Arbitrary, Debug)]
pub enum Operation {
    Allocate {
        size: u32,
        align: u8,
        zeroed: bool,
    },
    Free {
        which: u8,
    },
    Resize {
        which: u8,
        size: u32,
    },
    /// An operation of the resource under test, by number.
    Other(u8),
}

pub struct LiveBlock {
    pub block: NonNull<u8>,
    pub layout: Layout,
    pub seed: u8,
}

/// Returns a size up to 4 MiB, mostly small.
fn bytes(size: u32) -> usize {
    (size >> 8) as usize >> (size % 24) & 0x3f_ffff
}

fn check(entry: &LiveBlock, len: usize) {
    // SAFETY: a live block of that size, filled before.
    let found = unsafe { core::slice::from_raw_parts(entry.block.as_ptr(), len) };
    assert!(found.iter().all(|&byte| byte == entry.seed), "a block changed");
}

fn fill(entry: &LiveBlock) {
    // SAFETY: a live block of that size, which has no other user.
    unsafe { entry.block.write_bytes(entry.seed, entry.layout.size()) };
}

/// Runs the operations, checks every byte and frees everything.
pub fn run<R: Resource>(
    resource: &R,
    operations: Vec<Operation>,
    mut other: impl FnMut(&mut Vec<LiveBlock>, u8),
) {
    let mut live: Vec<LiveBlock> = Vec::new();
    for (turn, operation) in operations.into_iter().enumerate() {
        match operation {
            Operation::Allocate { size, align, zeroed } => {
                let Ok(layout) = Layout::from_size_align(bytes(size), 1 << (align % 14)) else { continue };
                let block = if zeroed { resource.allocate_zeroed(layout) } else { resource.allocate(layout) };
                let Ok(block) = block else { continue };
                let entry = LiveBlock { block: block.cast(), layout, seed: turn as u8 };
                assert!(entry.block.addr().get().is_multiple_of(layout.align()));
                if zeroed {
                    check(&LiveBlock { seed: 0, ..entry }, layout.size());
                }
                fill(&entry);
                live.push(entry);
            }
            Operation::Free { which } if !live.is_empty() => {
                let entry = live.swap_remove(which as usize % live.len());
                check(&entry, entry.layout.size());
                // SAFETY: a live block of this layout, not used again.
                unsafe { resource.deallocate(entry.block, entry.layout) };
            }
            Operation::Resize { which, size } if !live.is_empty() => {
                let at = which as usize % live.len();
                let entry = &mut live[at];
                let Ok(new) = Layout::from_size_align(bytes(size), entry.layout.align()) else { continue };
                let moved = if new.size() >= entry.layout.size() {
                    // SAFETY: a live block of this layout; the new size is not smaller.
                    unsafe { resource.grow(entry.block, entry.layout, new) }
                } else {
                    // SAFETY: a live block of this layout; the new size is smaller.
                    unsafe { resource.shrink(entry.block, entry.layout, new) }
                };
                if let Ok(moved) = moved {
                    let kept = new.size().min(entry.layout.size());
                    (entry.block, entry.layout) = (moved.cast(), new);
                    check(entry, kept);
                    fill(entry);
                }
            }
            Operation::Other(number) => other(&mut live, number),
            _ => {}
        }
    }
    for entry in live {
        check(&entry, entry.layout.size());
        // SAFETY: a live block of this layout, not used again.
        unsafe { resource.deallocate(entry.block, entry.layout) };
    }
    assert_eq!((resource.state().live_blocks, resource.state().in_use), (0, 0));
}
