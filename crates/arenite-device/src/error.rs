//! The error of a failed probe.

use thiserror::Error;

/// The reason why no device was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// A driver library that is missing or does not load.
    #[error("cannot load {}: {reason}; {advice}", tried.join(" or "))]
    LibraryMissing {
        /// The names that were tried, in order.
        tried: Vec<String>,
        /// The dynamic loader's message for the first name.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// A library without one of the entry points.
    #[error("{library} has no {symbol}; {advice}")]
    SymbolMissing {
        /// The library.
        library: String,
        /// The entry point.
        symbol: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// A driver call that failed.
    #[error("{call} returned {code}: {meaning}; {advice}")]
    CallFailed {
        /// The call.
        call: &'static str,
        /// The driver's error code.
        code: i32,
        /// The meaning of the code.
        meaning: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// A value that no driver may return.
    #[error("{call} returned the impossible value {value}; reinstall or update the driver")]
    Implausible {
        /// The call.
        call: &'static str,
        /// The value.
        value: i64,
    },
}
