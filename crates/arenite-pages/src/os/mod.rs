//! System calls: the only files of this crate that call the operating system.
//!
//! Each function states its preconditions, so another system is a second set of files with the
//! same functions.
//!
//! - `linux.rs`: address ranges, copies, files, double mappings, waits.
//! - `linux_numa.rs`: NUMA nodes and processors.
//! - `linux_usage.rs`: resource usage.
//! - `linux_events.rs`: waits for events.
//! - `unsupported.rs`: the same functions for systems without an implementation.
//! - `bus_error.rs`: a handler of SIGBUS from truncated mapped files.
//! - `thread_exit.rs`: calls of the C library at a thread's exit.
//! - `atfork.rs`: calls of the C library around a fork.

mod atfork;
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
pub(crate) use atfork::pthread_atfork;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(target_os = "linux")]
pub(crate) use linux_events::*;
#[cfg(target_os = "linux")]
pub(crate) use linux_numa::*;
#[cfg(target_os = "linux")]
pub(crate) use linux_usage::*;
pub use thread_exit::ThreadExitHook;

// also in the tests of Linux, so that both have the same functions
#[cfg(any(test, not(target_os = "linux")))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
pub(crate) use unsupported::*;

/// Resource usage of a process and of the children that it waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    /// Processor time in user mode.
    pub user: core::time::Duration,
    /// Processor time in the kernel.
    pub system: core::time::Duration,
    /// Page faults without disk access.
    pub minor_faults: u64,
    /// Page faults with disk access.
    pub major_faults: u64,
    /// Maximum resident set size of the largest of these processes, in bytes.
    pub max_rss_bytes: usize,
}

/// Access rights of a mapping. There is no write without read, and no write with execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    Read,
    ReadWrite,
    ReadExecute,
}

/// Advice about a range that leaves its access rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Back it by huge pages if possible.
    Huge,
    /// Never back it by huge pages.
    NoHuge,
    /// Populate every OS page now, for writing.
    PopulateWrite,
    /// Drop the contents now.
    Discard,
    /// Drop the contents when memory is short, unless they are written before.
    Free,
    /// Reclaim it first.
    Cold,
    /// Write it to swap or to its file now.
    PageOut,
    /// Copy it onto huge pages now.
    Collapse,
}

/// Event of a file descriptor that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// An exceptional condition, as on a pressure file.
    Exceptional,
    /// An exceptional condition with or without an error, as on a file that signals its changes.
    Changed,
    /// Data to read.
    Readable,
}

/// NUMA policy of a range; the nodes are bits of a [`NodeSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The node of the thread that touches it first.
    Local,
    /// These nodes in turn.
    Interleave,
    /// Only these nodes.
    Bind,
    /// This node if possible.
    Preferred,
}

/// Maximum number of nodes of a kernel (`MAX_NUMNODES` is at most 1024).
pub(crate) const MAX_NODES: usize = 1024;

/// A set of NUMA nodes, one bit each, in the kernel's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeSet(pub(crate) [u64; MAX_NODES / 64]);

impl NodeSet {
    pub(crate) const EMPTY: Self = Self([0; MAX_NODES / 64]);

    /// Adds `node`; no change if the number exceeds the maximum.
    pub(crate) const fn with(mut self, node: usize) -> Self {
        if node < MAX_NODES {
            self.0[node / 64] |= 1 << (node % 64);
        }
        self
    }

    /// Returns the nodes in it, ascending.
    #[cfg(test)]
    pub(crate) fn nodes(self) -> Vec<usize> {
        (0..MAX_NODES).filter(|node| self.0[node / 64] >> (node % 64) & 1 == 1).collect()
    }
}

/// Reason why a range was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MoveError {
    /// The kernel failed; both ranges are mapped, and the source has its contents.
    Failed(rustix::io::Errno),
    /// The kernel failed, and the target may belong to other code now: it must not be used or
    /// unmapped.
    TargetUnknown(rustix::io::Errno),
}

/// An address in the kernel's scan: 64 bits, on a 64-bit machine.
type Address = usize;
const _: () = assert!(size_of::<Run>() == 24 || size_of::<usize>() < 8);

/// One run of equal OS pages that a scan found; the kernel writes it (`struct page_region`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: Address,
    pub(crate) end: Address,
    /// The `PAGE_IS_…` bits of the kernel.
    pub(crate) kinds: u64,
}

/// Selection of OS pages by a scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// Only OS pages with one of these kinds.
    pub(crate) any_of: u64,
    /// The kinds that a run reports.
    pub(crate) returned: u64,
    /// Whether the found OS pages are watched again, in the same step.
    pub(crate) rearm: bool,
}

/// Bits of [`Run::kinds`].
pub(crate) mod kind {
    pub(crate) const WRITTEN: u64 = 1 << 1;
    pub(crate) const PRESENT: u64 = 1 << 3;
    pub(crate) const SWAPPED: u64 = 1 << 4;
    pub(crate) const ZERO: u64 = 1 << 5;
    pub(crate) const HUGE: u64 = 1 << 6;
}
