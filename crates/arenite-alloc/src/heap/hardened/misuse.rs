//! Misuse of a heap: the kinds, the report, and the end of the program.

use arenite_core::Bytes;
use core::fmt;

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// The address lies in no block that was ever lent.
    InvalidPointer,
    /// The address lies inside a block, not at its start.
    InteriorPointer,
    /// The block is already free.
    DoubleFree,
    /// A freed block was written to.
    WriteAfterFree,
    /// Bytes behind the size that was asked for were written to.
    BufferOverflow,
}

/// Who called, and when: the thread by its number in the order of first calls, and the number of the call to this heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The thread; 1 is the first that used a hardened heap.
    pub thread: u16,
    /// The number of the call among all that took or freed a block of this heap, modulo 2³².
    pub call: u32,
}

/// A misuse with all that is known of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MisuseReport {
    /// What was wrong.
    pub misuse: Misuse,
    /// The address that was given, or the first byte that was written to.
    pub address: usize,
    /// The block's first address and the size it was asked with, where there is one.
    pub block: Option<(usize, usize)>,
    /// Who took the block last.
    pub allocated_by: Option<Caller>,
    /// Who freed it last.
    pub freed_by: Option<Caller>,
}

impl MisuseReport {
    pub(crate) const fn new(misuse: Misuse, address: usize) -> Self {
        Self { misuse, address, block: None, allocated_by: None, freed_by: None }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::InvalidPointer => "not a block of this heap",
            Self::InteriorPointer => "inside a block, not its start",
            Self::DoubleFree => "the block is already free",
            Self::WriteAfterFree => "written to after it was freed",
            Self::BufferOverflow => "written to beyond its end",
        })
    }
}

impl fmt::Display for MisuseReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#x}: {}", self.address, self.misuse)?;
        if let Some((start, size)) = self.block {
            write!(out, "; block {start:#x} of {} ({size} bytes)", Bytes(size))?;
        }
        for (what, caller) in [("taken", self.allocated_by), ("freed", self.freed_by)] {
            if let Some(Caller { thread, call }) = caller {
                write!(out, "; {what} by thread {thread} in call {call}")?;
            }
        }
        Ok(())
    }
}

impl core::error::Error for MisuseReport {}

/// A line of text without an allocation.
struct MessageBuffer {
    bytes: [u8; 512],
    len: usize,
}

impl fmt::Write for MessageBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let text = text.as_bytes();
        let free = self.bytes.len() - self.len;
        let copied = text.len().min(free);
        self.bytes[self.len..self.len + copied].copy_from_slice(&text[..copied]);
        self.len += copied;
        Ok(())
    }
}

/// Ends the program: it misused a heap through the fast door, which has no other answer. Takes no lock of a heap's and holds
/// none: whoever handles the signal may allocate. (Where a thread that ends finds the misuse, it holds the list of heaps that live.)
#[cold]
pub(crate) fn abort_with_report(report: &MisuseReport) -> ! {
    use fmt::Write;
    let mut line = MessageBuffer { bytes: [0; 512], len: 0 };
    let _written = writeln!(line, "arenite: heap misused: {report}");
    arenite_pages::say(&line.bytes[..line.len]);
    std::process::abort()
}

/// Ends the program: it gave a block back wrongly through the fast door.
#[cold]
pub(crate) fn abort_misuse(misuse: Misuse, address: usize) -> ! {
    abort_with_report(&MisuseReport::new(misuse, address))
}
