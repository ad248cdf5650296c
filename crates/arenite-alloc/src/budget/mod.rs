//! Budgets: how many bytes a part of a program may have.
//!
//! Rests on one atomic count for each node of a tree. [`Budget`] is a node, [`Budgeted`] charges a resource's blocks to one, [`Reservation`]
//! holds bytes that no resource lends, [`BudgetError`] is a refusal that names the node and who has its bytes.

mod budgeted;
mod error;
mod node;
mod reservation;
mod thread_usage_cache;

pub use budgeted::Budgeted;
pub use error::BudgetError;
pub use node::{Budget, BudgetStats};
pub use reservation::Reservation;
