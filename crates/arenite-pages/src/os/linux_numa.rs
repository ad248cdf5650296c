//! Linux: NUMA nodes of memory, and processors of threads.
//!
//! A *range* is an address and a length in bytes, both multiples of the OS page; the length is
//! positive.
#![expect(unsafe_code, reason = "places and moves the pages of address ranges")]

use super::linux::check;
use super::{NodeSet, Placement};
use core::ptr::NonNull;
use rustix::io::Errno;

/// `MPOL_MF_MOVE`.
const MOVE: libc::c_int = 2;

fn mode(placement: Placement) -> libc::c_int {
    match placement {
        Placement::Local => libc::MPOL_LOCAL,
        Placement::Interleave => libc::MPOL_INTERLEAVE,
        Placement::Bind => libc::MPOL_BIND,
        Placement::Preferred => libc::MPOL_PREFERRED,
    }
}

/// Sets the nodes of the OS pages of a range; with `move_now`, moves those on other nodes.
///
/// # Safety
/// The range is the caller's own mapping.
pub(crate) unsafe fn mbind(
    start: NonNull<u8>,
    len: usize,
    placement: Placement,
    nodes: &NodeSet,
    move_now: bool,
) -> Result<(), Errno> {
    let (bits, count) = match placement {
        Placement::Local => (core::ptr::null(), 0),
        _ => (nodes.0.as_ptr(), super::MAX_NODES + 1),
    };
    let flags = if move_now { MOVE } else { 0 };
    // SAFETY: the kernel reads the bits; contents and access stay.
    check(unsafe { libc::syscall(libc::SYS_mbind, start.as_ptr(), len, mode(placement), bits, count, flags) })
        .map(drop)
}

/// Returns in `into` the node of each OS page, or a negative error number: `-ENOENT` for an absent
/// one.
pub(crate) fn page_nodes(pages: &[usize], into: &mut [i32]) -> Result<(), Errno> {
    debug_assert_eq!(pages.len(), into.len());
    let nodes: *const i32 = core::ptr::null();
    // SAFETY: the kernel reads the addresses, which it looks up itself, and writes as many results.
    check(unsafe {
        libc::syscall(libc::SYS_move_pages, 0, pages.len(), pages.as_ptr(), nodes, into.as_mut_ptr(), 0)
    })
    .map(drop)
}

/// Moves each OS page to a node; the results are those of [`page_nodes`].
pub(crate) fn move_pages(pages: &[usize], nodes: &[i32], into: &mut [i32]) -> Result<(), Errno> {
    debug_assert!(pages.len() == into.len() && pages.len() == nodes.len());
    let flags = MOVE;
    // SAFETY: the kernel reads the addresses, which it looks up itself, and the nodes, and writes
    // as many results. The contents of the OS pages stay.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0,
            pages.len(),
            pages.as_ptr(),
            nodes.as_ptr(),
            into.as_mut_ptr(),
            flags,
        )
    })
    .map(drop)
}

/// Returns the processor and the node that the calling thread runs on at this moment.
pub(crate) fn getcpu() -> Result<(u32, u32), Errno> {
    let (mut cpu, mut node) = (0_u32, 0_u32);
    let nothing: *mut u8 = core::ptr::null_mut();
    // SAFETY: the kernel writes the two numbers.
    check(unsafe { libc::syscall(libc::SYS_getcpu, &raw mut cpu, &raw mut node, nothing) })?;
    Ok((cpu, node))
}

/// Pins the calling thread to these processors.
pub(crate) fn pin_thread(cpus: &[usize]) -> Result<(), Errno> {
    let mut set = rustix::thread::CpuSet::new();
    cpus.iter().filter(|&&cpu| cpu < rustix::thread::CpuSet::MAX_CPU).for_each(|&cpu| set.set(cpu));
    rustix::thread::sched_setaffinity(None, &set)
}
