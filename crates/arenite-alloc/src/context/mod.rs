//! A context: the buffers of one operation, which go together.
//!
//! Rests on a stratified pool, one for the whole program unless it is given another. [`AnalyticsContextBuilder`] takes buffers before they
//! are needed; [`ContextSlice`] is what a context lends.

mod analytics_context;
mod builder;
mod entries;
mod slice;

pub use analytics_context::{AnalyticsContext, ContextStats, TypeStats};
pub use builder::AnalyticsContextBuilder;
pub use slice::ContextSlice;
