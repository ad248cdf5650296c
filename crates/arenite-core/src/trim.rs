//! The trait of pools and caches that can release memory.
//!
//! One method, so a monitor can trim a list of `dyn Trim`.

/// A resource that releases idle memory to its upstream on request.
///
/// ```
/// use arenite_core::Trim;
/// fn trim_all(caches: &[&dyn Trim]) -> usize {
///     caches.iter().map(|cache| cache.trim(0)).sum()
/// }
/// ```
pub trait Trim {
    /// Releases idle memory until at most `target_held` bytes are held, and returns the released
    /// bytes. Live blocks stay in place; zero releases everything that is idle.
    fn trim(&self, target_held: usize) -> usize;
}
