//! Memory pressure on two scales: five levels for handlers, four for callers that poll.

use core::fmt;

/// Memory pressure in five levels.
///
/// ```
/// use arenite_core::{MemoryPressure, PressureLevel};
/// assert!(PressureLevel::Warning > PressureLevel::Elevated);
/// assert_eq!(PressureLevel::Warning.memory_pressure(), MemoryPressure::High);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PressureLevel {
    /// Enough memory.
    #[default]
    Normal,
    /// Less memory than usual: postpone what can wait.
    Elevated,
    /// Little memory: release caches.
    Warning,
    /// Very little memory: release everything that can be released.
    Critical,
    /// No memory: the next request may fail or end the process.
    OutOfMemory,
}

impl PressureLevel {
    /// All levels, from the lowest to the highest.
    pub const ALL: [Self; 5] =
        [Self::Normal, Self::Elevated, Self::Warning, Self::Critical, Self::OutOfMemory];

    /// Returns the level on the scale of four; the two highest levels become one.
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

/// Memory pressure in four levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryPressure {
    /// Safe to allocate.
    #[default]
    Low,
    /// Consider using less.
    Medium,
    /// Use less.
    High,
    /// Release everything that can be released.
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
