//! Blocks of any resource, driven by the fuzzer's operations: every byte of every block is checked.

use arbitrary::Arbitrary;
use arenite_core::Resource;
use core::alloc::Layout;
use core::ptr::NonNull;

/// What the fuzzer may ask for.
#[derive(Arbitrary, Debug)]
pub enum Operation {
    Take { size: u32, align: u8, zeroed: bool },
    Give { which: u8 },
    Resize { which: u8, size: u32 },
    /// What the resource can do besides, by number.
    Other(u8),
}

pub struct Held {
    pub block: NonNull<u8>,
    pub layout: Layout,
    pub seed: u8,
}

/// Sizes up to 4 MiB, small ones mostly.
fn bytes(size: u32) -> usize {
    (size >> 8) as usize >> (size % 24) & 0x3f_ffff
}

fn check(held: &Held, len: usize) {
    // SAFETY: a live block of that size, filled.
    let found = unsafe { core::slice::from_raw_parts(held.block.as_ptr(), len) };
    assert!(found.iter().all(|&byte| byte == held.seed), "a block changed");
}

fn fill(held: &Held) {
    // SAFETY: a live block of that size.
    unsafe { held.block.write_bytes(held.seed, held.layout.size()) };
}

/// Does what the operations say and gives everything back.
pub fn run<R: Resource>(resource: &R, operations: Vec<Operation>, mut other: impl FnMut(&mut Vec<Held>, u8)) {
    let mut live: Vec<Held> = Vec::new();
    for (turn, operation) in operations.into_iter().enumerate() {
        match operation {
            Operation::Take { size, align, zeroed } => {
                let Ok(layout) = Layout::from_size_align(bytes(size), 1 << (align % 14)) else { continue };
                let block =
                    if zeroed { resource.allocate_zeroed(layout) } else { resource.allocate(layout) };
                let Ok(block) = block else { continue };
                let held = Held { block: block.cast(), layout, seed: turn as u8 };
                assert!(held.block.addr().get().is_multiple_of(layout.align()));
                if zeroed {
                    check(&Held { seed: 0, ..held }, layout.size());
                }
                fill(&held);
                live.push(held);
            }
            Operation::Give { which } if !live.is_empty() => {
                let held = live.swap_remove(which as usize % live.len());
                check(&held, held.layout.size());
                // SAFETY: a live block of this layout, not used again.
                unsafe { resource.deallocate(held.block, held.layout) };
            }
            Operation::Resize { which, size } if !live.is_empty() => {
                let at = which as usize % live.len();
                let held = &mut live[at];
                let Ok(new) = Layout::from_size_align(bytes(size), held.layout.align()) else { continue };
                let moved = if new.size() >= held.layout.size() {
                    // SAFETY: a live block of this layout; the new size is not smaller.
                    unsafe { resource.grow(held.block, held.layout, new) }
                } else {
                    // SAFETY: a live block of this layout; the new size is smaller.
                    unsafe { resource.shrink(held.block, held.layout, new) }
                };
                if let Ok(moved) = moved {
                    let kept = new.size().min(held.layout.size());
                    (held.block, held.layout) = (moved.cast(), new);
                    check(held, kept);
                    fill(held);
                }
            }
            Operation::Other(number) => other(&mut live, number),
            _ => {}
        }
    }
    for held in live {
        check(&held, held.layout.size());
        // SAFETY: a live block of this layout, not used again.
        unsafe { resource.deallocate(held.block, held.layout) };
    }
    assert_eq!((resource.state().live_blocks, resource.state().in_use), (0, 0));
}
