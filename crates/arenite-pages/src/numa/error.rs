//! Errors of NUMA calls. They list the existing nodes, because a wrong node number is the most
//! frequent mistake.

use thiserror::Error;

/// A failed NUMA call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NumaError {
    /// The machine has no such node.
    #[error("this machine has no node {node}; it has {nodes:?}")]
    NoSuchNode {
        /// Requested node.
        node: usize,
        /// Existing nodes.
        nodes: Vec<usize>,
    },
    /// The node has only processors.
    #[error("node {node} has no memory; nodes with memory: {nodes:?}")]
    NoMemory {
        /// Requested node.
        node: usize,
        /// Nodes with memory.
        nodes: Vec<usize>,
    },
    /// The size is zero or overflows.
    #[error("invalid size of {size} bytes; use 1 byte to isize::MAX")]
    BadSize {
        /// Requested size.
        size: usize,
    },
    /// The range does not start and end on OS pages.
    #[error("the range of {size} bytes at {address:#x} must start and end on OS pages")]
    Unaligned {
        /// Its first address.
        address: usize,
        /// Its size in bytes.
        size: usize,
    },
    /// The operating system failed a call.
    #[error("cannot {call} (errno {errno})")]
    Os {
        /// The call.
        call: &'static str,
        /// The error number.
        errno: i32,
    },
}
