//! Memory that moves between two places: arenite's `remap`, the kernel's `mremap`, and a copy.
//!
//! Rests on the mappings of [`mappings`](crate::mappings). All OS pages are there before the first move, and none is found again by a
//! fault: a copy goes to and fro between two places that both have their pages, which is the best that a copy can do.
#![expect(unsafe_code, reason = "moves memory")]

use crate::failure::Refused;
use crate::mappings::{Committed, Fresh, Mapping};
use crate::tally;
use arenite_pages::Region;
use rustix::mm::{MremapFlags, mremap_fixed};
use std::hint::black_box;

/// Memory that can be moved to its other place, and back.
pub(crate) trait Move {
    fn shift(&mut self) -> Result<(), Refused>;
}

/// Two regions, of which `here` has the memory.
#[derive(Debug)]
pub(crate) struct Regions {
    here: Committed,
    there: Committed,
}

impl Regions {
    /// `len` bytes, each OS page touched.
    pub(crate) fn new(len: usize, huge: bool) -> Result<Self, Refused> {
        let (here, there) = (Committed::new(len, huge)?, Committed::new(len, huge)?);
        here.touch();
        Ok(Self { here, there })
    }
}

impl Move for Regions {
    fn shift(&mut self) -> Result<(), Refused> {
        let (from, to): (&Region, &Region) = (self.here.region(), self.there.region());
        // SAFETY: 1. both regions are this value's own, and nobody has their addresses. 2. `&mut self`.
        unsafe { from.remap(0, from.len(), to, 0) }.map_err(|_| Refused)?;
        std::mem::swap(&mut self.here, &mut self.there);
        moved(&self.here);
        Ok(())
    }
}

/// Two mappings, of which `here` has the memory.
#[derive(Debug)]
pub(crate) struct Mappings {
    here: Mapping,
    there: Mapping,
}

impl Mappings {
    fn new(len: usize) -> Result<Self, Refused> {
        let (here, there) = (Mapping::new(len, true)?, Mapping::new(len, true)?);
        here.touch();
        Ok(Self { here, there })
    }
}

/// Moves by a copy.
#[derive(Debug)]
pub(crate) struct Copying(Mappings);

impl Copying {
    /// `len` bytes, each OS page touched.
    pub(crate) fn new(len: usize) -> Result<Self, Refused> {
        Mappings::new(len).map(Self)
    }
}

impl Move for Copying {
    fn shift(&mut self) -> Result<(), Refused> {
        let Mappings { here, there } = &mut self.0;
        let (from, to) = (black_box(here.start().as_ptr()), black_box(there.start().as_ptr()));
        // SAFETY: 1. and 2. both mappings are of this length, for reading and writing, and this value's own. 3. no alignment
        // is asked of bytes. 4. two mappings do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, to, here.len()) };
        std::mem::swap(here, there);
        moved(here);
        Ok(())
    }
}

/// Moves by the kernel's call; the source stays mapped, as that of arenite does.
#[derive(Debug)]
pub(crate) struct Remapping(Mappings);

impl Remapping {
    /// `len` bytes, each OS page touched.
    pub(crate) fn new(len: usize) -> Result<Self, Refused> {
        Mappings::new(len).map(Self)
    }
}

impl Move for Remapping {
    fn shift(&mut self) -> Result<(), Refused> {
        let Mappings { here, there } = &mut self.0;
        let (from, to) = (here.start().as_ptr(), there.start().as_ptr());
        let flags = MremapFlags::MAYMOVE | MremapFlags::DONTUNMAP;
        // SAFETY: both mappings are this value's own, of this length; nobody uses the contents of the second, which go.
        unsafe { mremap_fixed(from.cast(), here.len(), here.len(), flags, to.cast()) }
            .map_err(|_| Refused)?;
        std::mem::swap(here, there);
        moved(here);
        Ok(())
    }
}

/// Reads the first byte at the new place and counts the move.
fn moved(here: &impl Fresh) {
    tally::lent(here.len());
    // SAFETY: `Fresh` promises bytes that are mapped for reading and writing, and nobody else's.
    tally::read(u64::from(unsafe { here.start().read_volatile() }));
}
