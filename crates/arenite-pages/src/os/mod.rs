//! The operating system's surface: the only files of this crate that call it.
//!
//! Each function states its preconditions, so that another system is a second file with the same functions: `linux.rs` is
//! most of it and `linux_numa.rs` places memory and threads, `linux_usage.rs` counts what was
//! used and `linux_events.rs` waits, `unsupported.rs` has the same functions for systems that have no file yet. Beside them `bus_error.rs`
//! answers the signal of a mapped file that became shorter, which is no call but a conversation, `thread_exit.rs` is called
//! at the end of a thread, and `fork.rs` before and after the process forks.

#[cfg(target_os = "linux")]
pub(crate) mod bus_error;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_events;
#[cfg(target_os = "linux")]
mod linux_numa;
#[cfg(target_os = "linux")]
mod linux_usage;
mod thread_exit;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(target_os = "linux")]
pub(crate) use linux_events::*;
#[cfg(target_os = "linux")]
pub(crate) use linux_numa::*;
#[cfg(target_os = "linux")]
pub(crate) use linux_usage::*;
pub use thread_exit::ThreadExitHook;
pub(crate) use thread_exit::pthread_atfork;

// also in the tests of Linux, so that it cannot fall behind
#[cfg(any(test, not(target_os = "linux")))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
pub(crate) use unsupported::*;

/// What a process used, itself and those of its children that it waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    /// Processor time in the program.
    pub user: core::time::Duration,
    /// Processor time in the kernel for it.
    pub system: core::time::Duration,
    /// Page faults without disk.
    pub minor_faults: u64,
    /// Page faults with disk.
    pub major_faults: u64,
    /// The most bytes that the largest of these processes had in memory.
    pub max_rss_bytes: usize,
}

/// What a mapping may be used for. There is no write without read, and no write with execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    Read,
    ReadWrite,
    ReadExecute,
}

/// What the kernel is told about a range, without a change of its access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Back it by huge pages where it can.
    Huge,
    /// Never do.
    NoHuge,
    /// Find every OS page now, for writing.
    PopulateWrite,
    /// Drop the contents now.
    Discard,
    /// Drop the contents when memory is short, unless they are written before.
    Free,
    /// First in line for reclaim.
    Cold,
    /// Write it to swap or to its file now.
    PageOut,
    /// Copy it onto huge pages now.
    Collapse,
}

/// Where memory is to be found; the nodes are bits of a [`NodeSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On the node of the thread that touches it first.
    Local,
    /// On these nodes in turn.
    Interleave,
    /// On these nodes and no other.
    Bind,
    /// On this node where it can.
    Preferred,
}

/// The most nodes that a kernel numbers (`MAX_NUMNODES` is 1024 at most).
pub(crate) const MAX_NODES: usize = 1024;

/// A set of NUMA nodes, a bit each, as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeSet(pub(crate) [u64; MAX_NODES / 64]);

impl NodeSet {
    pub(crate) const EMPTY: Self = Self([0; MAX_NODES / 64]);

    /// The set with `node` in it; unchanged where no kernel numbers a node so high.
    pub(crate) const fn with(mut self, node: usize) -> Self {
        if node < MAX_NODES {
            self.0[node / 64] |= 1 << (node % 64);
        }
        self
    }

    /// The nodes in it, ascending.
    #[cfg(test)]
    pub(crate) fn nodes(self) -> Vec<usize> {
        (0..MAX_NODES).filter(|node| self.0[node / 64] >> (node % 64) & 1 == 1).collect()
    }
}

/// Why a range was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MoveError {
    /// The kernel refused; both ranges are mapped, the source has its contents.
    Failed(rustix::io::Errno),
    /// The kernel refused, and whether the target is still its owner's is not known: it must not be used or unmapped.
    TargetUnknown(rustix::io::Errno),
}

/// An address as the kernel's scan writes it: 64 bits, on a machine of as many.
type Address = usize;
const _: () = assert!(size_of::<Run>() == 24 || size_of::<usize>() < 8);

/// One run of equal OS pages that a scan of a range found; the kernel writes it (`struct page_region`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: Address,
    pub(crate) end: Address,
    /// The `PAGE_IS_…` bits of the kernel.
    pub(crate) kinds: u64,
}

/// Which OS pages a scan returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// Only pages with one of these kinds.
    pub(crate) any_of: u64,
    /// The kinds that a run tells.
    pub(crate) returned: u64,
    /// Whether the pages found are watched afresh, in the same step.
    pub(crate) rearm: bool,
}

/// The bits of [`Run::kinds`].
pub(crate) mod kind {
    pub(crate) const WRITTEN: u64 = 1 << 1;
    pub(crate) const PRESENT: u64 = 1 << 3;
    pub(crate) const SWAPPED: u64 = 1 << 4;
    pub(crate) const ZERO: u64 = 1 << 5;
    pub(crate) const HUGE: u64 = 1 << 6;
}
