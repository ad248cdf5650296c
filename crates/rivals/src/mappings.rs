//! The lenders of OS pages: arenite's `Region` and the kernel's own calls.
//!
//! Rests on `arenite-pages` for the one and on `rustix` for the other, which arenite rests on too: the calls differ, the way
//! into the kernel does not.
#![expect(unsafe_code, reason = "maps memory and writes to it")]

use crate::failure::Refused;
use crate::tally;
use arenite_pages::Region;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::hint::black_box;
use std::ptr::{NonNull, null_mut};

/// What is touched one by one.
pub(crate) const PAGE: usize = 4096;

/// Address space of which nothing may be touched yet.
pub(crate) trait Reserve: Sized {
    /// `len` bytes of it.
    fn reserve(len: usize) -> Result<Self, Refused>;

    /// Makes `len` bytes from `at` on readable and writable.
    fn commit(&self, at: usize, len: usize) -> Result<(), Refused>;
}

/// Memory of which every byte may be touched.
///
/// # Safety
/// `len` bytes from `start` on are mapped for reading and writing, and nobody else's, for as long as the value lives.
pub(crate) unsafe trait Fresh {
    fn start(&self) -> NonNull<u8>;
    fn len(&self) -> usize;

    /// Writes one byte in every 4 KiB.
    #[inline(always)]
    fn touch(&self) {
        let start = black_box(self.start());
        for at in (0..self.len()).step_by(PAGE) {
            tally::wrote();
            // SAFETY: `at` is below the length, and the trait promises that the bytes are one mapping.
            let byte = unsafe { start.add(at) };
            // SAFETY: the trait promises a byte that is valid for writes and nobody else's.
            unsafe { byte.write(1) };
        }
        black_box(start);
    }
}

impl Reserve for Region {
    #[inline(always)]
    fn reserve(len: usize) -> Result<Self, Refused> {
        tally::lent(len);
        Region::reserve(len, "rivals").map_err(|_| Refused)
    }

    #[inline(always)]
    fn commit(&self, at: usize, len: usize) -> Result<(), Refused> {
        tally::wrote();
        Region::commit(self, at, len).map_err(|_| Refused)
    }
}

/// A region that is committed whole.
#[derive(Debug)]
pub(crate) struct Committed(Region);

impl Committed {
    /// `len` bytes, on huge pages where the kernel has them and `huge` says so.
    pub(crate) fn new(len: usize, huge: bool) -> Result<Self, Refused> {
        let region = <Region as Reserve>::reserve(len)?;
        // a kernel without huge pages refuses the advice, and gives small ones
        let _advised: Result<(), _> = region.advise_huge(0, len, huge);
        region.commit(0, len).map_err(|_| Refused)?;
        Ok(Self(region))
    }

    pub(crate) fn region(&self) -> &Region {
        &self.0
    }
}

// SAFETY: `new` committed the whole region, and nobody else has its address.
unsafe impl Fresh for Committed {
    fn start(&self) -> NonNull<u8> {
        self.0.as_ptr()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// A mapping as the kernel gives it, anonymous and private, of which nothing may be touched yet.
#[derive(Debug)]
pub(crate) struct Reservation {
    start: NonNull<u8>,
    len: usize,
}

impl Reservation {
    #[inline(always)]
    fn map(len: usize, access: ProtFlags, flags: MapFlags) -> Result<Self, Refused> {
        tally::lent(len);
        // SAFETY: the kernel chooses the place, so no mapping is replaced.
        let start = unsafe { mmap_anonymous(null_mut(), len, access, MapFlags::PRIVATE | flags) };
        let start = start.ok().and_then(|start| NonNull::new(start.cast()));
        start.map(|start| Self { start, len }).ok_or(Refused)
    }
}

impl Reserve for Reservation {
    #[inline(always)]
    fn reserve(len: usize) -> Result<Self, Refused> {
        Self::map(len, ProtFlags::empty(), MapFlags::NORESERVE)
    }

    #[inline(always)]
    fn commit(&self, at: usize, len: usize) -> Result<(), Refused> {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "outside the mapping");
        tally::wrote();
        let start = self.start.as_ptr().wrapping_add(at).cast();
        // SAFETY: the range lies in this mapping, just checked, and more access invalidates nothing.
        unsafe { mprotect(start, len, MprotectFlags::READ | MprotectFlags::WRITE) }.map_err(|_| Refused)
    }
}

impl Drop for Reservation {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: this value's own mapping, whole, and the value goes.
        let released = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        assert!(released.is_ok(), "a whole mapping can be released");
    }
}

/// A mapping as the kernel gives it, anonymous and private, of which every byte may be touched.
#[derive(Debug)]
pub(crate) struct Mapping(Reservation);

impl Mapping {
    /// `len` bytes; with `populate` the kernel finds them within the call, without it when they are touched.
    pub(crate) fn new(len: usize, populate: bool) -> Result<Self, Refused> {
        let flags = if populate { MapFlags::POPULATE } else { MapFlags::empty() };
        Reservation::map(len, ProtFlags::READ | ProtFlags::WRITE, flags).map(Self)
    }
}

// SAFETY: `new` maps the whole for reading and writing, and nobody else has its address.
unsafe impl Fresh for Mapping {
    fn start(&self) -> NonNull<u8> {
        self.0.start
    }

    fn len(&self) -> usize {
        self.0.len
    }
}
