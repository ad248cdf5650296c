//! Byte rings by id.
//!
//! Both ends are in one table under one lock: for scripts. Threads use the ends themselves.

use super::MemoryError;
use crate::{Consumer, Producer};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A ring by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ring {
    /// The id.
    pub ring_id: u64,
    /// Capacity in bytes.
    pub capacity: usize,
}

#[derive(Debug, Default)]
struct Rings {
    next: u64,
    all: BTreeMap<u64, (Producer<u8>, Consumer<u8>)>,
}

static RINGS: Mutex<Rings> = Mutex::new(Rings { next: 1, all: BTreeMap::new() });

fn rings() -> MutexGuard<'static, Rings> {
    RINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a ring of at least `size` bytes: two adjacent views of one memory.
///
/// ```
/// use arenite_pages::memory;
/// let ring = memory::ring_buffer(65_536)?;
/// assert_eq!(memory::ring_write(ring.ring_id, b"around")?, 6);
/// assert_eq!(memory::ring_read(ring.ring_id, 100)?, b"around");
/// memory::ring_buffer_free(ring.ring_id)?;
/// # Ok::<(), memory::MemoryError>(())
/// ```
///
/// # Errors
/// [`MemoryError::Ring`] if the size is invalid, or there is no memory.
pub fn ring_buffer(size: usize) -> Result<Ring, MemoryError> {
    let ends = crate::ring_buffer::<u8>(size)?;
    let capacity = ends.0.capacity();
    let mut rings = rings();
    let ring_id = rings.next;
    rings.next += 1;
    rings.all.insert(ring_id, ends);
    Ok(Ring { ring_id, capacity })
}

/// Frees a ring and the bytes left in it.
///
/// # Errors
/// [`MemoryError::NoRing`].
pub fn ring_buffer_free(id: u64) -> Result<(), MemoryError> {
    let removed = rings().all.remove(&id);
    removed.map(drop).ok_or(MemoryError::NoRing { id })
}

/// Writes as many of `bytes` as there are free slots, and returns the number.
///
/// # Errors
/// [`MemoryError::NoRing`].
pub fn ring_write(id: u64, bytes: &[u8]) -> Result<usize, MemoryError> {
    let mut rings = rings();
    let (producer, _) = rings.all.get_mut(&id).ok_or(MemoryError::NoRing { id })?;
    Ok(producer.push_slice(bytes))
}

/// Reads at most `max_len` bytes.
///
/// # Errors
/// [`MemoryError::NoRing`].
pub fn ring_read(id: u64, max_len: usize) -> Result<Vec<u8>, MemoryError> {
    let mut rings = rings();
    let (_, consumer) = rings.all.get_mut(&id).ok_or(MemoryError::NoRing { id })?;
    let bytes = consumer.peek();
    let bytes = bytes[..bytes.len().min(max_len)].to_vec();
    consumer.release(bytes.len());
    Ok(bytes)
}
