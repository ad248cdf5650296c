//! Contexts: the buffers of one operation, which are freed together.
//!
//! - `builder`: [`AnalyticsContextBuilder`] allocates buffers in advance.
//! - `analytics_context`: [`AnalyticsContext`] allocates from a stratified pool, by default the
//!   program's.
//! - `entries`: the buffers of a context.
//! - `slice`: [`ContextSlice`], a buffer of a context.

mod analytics_context;
mod builder;
mod entries;
mod slice;

pub use analytics_context::{AnalyticsContext, ContextStats, TypeStats};
pub use builder::AnalyticsContextBuilder;
pub use slice::ContextSlice;
