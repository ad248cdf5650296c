//! Memory that moves between two addresses: arenite's `remap`, the kernel's `mremap`, and a copy.
//!
//! All OS pages are present before the first move, and none faults again. The copy alternates
//! between two present ranges, which is the best case for a copy.
#![expect(unsafe_code, reason = "moves memory")]

use crate::failure::AllocFailed;
use crate::mappings::{Committed, Mapping, Writable};
use crate::tally;
use arenite_pages::Region;
use rustix::mm::{MremapFlags, mremap_fixed};
use std::hint::black_box;

/// Memory that can move to its other address and back.
pub(crate) trait MovePages {
    fn move_pages(&mut self) -> Result<(), AllocFailed>;
}

/// Two regions; `source` has the memory.
#[derive(Debug)]
pub(crate) struct Regions {
    source: Committed,
    target: Committed,
}

impl Regions {
    /// Maps `len` bytes and touches each OS page.
    pub(crate) fn new(len: usize, huge: bool) -> Result<Self, AllocFailed> {
        let (source, target) = (Committed::new(len, huge)?, Committed::new(len, huge)?);
        source.touch();
        Ok(Self { source, target })
    }
}

impl MovePages for Regions {
    fn move_pages(&mut self) -> Result<(), AllocFailed> {
        let (from, to): (&Region, &Region) = (self.source.region(), self.target.region());
        // SAFETY: 1. both regions are this value's own, and nothing else has their addresses. 2.
        // `&mut self` excludes other uses.
        unsafe { from.remap(0, from.len(), to, 0) }.map_err(|_| AllocFailed)?;
        std::mem::swap(&mut self.source, &mut self.target);
        count_move(&self.source);
        Ok(())
    }
}

/// Two mappings; `source` has the memory.
#[derive(Debug)]
pub(crate) struct Mappings {
    source: Mapping,
    target: Mapping,
}

impl Mappings {
    fn new(len: usize) -> Result<Self, AllocFailed> {
        let (source, target) = (Mapping::new(len, true)?, Mapping::new(len, true)?);
        source.touch();
        Ok(Self { source, target })
    }
}

/// A move by a copy.
#[derive(Debug)]
pub(crate) struct Copying(Mappings);

impl Copying {
    /// Maps `len` bytes and touches each OS page.
    pub(crate) fn new(len: usize) -> Result<Self, AllocFailed> {
        Mappings::new(len).map(Self)
    }
}

impl MovePages for Copying {
    fn move_pages(&mut self) -> Result<(), AllocFailed> {
        let Mappings { source, target } = &mut self.0;
        let (from, to) = (black_box(source.start().as_ptr()), black_box(target.start().as_ptr()));
        // SAFETY: 1. and 2. both mappings have this length, are readable and writable, and are this
        // value's own. 3. bytes need no alignment. 4. two mappings do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, to, source.len()) };
        std::mem::swap(source, target);
        count_move(source);
        Ok(())
    }
}

/// A move by the kernel's call; the source stays mapped, as arenite's does.
#[derive(Debug)]
pub(crate) struct Remapping(Mappings);

impl Remapping {
    /// Maps `len` bytes and touches each OS page.
    pub(crate) fn new(len: usize) -> Result<Self, AllocFailed> {
        Mappings::new(len).map(Self)
    }
}

impl MovePages for Remapping {
    fn move_pages(&mut self) -> Result<(), AllocFailed> {
        let Mappings { source, target } = &mut self.0;
        let (from, to) = (source.start().as_ptr(), target.start().as_ptr());
        let flags = MremapFlags::MAYMOVE | MremapFlags::DONTUNMAP;
        // SAFETY: both mappings are this value's own and have this length; the discarded contents
        // of the second are not used.
        unsafe { mremap_fixed(from.cast(), source.len(), source.len(), flags, to.cast()) }
            .map_err(|_| AllocFailed)?;
        std::mem::swap(source, target);
        count_move(source);
        Ok(())
    }
}

/// Reads the first byte at the new address and counts the move.
fn count_move(source: &impl Writable) {
    tally::allocated(source.len());
    // SAFETY: `Writable` promises bytes that are mapped for reading and writing and have no other
    // user.
    tally::read(u64::from(unsafe { source.start().read_volatile() }));
}
