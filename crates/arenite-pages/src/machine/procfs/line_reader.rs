//! A reader of the lines of a file without an allocator: it may run when memory is short.

use core::ops::ControlFlow;
use std::io::{self, ErrorKind, Read};

/// Size of the buffer in bytes. Relevant lines are shorter; the end of a longer one is cut.
pub(crate) const BUFFER: usize = 4096;

/// Calls `visit` with each line, without its end, until it breaks.
///
/// # Errors
/// The error of `list`.
#[inline(never)] // the buffer leaves the stack on return
pub(crate) fn for_each_line<B>(
    list: &mut impl Read,
    mut visit: impl FnMut(&[u8]) -> ControlFlow<B>,
) -> io::Result<ControlFlow<B>> {
    let mut buffer = [0; BUFFER];
    // the buffer contains the beginning of a line, or with `cut` the middle of one that was visited
    let (mut filled, mut cut) = (0, false);
    loop {
        match list.read(&mut buffer[filled..]) {
            Ok(0) if filled > 0 && !cut => return Ok(visit(&buffer[..filled])),
            Ok(0) => return Ok(ControlFlow::Continue(())),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let mut from = 0;
        while let Some(len) = buffer[from..filled].iter().position(|&byte| byte == b'\n') {
            let line = &buffer[from..from + len];
            from += len + 1;
            if !core::mem::take(&mut cut)
                && let ControlFlow::Break(found) = visit(line)
            {
                return Ok(ControlFlow::Break(found));
            }
        }
        if from == 0 && filled == BUFFER {
            if !core::mem::replace(&mut cut, true)
                && let ControlFlow::Break(found) = visit(&buffer)
            {
                return Ok(ControlFlow::Break(found));
            }
            filled = 0;
        } else {
            buffer.copy_within(from..filled, 0);
            filled -= from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes in small chunks, as the kernel returns them.
    struct ChunkSource<'a>(&'a [u8], usize);

    impl Read for ChunkSource<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }

    proptest! {
        #[test]
        fn lines_are_complete_in_any_chunks(
            lengths in prop::collection::vec(0_usize..9000, 0..8),
            piece in 1_usize..5000,
            stop in 0_usize..10,
            ended in any::<bool>(),
        ) {
            let line = |number: usize, length: usize| format!("{number}{}", "n".repeat(length));
            let lines: Vec<_> = lengths.iter().enumerate().map(|(number, &length)| line(number, length)).collect();
            // the last line may have no end
            let text = lines.join("\n") + if ended && !lines.is_empty() { "\n" } else { "" };
            let mut seen = Vec::new();
            let all = for_each_line(&mut ChunkSource(text.as_bytes(), piece), |line| {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
                if seen.len() == stop { ControlFlow::Break("stop") } else { ControlFlow::Continue(()) }
            });
            let stopped = (1..=lines.len()).contains(&stop);
            prop_assert_eq!(all.unwrap(), if stopped { ControlFlow::Break("stop") } else { ControlFlow::Continue(()) });
            prop_assert_eq!(seen.len(), if stopped { stop } else { lines.len() });
            for (seen, line) in seen.iter().zip(&lines) {
                prop_assert_eq!(seen.as_str(), &line[..line.len().min(BUFFER)]);
            }
        }
    }
}
