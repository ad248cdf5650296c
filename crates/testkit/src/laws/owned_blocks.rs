//! The owning [`Block`] over any resource: it is zeroed, resizes and frees itself.
//!
//! `Block` is the one safe owner of raw blocks, so it must work over every implementation.

use super::traits::{Traits, layout};
use arenite_core::{Block, Resource};
use core::mem::MaybeUninit;

/// Checks that a block is zero on request, keeps its bytes after a resize or a failed resize, and
/// is freed on drop.
///
/// # Panics
/// If one of these is broken.
pub fn owned_blocks(resource: &dyn Resource, traits: &Traits) {
    let before = resource.state().live_blocks;
    let small = traits.max_size.min(40);
    let mut block = Block::zeroed_in(layout(small, 8), resource).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(block.len(), small);
    write(block.bytes_mut());
    for size in [traits.max_size.min(5000), small, traits.max_size.min(300)] {
        if let Err(error) = block.resize(size) {
            panic!("{error}");
        }
        assert_eq!((block.len(), block.bytes().len()), (size, size));
        assert_eq!(read(block.bytes_mut(), small), expected(small));
    }
    assert!(block.resize(1 << 62).is_err());
    assert!(block.resize(usize::MAX).is_err());
    assert_eq!(read(block.bytes_mut(), small), expected(small), "after a failed resize");
    if traits.own_counts {
        assert_eq!(resource.state().live_blocks, before + 1);
    }
    drop(block);
    if traits.own_counts {
        assert_eq!(resource.state().live_blocks, before, "freed on drop");
    }
}

fn expected(len: usize) -> Vec<u8> {
    (0..len).map(|at| at.to_le_bytes()[0] ^ 0x3C).collect()
}

fn write(bytes: &mut [MaybeUninit<u8>]) {
    let all = expected(bytes.len());
    bytes.write_copy_of_slice(&all);
}

/// Copies the first `len` bytes, all of which were written.
fn read(bytes: &[MaybeUninit<u8>], len: usize) -> Vec<u8> {
    crate::live_blocks::assume_init(&bytes[..len])
}
