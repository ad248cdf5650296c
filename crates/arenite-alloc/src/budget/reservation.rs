//! Charged bytes with an owner.
//!
//! Rests on [`Budget`].

use super::{Budget, BudgetError};
use core::mem::take;

/// Bytes of a budget, given back when this goes: for memory that no resource of ours lends, such as a vector's.
///
/// ```
/// use arenite_alloc::Budget;
/// let budget = Budget::new("cache", 1000);
/// let mut all = budget.reserve(600)?;
/// let half = all.split(300);
/// all.grow(400)?;
/// assert_eq!((all.bytes(), half.bytes(), budget.used()), (700, 300, 1000));
/// all.shrink(700);
/// assert_eq!(budget.used(), 300);
/// # Ok::<(), arenite_alloc::BudgetError>(())
/// ```
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    pub(super) const fn new(budget: Budget, bytes: usize) -> Self {
        Self { budget, bytes }
    }

    /// How many.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The node that they are charged to.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Charges more.
    ///
    /// # Errors
    /// As [`Budget::charge`]; what there was stays.
    pub fn grow(&mut self, more: usize) -> Result<(), BudgetError> {
        self.budget.charge(more)?;
        self.bytes += more;
        Ok(())
    }

    /// Gives some back, all of them at most; returns how many.
    pub fn shrink(&mut self, less: usize) -> usize {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.budget.release(less);
        less
    }

    /// Some of them, all at most, as a reservation of their own.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(take(&mut self.bytes));
    }
}
