//! Which parts of a file are free.
//!
//! Rests on a sorted map. First fit, joined with neighbours: a file has few buffers, and they are large.

use std::collections::BTreeMap;

/// The free parts below the end, by their place.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    free: BTreeMap<u64, u64>,
    end: u64,
}

impl Gaps {
    /// A place for `len` bytes.
    pub(super) fn take(&mut self, len: u64) -> u64 {
        let found = self.free.iter().find(|&(_, &has)| has >= len).map(|(&at, &has)| (at, has));
        match found {
            Some((at, has)) => {
                self.free.remove(&at);
                if has > len {
                    self.free.insert(at + len, has - len);
                }
                at
            }
            None => {
                let at = self.end;
                self.end += len;
                at
            }
        }
    }

    /// Takes a place back.
    pub(super) fn give(&mut self, mut at: u64, mut len: u64) {
        if let Some((&before, &has)) = self.free.range(..at).next_back()
            && before + has == at
        {
            self.free.remove(&before);
            (at, len) = (before, len + has);
        }
        if let Some(has) = self.free.remove(&(at + len)) {
            len += has;
        }
        if at + len == self.end {
            self.end = at;
        } else if len > 0 {
            self.free.insert(at, len);
        }
    }

    /// How long the file must be.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_never_overlap_and_all_come_back() {
        let (mut gaps, mut live, mut random) = (Gaps::default(), Vec::<(u64, u64)>::new(), 7_u64);
        for _ in 0..5000 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let number = random >> 33;
            if number % 3 < 2 && live.len() < 50 {
                let len = 1 + number % 1000;
                let at = gaps.take(len);
                assert!(live.iter().all(|&(other, has)| at + len <= other || other + has <= at));
                live.push((at, len));
            } else if !live.is_empty() {
                let (at, len) = live.swap_remove(usize::try_from(number).unwrap() % live.len());
                gaps.give(at, len);
            }
            assert!(live.iter().all(|&(at, len)| at + len <= gaps.end()));
        }
        live.into_iter().for_each(|(at, len)| gaps.give(at, len));
        assert_eq!((gaps.end(), gaps.free.len()), (0, 0));
    }
}
