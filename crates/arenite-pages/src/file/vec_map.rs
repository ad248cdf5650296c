//! A sorted table of offsets that allocates only in `try_reserve`.
//!
//! The standard map aborts without memory, and a deallocation must not need any.

/// Values by their offsets. A lookup is O(log n), an insert or a removal O(n).
#[derive(Debug)]
pub(super) struct VecMap<V>(Vec<(usize, V)>);

impl<V> VecMap<V> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes a table of one entry. Aborts without memory.
    pub(super) fn single(at: usize, value: V) -> Self {
        Self(vec![(at, value)])
    }

    /// Reserves capacity for `count` entries in total. Returns `false` if there is no memory for
    /// it.
    pub(super) fn try_reserve(&mut self, count: usize) -> bool {
        self.0.try_reserve(count.saturating_sub(self.0.len())).is_ok()
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, at: usize) -> Result<usize, usize> {
        self.0.binary_search_by_key(&at, |&(offset, _)| offset)
    }

    pub(super) fn get(&self, at: usize) -> Option<&V> {
        self.find(at).ok().map(|found| &self.0[found].1)
    }

    /// Inserts a value. The caller has reserved capacity.
    pub(super) fn insert(&mut self, at: usize, value: V) {
        debug_assert!(self.0.len() < self.0.capacity(), "not reserved");
        match self.find(at) {
            Ok(found) => self.0[found].1 = value,
            Err(index) => self.0.insert(index, (at, value)),
        }
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<V> {
        self.find(at).ok().map(|found| self.0.remove(found).1)
    }

    /// Returns the last entry before `at`.
    pub(super) fn predecessor(&self, at: usize) -> Option<(usize, &V)> {
        let (Ok(index) | Err(index)) = self.find(at);
        index.checked_sub(1).map(|before| (self.0[before].0, &self.0[before].1))
    }

    pub(super) fn last(&self) -> Option<(usize, &V)> {
        self.0.last().map(|(at, value)| (*at, value))
    }

    /// Returns the entries by their offsets.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &V)> {
        self.0.iter().map(|(at, value)| (*at, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn vec_map_equals_the_standard_map() {
        let (mut table, mut map, mut random) = (VecMap::new(), BTreeMap::new(), 3_usize);
        for turn in 0..5000 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let at = random >> 40 & 63;
            if turn % 2 == 0 {
                assert!(table.try_reserve(table.len() + 1));
                table.insert(at, turn);
                map.insert(at, turn);
            } else {
                assert_eq!(table.remove(at), map.remove(&at));
            }
            assert_eq!((table.len(), table.get(at)), (map.len(), map.get(&at)));
            assert_eq!(table.predecessor(at), map.range(..at).next_back().map(|(&at, value)| (at, value)));
            assert_eq!(table.last(), map.last_key_value().map(|(&at, value)| (at, value)));
            assert!(table.iter().eq(map.iter().map(|(&at, value)| (at, value))));
        }
        assert!(!table.try_reserve(usize::MAX));
    }
}
