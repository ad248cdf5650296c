//! Adapters for OS pages: arenite's `Region` and the kernel's own calls.
//!
//! Both reach the kernel through `rustix`; only the calls differ.
#![expect(unsafe_code, reason = "maps memory and writes to it")]

use crate::failure::AllocFailed;
use crate::tally;
use arenite_pages::Region;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::hint::black_box;
use std::ptr::{NonNull, null_mut};

/// Size of the pieces that are touched one by one.
pub(crate) const PAGE: usize = 4096;

/// Address space without access.
pub(crate) trait Reserve: Sized {
    /// Reserves `len` bytes.
    fn reserve(len: usize) -> Result<Self, AllocFailed>;

    /// Makes `len` bytes from `at` on readable and writable.
    fn commit(&self, at: usize, len: usize) -> Result<(), AllocFailed>;
}

/// Memory that is readable and writable.
///
/// # Safety
/// `len` bytes from `start` on are mapped for reading and writing, and have no other user, while
/// the value lives.
pub(crate) unsafe trait Writable {
    fn start(&self) -> NonNull<u8>;
    fn len(&self) -> usize;

    /// Writes one byte in every 4 KiB.
    #[inline(always)]
    fn touch(&self) {
        let start = black_box(self.start());
        for at in (0..self.len()).step_by(PAGE) {
            tally::wrote();
            // SAFETY: `at` is below the length, and the trait promises that the bytes are one
            // mapping.
            let byte = unsafe { start.add(at) };
            // SAFETY: the trait promises a byte that is valid for writes and has no other user.
            unsafe { byte.write(1) };
        }
        black_box(start);
    }
}

impl Reserve for Region {
    #[inline(always)]
    fn reserve(len: usize) -> Result<Self, AllocFailed> {
        tally::allocated(len);
        Region::reserve(len, "rivals").map_err(|_| AllocFailed)
    }

    #[inline(always)]
    fn commit(&self, at: usize, len: usize) -> Result<(), AllocFailed> {
        tally::wrote();
        Region::commit(self, at, len).map_err(|_| AllocFailed)
    }
}

/// A fully committed region.
#[derive(Debug)]
pub(crate) struct Committed(Region);

impl Committed {
    /// Reserves and commits `len` bytes, on huge pages if `huge` is set and the kernel supports
    /// them.
    pub(crate) fn new(len: usize, huge: bool) -> Result<Self, AllocFailed> {
        let region = <Region as Reserve>::reserve(len)?;
        // A kernel without huge pages rejects the advice and uses small ones.
        let _advised: Result<(), _> = region.advise_huge(0, len, huge);
        region.commit(0, len).map_err(|_| AllocFailed)?;
        Ok(Self(region))
    }

    pub(crate) fn region(&self) -> &Region {
        &self.0
    }
}

// SAFETY: `new` committed the whole region, and nothing else has its address.
unsafe impl Writable for Committed {
    fn start(&self) -> NonNull<u8> {
        self.0.as_ptr()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// An anonymous private mapping, as the kernel returns it, without access.
#[derive(Debug)]
pub(crate) struct Reservation {
    start: NonNull<u8>,
    len: usize,
}

impl Reservation {
    #[inline(always)]
    fn map(len: usize, access: ProtFlags, flags: MapFlags) -> Result<Self, AllocFailed> {
        tally::allocated(len);
        // SAFETY: the kernel chooses the address, so no mapping is replaced.
        let start = unsafe { mmap_anonymous(null_mut(), len, access, MapFlags::PRIVATE | flags) };
        let start = start.ok().and_then(|start| NonNull::new(start.cast()));
        start.map(|start| Self { start, len }).ok_or(AllocFailed)
    }
}

impl Reserve for Reservation {
    #[inline(always)]
    fn reserve(len: usize) -> Result<Self, AllocFailed> {
        Self::map(len, ProtFlags::empty(), MapFlags::NORESERVE)
    }

    #[inline(always)]
    fn commit(&self, at: usize, len: usize) -> Result<(), AllocFailed> {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "outside the mapping");
        tally::wrote();
        let start = self.start.as_ptr().wrapping_add(at).cast();
        // SAFETY: the range is inside this mapping, as just checked, and more access invalidates
        // nothing.
        unsafe { mprotect(start, len, MprotectFlags::READ | MprotectFlags::WRITE) }.map_err(|_| AllocFailed)
    }
}

impl Drop for Reservation {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: this value's own mapping, all of it; the value ends here.
        let released = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        assert!(released.is_ok(), "releasing a complete mapping cannot fail");
    }
}

/// An anonymous private mapping, as the kernel returns it, readable and writable.
#[derive(Debug)]
pub(crate) struct Mapping(Reservation);

impl Mapping {
    /// Maps `len` bytes; with `populate` the kernel allocates the OS pages within the call,
    /// otherwise on first touch.
    pub(crate) fn new(len: usize, populate: bool) -> Result<Self, AllocFailed> {
        let flags = if populate { MapFlags::POPULATE } else { MapFlags::empty() };
        Reservation::map(len, ProtFlags::READ | ProtFlags::WRITE, flags).map(Self)
    }
}

// SAFETY: `new` maps all bytes for reading and writing, and nothing else has its address.
unsafe impl Writable for Mapping {
    fn start(&self) -> NonNull<u8> {
        self.0.start
    }

    fn len(&self) -> usize {
        self.0.len
    }
}
