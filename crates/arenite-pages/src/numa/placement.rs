//! The nodes of memory as the kernel reports them, and migration to another node.
//!
//! A policy is only a preference; these calls (`move_pages`, `mbind`, `getcpu`) return the facts
//! for each OS page.
#![expect(unsafe_code, reason = "places and moves address ranges")]

use super::{NumaError, NumaPolicy};
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::machine::Numa;
use crate::machine::procfs::maps;
use crate::os::{self, NodeSet, Placement};
use crate::{Region, page_size};
use core::ops::{ControlFlow, Range};
use core::ptr::NonNull;
use rustix::io::Errno;

/// Number of OS pages per system call.
const BATCH: usize = 512;

/// Returns the number of NUMA nodes of this machine, at least 1. Reads a directory of the kernel.
///
/// ```
/// assert!(arenite_pages::numa_node_count() >= 1);
/// ```
#[must_use]
pub fn numa_node_count() -> usize {
    Numa::read().nodes.len()
}

/// Returns the node that the calling thread runs on at this moment; it may migrate at any time.
///
/// ```
/// let node = arenite_pages::current_numa_node();
/// assert!(arenite_pages::machine::numa_info().node(node).is_some());
/// ```
#[must_use]
pub fn current_numa_node() -> usize {
    os::getcpu().ok().and_then(|(_, node)| usize::try_from(node).ok()).unwrap_or(0)
}

/// Returns the node of the OS page at `address`, or `None` if it is not in memory (yet). One
/// system call.
///
/// ```
/// let number = Box::new(7_u64);
/// let node = arenite_pages::numa_node(std::ptr::from_ref(&*number).cast())?;
/// assert!(node.is_some());
/// # Ok::<(), arenite_pages::NumaError>(())
/// ```
///
/// # Errors
/// [`NumaError::Os`] if the kernel does not report it.
pub fn numa_node(address: *const u8) -> Result<Option<usize>, NumaError> {
    let mut node = [0];
    query_nodes(&[address.addr() & !(page_size() - 1)], &mut node)?;
    Ok(usize::try_from(node[0]).ok())
}

fn query_nodes(pages: &[usize], nodes_found: &mut [i32]) -> Result<(), NumaError> {
    match os::page_nodes(pages, nodes_found) {
        Err(Errno::NOSYS) if Numa::read().nodes.len() == 1 => {
            nodes_found.fill(0); // a kernel without NUMA has one node
            Ok(())
        }
        done => done.map_err(|errno| NumaError::Os {
            call: "query the nodes of memory",
            errno: errno.raw_os_error(),
        }),
    }
}

/// Bytes of a range on each node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumaDistribution {
    /// Nodes and the bytes on each, ascending by node; nodes without any are omitted.
    pub nodes: Vec<(usize, usize)>,
    /// Bytes not in memory: never accessed, or paged out.
    pub absent: usize,
}

impl NumaDistribution {
    /// Returns the bytes on a node.
    #[must_use]
    pub fn bytes_on_node(&self, node: usize) -> usize {
        self.nodes.iter().find(|(id, _)| *id == node).map_or(0, |(_, bytes)| *bytes)
    }
}

/// Returns the nodes of `[start, start + len)`, extended to OS pages. One system call per 512 OS
/// pages; accesses none.
///
/// ```
/// let numbers = vec![1_u8; 1 << 20];
/// let found = arenite_pages::numa_distribution(numbers.as_ptr(), numbers.len())?;
/// assert!(found.nodes.iter().map(|(_, bytes)| bytes).sum::<usize>() >= 1 << 20);
/// # Ok::<(), arenite_pages::NumaError>(())
/// ```
///
/// # Errors
/// [`NumaError::BadSize`] if the range overflows; [`NumaError::Os`] if the kernel does not report
/// it.
pub fn numa_distribution(start: *const u8, len: usize) -> Result<NumaDistribution, NumaError> {
    let mut found = NumaDistribution::default();
    let (first, end) = page_range(start, len)?;
    // unmapped memory is absent, and need not be queried
    let nodes = &mut found.nodes;
    let broken = maps::for_each_mapping(first..end, |part| {
        let queried = for_each_batch(part.range, |pages| {
            let mut nodes_found = [0; BATCH];
            let nodes_found = &mut nodes_found[..pages.len()];
            query_nodes(pages, nodes_found)?;
            for node in nodes_found.iter().filter_map(|&node| usize::try_from(node).ok()) {
                match nodes.iter_mut().find(|(id, _)| *id == node) {
                    Some((_, bytes)) => *bytes += page_size(),
                    None => nodes.push((node, page_size())),
                }
            }
            Ok(())
        });
        queried.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    });
    let broken = broken.map_err(|error| NumaError::Os {
        call: "read the mappings of this process",
        errno: error.raw_os_error().unwrap_or(0),
    })?;
    if let ControlFlow::Break(error) = broken {
        return Err(error);
    }
    found.absent = (end - first) - found.nodes.iter().map(|(_, bytes)| bytes).sum::<usize>();
    found.nodes.sort_unstable();
    Ok(found)
}

/// Returns the OS pages that cover `[start, start + len)`.
fn page_range(start: *const u8, len: usize) -> Result<(usize, usize), NumaError> {
    let end = start.addr().checked_add(len).and_then(|end| end.checked_next_multiple_of(page_size()));
    let end = end.ok_or(NumaError::BadSize { size: len })?;
    Ok((start.addr() & !(page_size() - 1), end))
}

/// Calls `visit` with batches of the OS pages of a range.
fn for_each_batch(
    range: Range<usize>,
    mut visit: impl FnMut(&[usize]) -> Result<(), NumaError>,
) -> Result<(), NumaError> {
    let mut at = range.start;
    while at < range.end {
        let pages: Vec<usize> = (at..range.end).step_by(page_size()).take(BATCH).collect();
        visit(&pages)?;
        at += pages.len() * page_size();
    }
    Ok(())
}

/// Moves the resident OS pages that cover `[start, start + len)` to `node`, and returns where all
/// of them lie afterwards. Contents and policy stay; a later fault follows the policy. Copies each
/// OS page that moves.
///
/// ```
/// let numbers = vec![1_u8; 1 << 20];
/// let node = arenite_pages::machine::numa_info().nodes[0].id;
/// let after = arenite_pages::migrate_range(numbers.as_ptr(), numbers.len(), node)?;
/// assert!(after.bytes_on_node(node) >= 1 << 20);
/// # Ok::<(), arenite_pages::NumaError>(())
/// ```
///
/// # Errors
/// [`NumaError::NoSuchNode`], [`NumaError::NoMemory`], or [`NumaError::Os`] if the kernel fails.
/// OS pages that cannot be moved (shared with another process, or the node is full) are no error:
/// they are counted on their node.
pub fn migrate_range(start: *const u8, len: usize, node: usize) -> Result<NumaDistribution, NumaError> {
    let numa = Numa::read();
    NumaPolicy::Bind(node).resolve(&numa)?;
    let number = i32::try_from(node).map_err(|_| NumaError::NoSuchNode { node, nodes: Vec::new() })?;
    if numa.nodes.len() > 1 {
        let (first, end) = page_range(start, len)?;
        for_each_batch(first..end, |pages| {
            let mut nodes_found = [0; BATCH];
            let targets = [number; BATCH];
            match os::move_pages(pages, &targets[..pages.len()], &mut nodes_found[..pages.len()]) {
                Ok(()) | Err(Errno::NOENT) => Ok(()), // none of these is in memory
                Err(errno) => Err(NumaError::Os { call: "move memory", errno: errno.raw_os_error() }),
            }
        })?;
    }
    numa_distribution(start, len)
}

/// Sets the policy of a part of a region (offsets, multiples of the OS page); with `move_now`,
/// moves OS pages on other nodes.
///
/// ```
/// use arenite_pages::{NumaPolicy, Region, bind_range, numa_distribution};
/// let region = Region::reserve(1 << 20, "near")?;
/// region.commit(0, 1 << 20)?;
/// bind_range(&region, 0..1 << 20, NumaPolicy::Interleave, false)?;
/// region.prefetch(0, 1 << 20)?;
/// println!("{:?}", numa_distribution(region.as_ptr().as_ptr(), region.len())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RegionError`] if the range is unaligned or outside, the policy names an invalid node, or the
/// system fails.
pub fn bind_range(
    region: &Region,
    range: Range<usize>,
    policy: NumaPolicy,
    move_now: bool,
) -> Result<(), RegionError> {
    let (at, size) = (range.start, range.end.saturating_sub(range.start));
    let start = region.range(RegionOp::SetPolicy, at, size)?;
    let placed = ResolvedPolicy::new(policy).and_then(|policy| policy.bind(start, size, move_now));
    placed.map_err(|error| {
        let cause = match error {
            NumaError::Os { errno, .. } => RegionErrorKind::Os { errno },
            _ => RegionErrorKind::Unsupported {
                what: "binding to a node that does not exist or has no memory",
            },
        };
        region.error(RegionOp::SetPolicy, at, size, cause)
    })
}

/// A policy in the kernel's terms: the machine's nodes were read once.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResolvedPolicy {
    placement: Placement,
    nodes: NodeSet,
    /// Whether the kernel reports no nodes: then a missing system call is no failure of the policy.
    synthesised: bool,
}

impl ResolvedPolicy {
    pub(super) fn new(policy: NumaPolicy) -> Result<Self, NumaError> {
        let numa = Numa::read();
        let (placement, nodes) = policy.resolve(&numa)?;
        Ok(Self { placement, nodes, synthesised: numa.synthesised })
    }

    /// Sets the policy of a range of the caller's own, a multiple of the OS page. One system call.
    pub(super) fn bind(&self, start: NonNull<u8>, size: usize, move_now: bool) -> Result<(), NumaError> {
        // SAFETY: every caller passes a range of its own: a part of a region, or a block just
        // allocated.
        match unsafe { os::mbind(start, size, self.placement, &self.nodes, move_now) } {
            Err(Errno::NOSYS) if self.synthesised => Ok(()), // a kernel without NUMA has one node
            done => done.map_err(|errno| NumaError::Os {
                call: "set the NUMA policy of memory",
                errno: errno.raw_os_error(),
            }),
        }
    }
}
