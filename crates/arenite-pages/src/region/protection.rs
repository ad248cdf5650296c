//! Protection of a range of memory.
//!
//! There is no write with execute: most exploits need memory that is both.

use crate::os::Access;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// Allowed uses of committed memory; any other access faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// None: memory keeps its contents and faults.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing.
    ReadExecute,
}

impl Protection {
    pub(crate) const fn access(self) -> Access {
        match self {
            Self::None => Access::None,
            Self::Read => Access::Read,
            Self::ReadWrite => Access::ReadWrite,
            Self::ReadExecute => Access::ReadExecute,
        }
    }

    /// Parses the letters of `/proc/PID/maps`. Returns `None` for those that this crate never sets.
    pub(crate) fn of_letters(letters: &str) -> Option<Self> {
        match letters.get(..3)? {
            "---" => Some(Self::None),
            "r--" => Some(Self::Read),
            "rw-" => Some(Self::ReadWrite),
            "r-x" => Some(Self::ReadExecute),
            _ => None,
        }
    }

    const NAMES: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("read", Self::Read),
        ("read-write", Self::ReadWrite),
        ("read-execute", Self::ReadExecute),
    ];
}

impl fmt::Display for Protection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, protection)| protection == self);
        out.pad(name.map_or("none", |(name, _)| name))
    }
}

/// An unknown name of a protection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown protection `{name}`; use none, read, read-write or read-execute; memory is never writable and executable"
)]
pub struct ProtectionError {
    /// The requested name.
    pub name: String,
}

/// ```
/// use arenite_pages::Protection;
/// assert_eq!("read-write".parse(), Ok(Protection::ReadWrite));
/// assert!("read-write-execute".parse::<Protection>().is_err());
/// ```
impl FromStr for Protection {
    type Err = ProtectionError;

    fn from_str(name: &str) -> Result<Self, ProtectionError> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, protection)| *protection);
        found.ok_or_else(|| ProtectionError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n04_names_are_read_back_and_write_with_execute_has_none() {
        for (name, protection) in Protection::NAMES {
            assert_eq!((name.parse(), protection.to_string().as_str()), (Ok(protection), name));
        }
        for bad in ["", "rwx", "write", "read-write-execute", "Read"] {
            let error = bad.parse::<Protection>().unwrap_err();
            assert!(error.to_string().contains("never writable and executable"), "{error}");
        }
        assert_eq!((Protection::of_letters("rwxp"), Protection::of_letters("r")), (None, None));
    }
}
