//! Header of a mapped array's file, in two copies.
//!
//! The copies lie an OS page apart. A change is written to the copy that is not current, with a
//! higher generation. Whenever a writer dies, one copy is valid, and describes the file before or
//! after the change.

use super::FileError;
use super::mapped_file::length;
use crate::scalar::ScalarType;
use bytemuck::{Pod, Zeroable};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use twox_hash::XxHash3_64;

const MAGIC: [u8; 8] = *b"arenarr1";
const VERSION: u32 = 1;
/// Maximum number of dimensions of an array in a file.
pub(crate) const MAX_DIMENSIONS: usize = 8;
/// Maximum generation: more changes than any file sees.
const MAX_SEQUENCE: u64 = 1 << 62;
/// Offsets of the two headers, and of the elements.
const COPIES: [u64; 2] = [0, 4096];
pub(crate) const DATA_OFFSET: usize = 8192;

/// The bytes of a header, in the machine's order (only little-endian machines are supported).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Header {
    magic: [u8; 8],
    version: u32,
    /// Index of the type in [`ScalarType::ALL`].
    pub(crate) scalar: u32,
    pub(crate) dimensions: u32,
    /// 0: row-major, 1: column-major.
    pub(crate) order: u32,
    pub(crate) generation: u64,
    pub(crate) shape: [u64; MAX_DIMENSIONS],
    /// Bytes of the elements.
    pub(crate) bytes: u64,
    /// XXH3 of the preceding fields.
    checksum: u64,
}

impl Header {
    pub(crate) fn new(scalar: ScalarType, shape: &[usize], order: u32) -> Result<Self, FileError> {
        let bad = || FileError::BadShape { shape: shape.to_vec() };
        if shape.is_empty() || shape.len() > MAX_DIMENSIONS || shape.contains(&0) {
            return Err(bad());
        }
        let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
        let bytes = count
            .and_then(|count| count.checked_mul(scalar.size()))
            .filter(|&bytes| bytes <= isize::MAX.unsigned_abs() / 2);
        let bytes = bytes.ok_or_else(bad)? as u64;
        let mut sides = [0; MAX_DIMENSIONS];
        sides.iter_mut().zip(shape).for_each(|(to, &from)| *to = from as u64);
        let number = ScalarType::ALL.iter().position(|known| *known == scalar).unwrap_or(usize::MAX);
        let (scalar, dimensions) =
            (u32::try_from(number).unwrap_or(u32::MAX), u32::try_from(shape.len()).unwrap_or(0));
        let header = Self {
            magic: MAGIC,
            version: VERSION,
            scalar,
            dimensions,
            order,
            generation: 1,
            shape: sides,
            bytes,
            checksum: 0,
        };
        Ok(header.with_checksum())
    }

    fn with_checksum(mut self) -> Self {
        self.checksum = self.compute_checksum();
        self
    }

    fn compute_checksum(&self) -> u64 {
        let bytes = bytemuck::bytes_of(self);
        XxHash3_64::oneshot(&bytes[..bytes.len() - size_of::<u64>()])
    }

    /// Returns `next` as the header that supersedes this one.
    pub(crate) fn supersede_with(&self, next: Self) -> Self {
        Self { generation: self.generation + 1, ..next }.with_checksum()
    }

    /// Returns the bytes of the file.
    pub(crate) fn file_len(&self) -> u64 {
        DATA_OFFSET as u64 + self.bytes
    }

    pub(crate) fn scalar_type(&self) -> Option<ScalarType> {
        ScalarType::ALL.get(usize::try_from(self.scalar).ok()?).copied()
    }

    pub(crate) fn sides(&self) -> Vec<usize> {
        let count = usize::try_from(self.dimensions).unwrap_or(0).min(MAX_DIMENSIONS);
        self.shape[..count].iter().map(|&side| usize::try_from(side).unwrap_or(usize::MAX)).collect()
    }

    /// Writes the header to the copy of its generation, and waits for the device.
    pub(crate) fn write(&self, file: &File) -> std::io::Result<()> {
        let offset = COPIES[usize::from(self.generation.is_multiple_of(2))];
        file.write_all_at(bytemuck::bytes_of(self), offset)?;
        file.sync_data()
    }

    /// Reads the current header by calls that cannot fault, and checks it against its checksum and
    /// the file's length.
    pub(crate) fn read(file: &File, path: &Path) -> Result<Self, FileError> {
        let not = |what| FileError::NotAnArray { path: path.to_path_buf(), what };
        let found = COPIES.map(|offset| {
            let mut header = Self::zeroed();
            let read = file.read_exact_at(bytemuck::bytes_of_mut(&mut header), offset);
            read.is_ok().then_some(header)
        });
        let is_valid = |&(copy, header): &(usize, &Self)| {
            let in_own_copy = header.generation.is_multiple_of(2) == (copy == 1);
            header.magic == MAGIC
                && header.checksum == header.compute_checksum()
                && in_own_copy
                && header.generation < MAX_SEQUENCE
        };
        let all = found.iter().enumerate().filter_map(|(copy, header)| Some((copy, header.as_ref()?)));
        let newest = all.filter(is_valid).map(|(_, header)| header).max_by_key(|header| header.generation);
        let Some(header) = newest else {
            let begins = found.iter().flatten().any(|header| header.magic == MAGIC);
            return Err(not(if begins {
                "not a mapped array: its header is damaged"
            } else {
                "not a mapped array: the magic number is missing"
            }));
        };
        if header.version != VERSION {
            return Err(not("not a mapped array: its version is not supported"));
        }
        let scalar =
            header.scalar_type().ok_or_else(|| not("not a mapped array: its scalar type is unknown"))?;
        let again = Self::new(scalar, &header.sides(), header.order).ok().filter(|_| header.order <= 1);
        if again.is_none_or(|again| (again.bytes, again.shape) != (header.bytes, header.shape)) {
            return Err(not("not a mapped array: its shape is damaged"));
        }
        let (expected, len) = (header.file_len(), length(file, path)?);
        if len < expected {
            return Err(FileError::Truncated { path: path.to_path_buf(), expected, found: len });
        }
        Ok(*header)
    }
}
