//! The mappings of this process, as the kernel lists them.
//!
//! Rests on `/proc/self/maps`. It is read and not remembered: the kernel's own list is the only one that is never wrong.

use core::ops::Range;

/// One mapping, or the part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its addresses.
    pub(crate) range: Range<usize>,
    /// What it may be used for: `rw-p`.
    pub(crate) letters: String,
    /// The file or name behind it.
    pub(crate) name: String,
}

/// All mappings, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Maps(Vec<Part>);

impl Maps {
    /// Reads them: microseconds for a small process, milliseconds for thousands of mappings.
    pub(crate) fn read() -> std::io::Result<Self> {
        // names of files are any bytes
        Ok(Self::parse(&String::from_utf8_lossy(&std::fs::read("/proc/self/maps")?)))
    }

    fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(part).collect())
    }

    /// The parts of mappings that lie in `range`, cut to it.
    pub(crate) fn within(&self, range: Range<usize>) -> impl Iterator<Item = Part> + '_ {
        let first = self.0.partition_point(|part| part.range.end <= range.start);
        self.0[first..]
            .iter()
            .take_while({
                let end = range.end;
                move |part| part.range.start < end
            })
            .map(move |part| {
                let mut part = part.clone();
                part.range = part.range.start.max(range.start)..part.range.end.min(range.end);
                part
            })
    }

    /// How many there are; the kernel allows `vm.max_map_count`.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// A line as in `7f00-7f10 rw-p 00000000 00:00 0   [anon:x]`.
fn part(line: &str) -> Option<Part> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
    let letters = words.next()?.to_owned();
    let name = words.skip(3).collect::<Vec<_>>().join(" ");
    Some(Part { range, letters, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n05_parts_are_cut_to_the_range() {
        let maps = Maps::parse("1000-3000 rw-p 0 0:0 0 \ngarbage\n5000-9000 r--p 0 0:0 7  /a b\n");
        assert_eq!(maps.count(), 2);
        let parts: Vec<Part> = maps.within(0x2000..0x6000).collect();
        assert_eq!((parts[0].range.clone(), parts[1].range.clone()), (0x2000..0x3000, 0x5000..0x6000));
        assert_eq!((parts[1].letters.as_str(), parts[1].name.as_str()), ("r--p", "/a b"));
        assert_eq!(maps.within(0x3000..0x5000).count(), 0);
    }
}
