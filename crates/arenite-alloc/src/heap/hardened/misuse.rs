//! Misuse of a heap: the kinds, the report, and the end of the program.

use arenite_pages::MessageBuffer;
use core::fmt;

/// The kind of a misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// The address lies in no block that was ever allocated.
    InvalidPointer,
    /// The address lies inside a block, not at its start.
    InteriorPointer,
    /// The block is already free.
    DoubleFree,
    /// A freed block was written to.
    WriteAfterFree,
    /// Bytes behind the requested size were written.
    BufferOverflow,
}

/// A call of a thread: the thread by the order of first calls, the call by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Number of the thread; 1 is the first that used a hardened heap.
    pub thread: u16,
    /// Number of the call among the allocations and frees of this heap, modulo 2³².
    pub call: u32,
}

/// A misuse, with what is known of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MisuseReport {
    /// Kind of the misuse.
    pub misuse: Misuse,
    /// Address that was freed, or the first byte that was written.
    pub address: usize,
    /// Address and requested size of the block, if there is one.
    pub block: Option<(usize, usize)>,
    /// Call that allocated the block last.
    pub allocated_by: Option<Caller>,
    /// Call that freed the block last.
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
            Self::InvalidPointer => "invalid pointer: not a block of this heap",
            Self::InteriorPointer => "interior pointer: inside a block, not its start",
            Self::DoubleFree => "double free: the block is already free",
            Self::WriteAfterFree => "write after free",
            Self::BufferOverflow => "buffer overflow: written beyond the requested size",
        })
    }
}

impl fmt::Display for MisuseReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#x}: {}", self.address, self.misuse)?;
        if let Some((start, size)) = self.block {
            write!(out, "; block {start:#x} of {size} bytes")?;
        }
        for (what, caller) in [("allocated", self.allocated_by), ("freed", self.freed_by)] {
            if let Some(Caller { thread, call }) = caller {
                write!(out, "; {what} by thread {thread} in call {call}")?;
            }
        }
        Ok(())
    }
}

impl core::error::Error for MisuseReport {}

/// Ends the program: the unchecked API has no other answer to misuse. Takes no lock of a heap and
/// holds none, since a handler of the signal may allocate. (A misuse found by an exiting thread is
/// the exception: it holds the list of live heaps.)
#[cold]
pub(crate) fn abort_with_report(report: &MisuseReport) -> ! {
    use fmt::Write;
    let mut message = MessageBuffer::new();
    let _written = writeln!(message, "arenite: heap misuse: {report}");
    arenite_pages::write_stderr_raw(message.as_bytes());
    std::process::abort()
}

/// Ends the program on a misuse of the unchecked API.
#[cold]
pub(crate) fn abort_misuse(misuse: Misuse, address: usize) -> ! {
    abort_with_report(&MisuseReport::new(misuse, address))
}
