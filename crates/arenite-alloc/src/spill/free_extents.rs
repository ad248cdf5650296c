//! The free extents of a file.
//!
//! A sorted list with capacity for every gap that the used extents can leave: freeing needs no
//! memory. First fit, coalesced with neighbours, is enough: a file has few buffers, and they are
//! large.

/// Free extents below the end of the file, as offset and length, sorted by offset.
#[derive(Debug, Default)]
pub(super) struct FreeExtents {
    free: Vec<(u64, u64)>,
    end: u64,
    /// Number of used extents. There are never more free ones, because the last used one has none
    /// behind it.
    used_extents: usize,
}

impl FreeExtents {
    /// Allocates an extent of `len` bytes. Returns its offset, or `None` if there is no memory for
    /// the list.
    pub(super) fn allocate(&mut self, len: u64) -> Option<u64> {
        let max = self.used_extents + 1;
        self.free.try_reserve(max.saturating_sub(self.free.len())).ok()?;
        self.used_extents = max;
        let Some(found) = self.free.iter().position(|&(_, has)| has >= len) else {
            let at = self.end;
            self.end += len;
            return Some(at);
        };
        let (at, has) = self.free[found];
        if has > len {
            self.free[found] = (at + len, has - len);
        } else {
            self.free.remove(found);
        }
        Some(at)
    }

    /// Frees an extent.
    pub(super) fn free(&mut self, mut at: u64, mut len: u64) {
        self.used_extents -= 1;
        let mut behind = self.free.partition_point(|&(begins, _)| begins < at);
        if let Some(&(before, has)) = behind.checked_sub(1).and_then(|before| self.free.get(before))
            && before + has == at
        {
            behind -= 1;
            self.free.remove(behind);
            (at, len) = (before, len + has);
        }
        if let Some(&(begins, has)) = self.free.get(behind)
            && begins == at + len
        {
            self.free.remove(behind);
            len += has;
        }
        if at + len == self.end {
            self.end = at;
        } else if len > 0 {
            self.free.insert(behind, (at, len));
        }
    }

    /// Returns the required length of the file.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_never_overlap_and_all_are_freed() {
        let (mut free_extents, mut live, mut random) =
            (FreeExtents::default(), Vec::<(u64, u64)>::new(), 7_u64);
        for _ in 0..5000 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let number = random >> 33;
            if number % 3 < 2 && live.len() < 50 {
                let len = 1 + number % 1000;
                let at = free_extents.allocate(len).unwrap();
                assert!(live.iter().all(|&(other, has)| at + len <= other || other + has <= at));
                live.push((at, len));
            } else if !live.is_empty() {
                let (at, len) = live.swap_remove(usize::try_from(number).unwrap() % live.len());
                free_extents.free(at, len);
            }
            assert!(
                free_extents.free.len() <= free_extents.used_extents
                    && free_extents.used_extents == live.len(),
                "capacity was reserved for no more"
            );
            assert!(live.iter().all(|&(at, len)| at + len <= free_extents.end()));
        }
        live.into_iter().for_each(|(at, len)| free_extents.free(at, len));
        assert_eq!((free_extents.end(), free_extents.free.len()), (0, 0));
    }
}
