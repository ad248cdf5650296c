//! A number of bytes with a readable text form.
//!
//! Every message, table and option writes sizes this way: binary units, one decimal, a named unit
//! (`1.5 MiB`). Sizes are parsed from `512M`, `64 KiB` or `1g`.

use core::fmt;
use core::str::FromStr;

/// A number of bytes that displays in binary units and parses from them.
///
/// ```
/// use arenite_core::Bytes;
/// assert_eq!(Bytes(1_572_864).to_string(), "1.5 MiB");
/// assert_eq!("512M".parse::<Bytes>()?, Bytes::mib(512));
/// # Ok::<(), arenite_core::ParseBytesError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub usize);

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl Bytes {
    /// Returns `n` × 1024 bytes, saturating.
    #[must_use]
    pub const fn kib(n: usize) -> Self {
        Self(n.saturating_mul(1 << 10))
    }

    /// Returns `n` × 1024² bytes, saturating.
    #[must_use]
    pub const fn mib(n: usize) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    /// Returns `n` × 1024³ bytes, saturating.
    #[must_use]
    pub const fn gib(n: usize) -> Self {
        Self(n.saturating_mul(1 << 30))
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl fmt::Display for Bytes {
    /// Writes one decimal in the largest binary unit that leaves a number of at least one. Sizes
    /// below 1024 are written in plain bytes.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 0;
        let mut scaled = self.0;
        let mut tenths = 0;
        while scaled >= 1024 && unit + 1 < UNITS.len() {
            tenths = (scaled % 1024) * 10 / 1024;
            scaled /= 1024;
            unit += 1;
        }
        if unit == 0 || tenths == 0 {
            out.pad(size_text(scaled, None, UNITS[unit]).as_str())
        } else {
            out.pad(size_text(scaled, Some(tenths), UNITS[unit]).as_str())
        }
    }
}

/// A text buffer on the stack: formatting an error must not allocate.
struct Text {
    bytes: [u8; 32],
    len: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("?")
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let free = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        free.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

fn size_text(integer: usize, tenths: Option<usize>, unit: &str) -> Text {
    use fmt::Write as _;
    let mut text = Text { bytes: [0; 32], len: 0 };
    let written = match tenths {
        Some(tenths) => write!(text, "{integer}.{tenths} {unit}"),
        None => write!(text, "{integer} {unit}"),
    };
    debug_assert!(written.is_ok(), "20 digits and a unit fit in 32 bytes");
    text
}

/// A text that is not a size. A size is a number, then nothing, `B`, or K, M, G or T with or
/// without `iB` or `B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseBytesError;

impl fmt::Display for ParseBytesError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("not a size in bytes: use a number and a unit, as in 4096, 64K, 512MiB or 2G")
    }
}

impl core::error::Error for ParseBytesError {}

impl FromStr for Bytes {
    type Err = ParseBytesError;

    fn from_str(text: &str) -> Result<Self, ParseBytesError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: usize = number.parse().map_err(|_| ParseBytesError)?;
        let shift = unit_shift(unit.trim()).ok_or(ParseBytesError)?;
        1usize.checked_shl(shift).and_then(|unit| number.checked_mul(unit)).map(Self).ok_or(ParseBytesError)
    }
}

/// Returns the power of two of a unit, or `None` if it is unknown. Units are binary with and
/// without the `i`.
fn unit_shift(unit: &str) -> Option<u32> {
    [["", "b", "b"], ["k", "kb", "kib"], ["m", "mb", "mib"], ["g", "gb", "gib"], ["t", "tb", "tib"]]
        .into_iter()
        .zip([0, 10, 20, 30, 40])
        .find_map(|(names, shift)| names.iter().any(|name| unit.eq_ignore_ascii_case(name)).then_some(shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn bytes_display_uses_binary_units() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1 MiB"),
            (108 << 20, "108 MiB"),
            (usize::MAX, "15.9 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn bytes_parse_accepts_the_usual_units() {
        for (text, bytes) in [("4096", 4096), ("64K", 65536), ("1 MiB", 1 << 20), ("2gb", 2 << 30), ("7b", 7)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
        }
    }

    #[test]
    fn bytes_parse_fails_for_other_texts() {
        for text in ["", "K", "-1", "1.5M", "12 apples", "99999999999T", "18446744073709551616"] {
            assert_eq!(text.parse::<Bytes>(), Err(ParseBytesError), "{text}");
        }
    }
}
