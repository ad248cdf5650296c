//! Random sequences on a range, with every block's bytes and every list checked.
#![expect(unsafe_code, reason = "splits memory of the tests")]

use super::*;

fn tlsf_in(memory: &mut [u128], skip: usize) -> Tlsf {
    let (start, len) = (memory.as_mut_ptr().cast::<u8>().wrapping_add(skip), size_of_val(memory) - skip);
    // SAFETY: the slice is the test's, and outlives the value.
    unsafe { Tlsf::new(NonNull::new(start).unwrap(), len, 16) }
}

#[test]
fn e12_random_blocks_are_disjoint_and_coalesce_completely() {
    let mut memory = vec![0_u128; 1 << 14];
    for skip in [0, 1, 8, 15] {
        let mut tlsf = tlsf_in(&mut memory, skip);
        let total = tlsf.largest_free();
        let (mut live, mut random) = (Vec::<(NonNull<u8>, usize, u8)>::new(), 88_172_645_463_325_252_u64);
        for turn in 0..20_000_usize {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let number = usize::try_from(random >> 20).unwrap();
            let (bytes, align) = (number % (1 << (number % 13)), 1 << (number >> 8 & 7));
            match number >> 16 & 3 {
                0 | 1 => {
                    if let Some(start) = tlsf.allocate(bytes, align) {
                        assert!(start.addr().get().is_multiple_of(align) && tlsf.contains(start));
                        let seed = number.to_le_bytes()[0];
                        // SAFETY: a fresh block of that size.
                        unsafe { start.write_bytes(seed, bytes) };
                        live.push((start, bytes, seed));
                    }
                }
                2 if !live.is_empty() => {
                    let (start, bytes, seed) = live.swap_remove(number % live.len());
                    // SAFETY: a live block of that size.
                    let found = unsafe { core::slice::from_raw_parts(start.as_ptr(), bytes) };
                    assert!(found.iter().all(|&byte| byte == seed));
                    // SAFETY: a live block, not used again.
                    unsafe { tlsf.free(start) };
                }
                3 if !live.is_empty() => {
                    let at = number % live.len();
                    let (start, old, seed) = live[at];
                    // SAFETY: a live block, this test's.
                    if unsafe { tlsf.resize(start, bytes) } {
                        // SAFETY: a live block of that size.
                        let kept = unsafe { core::slice::from_raw_parts(start.as_ptr(), bytes.min(old)) };
                        assert!(kept.iter().all(|&byte| byte == seed));
                        // SAFETY: a live block of that size.
                        unsafe { start.write_bytes(seed, bytes) };
                        live[at].1 = bytes;
                    }
                }
                _ => {}
            }
            if turn % 50 == 0 {
                tlsf.check();
            }
        }
        for (start, ..) in live {
            // SAFETY: a live block, not used again.
            unsafe { tlsf.free(start) };
        }
        tlsf.check();
        assert_eq!((tlsf.in_use(), tlsf.live(), tlsf.largest_free()), (0, 0, total));
    }
}

#[test]
fn e39_a_block_costs_a_word_and_its_rounding() {
    let mut memory = vec![0_u128; 1 << 12];
    let mut tlsf = tlsf_in(&mut memory, 0);
    for bytes in [24, 40, 56, 1000] {
        let before = tlsf.in_use();
        tlsf.allocate(bytes, 8).unwrap();
        assert_eq!(tlsf.in_use() - before, bytes + 8);
    }
    tlsf.check();
}

#[test]
fn all_of_the_range_can_be_allocated_and_no_more() {
    let mut memory = vec![0_u128; 64];
    let mut tlsf = tlsf_in(&mut memory, 0);
    let most = tlsf.largest_free();
    assert!(most >= 1024 - 3 * 16, "{most}");
    assert!(tlsf.allocate(most + 1, 8).is_none() && tlsf.allocate(usize::MAX, 8).is_none());
    assert!(tlsf.allocate(usize::MAX - 100, 4096).is_none() && tlsf.allocate(1 << 50, 8).is_none());
    let block = tlsf.allocate(most, 8).unwrap();
    assert!(tlsf.allocate(1, 1).is_none());
    // SAFETY: a live block, not used again.
    unsafe { tlsf.free(block) };
    tlsf.check();
    for len in 0..5 {
        let mut small = tlsf_in(&mut memory[..len], 0);
        assert!(small.largest_free() <= len * 16 && small.allocate(200, 8).is_none());
    }
}

#[test]
fn e09_a_coarser_granule_aligns_every_block_without_padding() {
    let mut memory = vec![0_u128; 1 << 12];
    for granule in [32, 64, 128] {
        let start = NonNull::from(memory.as_mut_slice()).cast::<u8>();
        // SAFETY: the slice is the test's, and outlives the value.
        let mut tlsf = unsafe { Tlsf::new(start, 1 << 16, granule) };
        let mut blocks = Vec::new();
        while let Some(block) = tlsf.allocate(100 + blocks.len(), granule) {
            assert!(block.addr().get().is_multiple_of(granule));
            blocks.push(block);
        }
        assert!(blocks.len() > 150, "{}", blocks.len());
        tlsf.check();
        for block in blocks {
            // SAFETY: a live block, not used again.
            unsafe { tlsf.free(block) };
        }
        tlsf.check();
    }
}

#[test]
fn a_range_grows_shrinks_and_is_purged() {
    let mut memory = vec![0_u128; 1 << 16];
    let start = NonNull::from(memory.as_mut_slice()).cast::<u8>();
    // SAFETY: the slice is the test's and outlives the value, including the bytes that the range
    // grows into below.
    let mut tlsf = unsafe { Tlsf::new(start, 16, 16) };
    assert_eq!((tlsf.len(), tlsf.allocate(1, 1)), (0, None));
    let mut live = Vec::new();
    for turn in 0..2000_usize {
        let bytes = 1 + turn * 7919 % 5000;
        let block = tlsf.allocate(bytes, 16).or_else(|| {
            let (_, len) = tlsf.len_for(bytes, 16).unwrap();
            assert!(len + tlsf.frame() < 1 << 20);
            // SAFETY: inside the slice.
            unsafe { tlsf.extend(len) };
            tlsf.allocate(bytes, 16)
        });
        live.push(block.unwrap());
        if live.len() > 40 {
            // SAFETY: a live block, not used again.
            unsafe { tlsf.free(live.swap_remove(turn * 31 % live.len())) };
        }
        if turn % 100 == 0 {
            let mut decommitted = 0;
            let purged = tlsf.purge(4096, usize::MAX, |range| {
                assert!(range.start.is_multiple_of(4096) && range.end.is_multiple_of(4096));
                decommitted += range.len();
                true
            });
            assert_eq!(purged, decommitted);
            assert_eq!(tlsf.purge(4096, usize::MAX, |_| panic!("purge already")), 0);
        }
        tlsf.check();
    }
    assert!(tlsf.purged_bytes() < tlsf.len());
    let half = tlsf.len() / 2;
    assert!(tlsf.shrink_end(half) >= half);
    for block in live {
        // SAFETY: a live block, not used again.
        unsafe { tlsf.free(block) };
    }
    tlsf.check();
    assert_eq!((tlsf.shrink_end(1000), tlsf.len(), tlsf.in_use()), (1008, 1008, 0));
    tlsf.check();
    assert_eq!((tlsf.shrink_end(0), tlsf.free_at_end(), tlsf.purged_bytes()), (0, 0, 0));
    tlsf.check();
}

#[test]
fn the_reported_largest_free_block_can_be_allocated() {
    let mut memory = vec![0_u128; 1 << 12];
    let mut tlsf = tlsf_in(&mut memory, 0);
    let large = tlsf.allocate(1032, 16).unwrap();
    let _kept = tlsf.allocate(8, 16);
    let small: Vec<_> = (0..10).map(|_| (tlsf.allocate(1016, 16).unwrap(), tlsf.allocate(8, 16))).collect();
    let rest = tlsf.largest_free();
    tlsf.allocate(rest, 16).unwrap();
    // SAFETY: live blocks, not used again. The large one is the last of its list.
    unsafe { tlsf.free(large) };
    for (block, _) in small {
        // SAFETY: a live block, not used again.
        unsafe { tlsf.free(block) };
    }
    let most = tlsf.largest_free();
    assert!(most >= 1016 && tlsf.allocate(most, 16).is_some(), "{most}");
    tlsf.check();
}
