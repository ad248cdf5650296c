//! The constructor of a ring inside one process.

use super::double_mapping::DoubleMapping;
use super::shared::{Shared, rounded};
use super::{Consumer, Producer, RingError, cache};
use crate::os;

/// Makes a ring in one process: [`Producer`] and [`Consumer`] of at least `capacity` elements,
/// each of which may move to a thread of its own. Elements left in the ring when both ends are
/// dropped are dropped too.
///
/// The capacity is rounded up to a power of two that fills OS pages. A ring costs two system calls
/// to make, one to drop, and a page fault per OS page. A cached ring of the same size
/// ([`RingCache`](super::RingCache)) costs none, and contains the old bytes.
///
/// After a `fork`, parent and child share the memory of an existing ring: each sees the other's
/// writes.
///
/// ```
/// let (mut producer, mut consumer) = arenite_pages::ring_buffer::<u8>(65_536)?;
/// assert!(producer.push_all(b"seen "));
/// assert!(producer.push_all(b"at once"));
/// assert_eq!(consumer.peek(), b"seen at once"); // one slice, even across the end
/// consumer.release(5);
/// assert_eq!(consumer.peek(), b"at once");
/// # Ok::<(), arenite_pages::RingError>(())
/// ```
///
/// # Errors
/// [`RingError::BadCapacity`] for no elements, elements of size 0, or too many; [`RingError::Os`]
/// if there is no memory.
pub fn ring_buffer<T>(capacity: usize) -> Result<(Producer<T>, Consumer<T>), RingError> {
    let count = rounded::<T>(capacity)?;
    let bytes = count * size_of::<T>();
    let fresh = || {
        let error =
            |errno: rustix::io::Errno| RingError::Os { call: "map memory", bytes, source: errno.into() };
        DoubleMapping::anonymous(bytes).map_err(error)
    };
    let memory = cache::pop(bytes).map_or_else(fresh, Ok)?;
    static BARRIER: std::sync::Once = std::sync::Once::new();
    BARRIER.call_once(|| _ = os::register_membarrier(false));
    let (producer, consumer) = Shared::own(memory, count).split();
    Ok((Producer::new(producer), Consumer::new(consumer)))
}
