//! What a NUMA call refuses.
//!
//! Rests on nothing. It names the nodes there are, because a node's number is most often the mistake.

use thiserror::Error;

/// A NUMA call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NumaError {
    /// The machine has no such node.
    #[error("this machine has no node {node}; it has {nodes:?}")]
    NoSuchNode {
        /// The node asked for.
        node: usize,
        /// The nodes there are.
        nodes: Vec<usize>,
    },
    /// The node has processors alone.
    #[error("node {node} has no memory; nodes with memory: {nodes:?}")]
    NoMemory {
        /// The node asked for.
        node: usize,
        /// The nodes with memory.
        nodes: Vec<usize>,
    },
    /// The size is zero or overflows.
    #[error("invalid size of {size} bytes; use 1 byte to isize::MAX")]
    BadSize {
        /// The size asked.
        size: usize,
    },
    /// The range does not consist of whole OS pages.
    #[error("the range of {size} bytes at {address:#x} must start and end on OS pages")]
    Unaligned {
        /// Its first address.
        address: usize,
        /// Its size in bytes.
        size: usize,
    },
    /// The operating system refused.
    #[error("cannot {call} (errno {errno})")]
    Os {
        /// What was tried.
        call: &'static str,
        /// The error number.
        errno: i32,
    },
}
