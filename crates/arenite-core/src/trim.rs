//! Trim: what every pool and cache can do for the rest of the program.
//!
//! Rests on nothing. One method, so that a monitor can hold a list of `dyn Trim` and shrink whatever is idle.

/// Gives memory back upstream on demand.
///
/// ```
/// use arenite_core::Trim;
/// fn give_back_all(caches: &[&dyn Trim]) -> usize {
///     caches.iter().map(|cache| cache.trim(0)).sum()
/// }
/// ```
pub trait Trim {
    /// Gives back what is held and not in use until at most `target_held` bytes are held, and returns how many bytes
    /// went back. Blocks that are lent stay where they are; zero means "all that can go".
    fn trim(&self, target_held: usize) -> usize;
}
