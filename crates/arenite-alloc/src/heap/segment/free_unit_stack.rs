//! A LIFO of single units of a segment that were freed.
//!
//! The most recently freed unit is reused first because its data and TLB entries are still warm.
//! The oldest is the next one to be purged.

use core::cell::Cell;

/// Capacity of the stack: 16 MiB of units.
const CAPACITY: usize = 256;

/// A stack of units that drops the oldest one when it is full, under the heap's lock. All zeroes:
/// empty, since the first unit of a segment is never free.
#[derive(Debug)]
pub(crate) struct FreeUnitStack {
    units: [Cell<u16>; CAPACITY],
    /// Position of the next unit.
    next: Cell<usize>,
}

impl FreeUnitStack {
    /// Pushes a freed unit.
    pub(crate) fn push(&self, unit: usize) {
        let next = self.next.get() % CAPACITY;
        self.units[next].set(u16::try_from(unit).unwrap_or(0));
        self.next.set(next + 1);
    }

    /// Pops the newest unit that is still free and committed; drops the others it meets.
    pub(crate) fn pop(&self, is_ready: impl Fn(usize) -> bool) -> Option<usize> {
        loop {
            let newest = (self.next.get() + CAPACITY - 1) % CAPACITY;
            match self.units[newest].replace(0) {
                0 => return None,
                unit => {
                    self.next.set(newest);
                    if is_ready(unit.into()) {
                        return Some(unit.into());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_stack_pops_newest_ready_unit_and_drops_oldest() {
        let stack = FreeUnitStack { units: [const { Cell::new(0) }; CAPACITY], next: Cell::new(0) };
        assert_eq!(stack.pop(|_| true), None);
        (1..=CAPACITY + 10).for_each(|unit| stack.push(unit));
        assert_eq!(stack.pop(|unit| unit % 2 == 1), Some(CAPACITY + 9));
        let rest: Vec<_> = core::iter::from_fn(|| stack.pop(|_| true)).collect();
        assert_eq!(rest, (11..CAPACITY + 9).rev().collect::<Vec<_>>());
        stack.push(1);
        assert_eq!((stack.pop(|_| false), stack.pop(|_| true)), (None, None));
    }
}
