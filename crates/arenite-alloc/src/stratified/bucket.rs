//! The five sizes of a stratified pool: powers of four, from a control structure to a batch.
#![expect(unsafe_code, reason = "makes layouts of constant sizes")]

use core::alloc::Layout;
use core::fmt;

/// Alignment of every buffer, in bytes.
pub(super) const ALIGN: usize = 64;

/// One of five buffer sizes, each four times the one below.
///
/// ```
/// use arenite_alloc::SizeBucket;
/// let bucket = SizeBucket::for_size(2500);
/// assert_eq!((bucket, bucket.size()), (SizeBucket::Medium, 4096));
/// assert_eq!((bucket.upgrade(), bucket.downgrade()), (SizeBucket::Large, SizeBucket::Small));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SizeBucket {
    /// 256 bytes.
    Tiny,
    /// 1 KiB.
    Small,
    /// 4 KiB.
    Medium,
    /// 16 KiB.
    Large,
    /// 64 KiB.
    Huge,
}

impl SizeBucket {
    /// All buckets, from the smallest.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::Medium, Self::Large, Self::Huge];

    /// Returns the smallest bucket that `size` bytes fit in, or [`SizeBucket::Huge`] if they fit in
    /// none (see [`SizeBucket::fitting`]).
    #[inline]
    #[must_use]
    pub const fn for_size(size: usize) -> Self {
        match size {
            0..=256 => Self::Tiny,
            257..=1024 => Self::Small,
            1025..=4096 => Self::Medium,
            4097..=16_384 => Self::Large,
            _ => Self::Huge,
        }
    }

    /// Returns the smallest bucket that `size` bytes fit in, or `None` above 64 KiB.
    #[inline]
    #[must_use]
    pub const fn fitting(size: usize) -> Option<Self> {
        if size <= Self::Huge.size() { Some(Self::for_size(size)) } else { None }
    }

    /// Returns the size of the bucket's buffers, in bytes.
    #[inline]
    #[must_use]
    pub const fn size(self) -> usize {
        256 << (2 * self as usize)
    }

    /// Returns the next larger bucket; the largest returns itself.
    #[must_use]
    pub const fn upgrade(self) -> Self {
        if let Self::Huge = self { self } else { Self::ALL[self as usize + 1] }
    }

    /// Returns the next smaller bucket; the smallest returns itself.
    #[must_use]
    pub const fn downgrade(self) -> Self {
        if let Self::Tiny = self { self } else { Self::ALL[self as usize - 1] }
    }

    /// Returns the layout with which the upstream allocates the bucket's buffers.
    #[inline]
    pub(super) const fn layout(self) -> Layout {
        // SAFETY: a power of two, and a small size.
        unsafe { Layout::from_size_align_unchecked(self.size(), ALIGN) }
    }

    /// Returns the bucket that serves a layout.
    #[inline(always)]
    pub(super) const fn for_layout(layout: Layout) -> Option<Self> {
        if layout.align() <= ALIGN { Self::fitting(layout.size()) } else { None }
    }

    /// Returns the number of free buffers that a thread caches before half of them go to the depot.
    pub(super) const fn default_capacity(self) -> u32 {
        [256, 128, 64, 16, 8][self as usize]
    }
}

impl fmt::Display for SizeBucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", arenite_core::Bytes(self.size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_r15_each_size_has_the_smallest_bucket_that_holds_it() {
        assert_eq!(SizeBucket::ALL.map(SizeBucket::size), [256, 1024, 4096, 16_384, 65_536]);
        for size in 0..=65_536 {
            let bucket = SizeBucket::for_size(size);
            assert!(bucket.size() >= size && SizeBucket::fitting(size) == Some(bucket));
            assert!(bucket == SizeBucket::Tiny || bucket.downgrade().size() < size);
        }
        assert_eq!(SizeBucket::fitting(65_537), None);
        for bucket in SizeBucket::ALL {
            assert!(bucket.upgrade() >= bucket && bucket.downgrade() <= bucket);
        }
        assert_eq!(SizeBucket::Huge.upgrade(), SizeBucket::Huge);
        assert_eq!(SizeBucket::Tiny.downgrade(), SizeBucket::Tiny);
    }
}
