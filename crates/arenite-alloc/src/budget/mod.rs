//! Budgets: limits on the bytes of parts of a program, with one atomic counter for each node of a
//! tree.
//!
//! - `node`: [`Budget`], a node and its counters.
//! - `charge`: charges, and the reclaimers that run before one fails.
//! - `thread_usage_cache`: the counters that a thread left behind.
//! - `error`: [`BudgetError`], which names the exhausted node and its largest children.
//! - `reservation`: [`Reservation`], charged bytes with an owner.
//! - `budgeted`: [`Budgeted`], a resource whose blocks are charged.

mod budgeted;
mod charge;
mod error;
mod node;
mod reservation;
mod thread_usage_cache;

pub use budgeted::Budgeted;
pub use error::BudgetError;
pub use node::{Budget, BudgetStats};
pub use reservation::Reservation;
