//! The mappings of this process, from `/proc/self/maps`.
//!
//! They are read anew each time, because only the kernel's list is always right. No heap memory is
//! needed.

use super::line_reader;
use core::ops::{ControlFlow, Range};
use std::fs::File;
use std::io::{self, Read};

/// One mapping, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping<'a> {
    /// Its addresses.
    pub(crate) range: Range<usize>,
    /// Its access rights: `rw-p`.
    pub(crate) letters: &'a str,
    /// Its file or name, any bytes; cut if the line exceeds the buffer.
    pub(crate) name: &'a [u8],
}

/// Calls `visit` with the mappings in `within`, clipped to it, ascending, until it breaks.
/// Microseconds for a small process, milliseconds for thousands of mappings.
///
/// # Errors
/// [`io::Error`] if the kernel does not report them.
pub(crate) fn for_each_mapping<B>(
    within: Range<usize>,
    visit: impl FnMut(Mapping<'_>) -> ControlFlow<B>,
) -> io::Result<ControlFlow<B>> {
    for_each_mapping_in(&mut File::open("/proc/self/maps")?, within, visit)
}

fn for_each_mapping_in<B>(
    list: &mut impl Read,
    within: Range<usize>,
    mut visit: impl FnMut(Mapping<'_>) -> ControlFlow<B>,
) -> io::Result<ControlFlow<B>> {
    // end of the last visited mapping: mappings may merge between two reads, and then begin before
    // it
    let mut from = within.start;
    let seen = |line: &[u8]| match parse_mapping(line) {
        Some(part) if part.range.start >= within.end => ControlFlow::Break(None),
        Some(part) if part.range.end <= from => ControlFlow::Continue(()),
        Some(part) => {
            let range = part.range.start.max(from)..part.range.end.min(within.end);
            from = range.end;
            visit(Mapping { range, ..part }).map_break(Some)
        }
        None => ControlFlow::Continue(()),
    };
    Ok(match line_reader::for_each_line(list, seen)? {
        ControlFlow::Break(Some(found)) => ControlFlow::Break(found),
        ControlFlow::Break(None) | ControlFlow::Continue(()) => ControlFlow::Continue(()),
    })
}

/// Parses a line such as `7f00-7f10 rw-p 00000000 00:00 0   [anon:x]`.
fn parse_mapping(line: &[u8]) -> Option<Mapping<'_>> {
    let mut rest = line.trim_ascii();
    let mut word = || {
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after.trim_ascii_start();
        core::str::from_utf8(word).ok()
    };
    let (from, to) = word()?.split_once('-')?;
    let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
    let letters = word()?;
    // offset, device and inode of the file
    (0..3).try_for_each(|_| word().map(drop))?;
    Some(Mapping { range, letters, name: rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Range<usize>, String, Vec<u8>);

    fn seen(mut list: impl Read, within: Range<usize>) -> Vec<Seen> {
        let mut seen = Vec::new();
        let all = for_each_mapping_in(&mut list, within, |part| {
            seen.push((part.range, part.letters.to_owned(), part.name.to_owned()));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(all.unwrap(), ControlFlow::Continue(()));
        seen
    }

    #[test]
    fn n05_mappings_are_clipped_to_the_range() {
        let list = b"1000-3000 rw-p 0 0:0 0 \ngarbage\n5000-9000 r--p 0 0:0 7  /a b\xff\n";
        let found = seen(&list[..], 0x2000..0x6000);
        assert_eq!(found[0], (0x2000..0x3000, "rw-p".to_owned(), Vec::new()));
        assert_eq!(found[1], (0x5000..0x6000, "r--p".to_owned(), b"/a b\xff".to_vec()));
        assert_eq!(found.len(), 2);
        assert_eq!(seen(&list[..], 0x3000..0x5000), []);
        let first = for_each_mapping_in(&mut &list[..], 0..usize::MAX, |part| ControlFlow::Break(part.range));
        assert_eq!(first.unwrap(), ControlFlow::Break(0x1000..0x3000));
    }

    #[test]
    fn n05_mappings_that_merge_between_reads_are_visited_once() {
        let list = b"1000-3000 rw-p 0 0:0 0 \n1000-5000 r--p 0 0:0 0 \n1000-4000 rw-p 0 0:0 0 \n";
        let ranges: Vec<_> = seen(&list[..], 0..usize::MAX).into_iter().map(|(range, ..)| range).collect();
        assert_eq!(ranges, [0x1000..0x3000, 0x3000..0x5000]);
    }

    #[test]
    fn n05_real_mappings_contain_a_static() {
        let (here, mut found) = (core::ptr::from_ref(&line_reader::BUFFER).addr(), 0);
        let all = for_each_mapping(here..here + 1, |part| {
            assert!(part.letters.starts_with('r'), "{part:?}");
            found += 1;
            ControlFlow::<()>::Continue(())
        });
        assert_eq!((all.unwrap(), found), (ControlFlow::Continue(()), 1));
    }
}
