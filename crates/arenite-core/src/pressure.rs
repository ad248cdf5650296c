//! Pressure: how short memory is.
//!
//! Rests on nothing. Two scales, because two documents have them: five levels for who reacts, four for who asks.

use core::fmt;

/// How short memory is, in five levels.
///
/// ```
/// use arenite_core::{MemoryPressure, PressureLevel};
/// assert!(PressureLevel::Warning > PressureLevel::Elevated);
/// assert_eq!(PressureLevel::Warning.memory_pressure(), MemoryPressure::High);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PressureLevel {
    /// There is enough.
    #[default]
    Normal,
    /// Less than usual: what can wait might.
    Elevated,
    /// Caches should go.
    Warning,
    /// Everything that can go must.
    Critical,
    /// The next request may be refused, or end the process.
    OutOfMemory,
}

impl PressureLevel {
    /// All of them, from the lowest.
    pub const ALL: [Self; 5] =
        [Self::Normal, Self::Elevated, Self::Warning, Self::Critical, Self::OutOfMemory];

    /// The same on the scale of four; the two highest are one there.
    #[must_use]
    pub const fn memory_pressure(self) -> MemoryPressure {
        match self {
            Self::Normal => MemoryPressure::Low,
            Self::Elevated => MemoryPressure::Medium,
            Self::Warning => MemoryPressure::High,
            Self::Critical | Self::OutOfMemory => MemoryPressure::Critical,
        }
    }
}

impl fmt::Display for PressureLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Normal => "normal",
            Self::Elevated => "elevated",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::OutOfMemory => "out of memory",
        })
    }
}

/// How short memory is, in four levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryPressure {
    /// Safe to allocate.
    #[default]
    Low,
    /// Consider using less.
    Medium,
    /// Use less.
    High,
    /// Give back what can go.
    Critical,
}

impl fmt::Display for MemoryPressure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}
