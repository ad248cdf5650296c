//! Charged bytes with an owner.

use super::{Budget, BudgetError};
use core::mem::take;

/// Bytes of a budget that are released on drop, for memory outside arenite's resources, such as a
/// vector's.
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

impl Budget {
    /// Charges bytes for as long as the reservation lives.
    ///
    /// # Errors
    /// As [`Budget::charge`].
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, BudgetError> {
        self.charge(bytes)?;
        Ok(Reservation { budget: self.clone(), bytes })
    }
}

impl Reservation {
    /// Returns the number of charged bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the node that is charged.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Charges more bytes.
    ///
    /// # Errors
    /// As [`Budget::charge`]; the reservation is then unchanged.
    pub fn grow(&mut self, more: usize) -> Result<(), BudgetError> {
        self.budget.charge(more)?;
        self.bytes += more;
        Ok(())
    }

    /// Releases up to `less` bytes. Returns how many.
    pub fn shrink(&mut self, less: usize) -> usize {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.budget.release(less);
        less
    }

    /// Splits off up to `bytes` bytes as a reservation of their own.
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
