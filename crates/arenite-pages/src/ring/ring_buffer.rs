//! The constructor of a ring inside one process.

use super::double_mapping::DoubleMapping;
use super::shared::{Shared, rounded};
use super::{Consumer, Producer, RingError, cache};
use crate::os;

/// A ring in one process: [`Producer`] and [`Consumer`] of at least `capacity` elements, each of which may go to a thread
/// of its own. Elements that are left when both ends are gone are dropped.
///
/// The capacity is rounded up to a power of two that fills whole OS pages. Costs two system calls to make and one to drop, and a
/// page fault per OS page first touched; or none where a ring of that size was dropped before: a few small ones are kept
/// ([`RingCache`](super::RingCache)), with what was written there. In a child of `fork` a ring of the parent is no ring of its own:
/// what either writes there the other sees.
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
/// [`RingError::BadCapacity`] for no elements, elements of no size, or too many; [`RingError::Os`] where there is no memory.
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
