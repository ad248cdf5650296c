//! A reaction for each level of memory pressure.

use arenite_core::{PressureLevel, Resource, Trim};
use arenite_pages::machine::PressureReading;
use core::fmt;
use std::sync::{Mutex, PoisonError};

/// A reaction to memory pressure.
#[derive(Default)]
pub enum PressureReaction {
    /// No reaction.
    #[default]
    None,
    /// A trim of the pool to a fraction of its limit, or of the bytes it holds if it has no limit.
    /// Live blocks stay.
    Shrink {
        /// The fraction, from 0 to 1.
        target_utilization: f64,
    },
    /// A function that is called with the level.
    Callback(Box<dyn Fn(PressureLevel) + Send + Sync>),
}

impl fmt::Debug for PressureReaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("None"),
            Self::Shrink { target_utilization } => write!(out, "Shrink({target_utilization})"),
            Self::Callback(_) => out.write_str("Callback"),
        }
    }
}

/// The source of the readings.
type Source = Box<dyn Fn() -> PressureReading + Send + Sync>;

/// A reaction for each pressure level, run by [`PressureHandler::check_pressure`]. A level without
/// a reaction uses that of the next lower level that has one.
///
/// ```
/// use arenite_alloc::StratifiedMemoryPool;
/// use arenite_core::PressureLevel;
/// use arenite_observe::{PressureHandler, PressureReaction};
/// let pool = StratifiedMemoryPool::new("monitored");
/// let handler = PressureHandler::new()
///     .on_elevated(PressureReaction::None)
///     .on_warning(PressureReaction::Shrink { target_utilization: 0.7 })
///     .on_critical(PressureReaction::Callback(Box::new(|level| eprintln!("pressure: {level}"))));
/// match handler.check_pressure(&pool) {
///     PressureLevel::Normal | PressureLevel::Elevated => println!("continue"),
///     PressureLevel::Warning => println!("caches were released"),
///     PressureLevel::Critical | PressureLevel::OutOfMemory => println!("cancel work"),
/// }
/// ```
#[derive(Default)]
pub struct PressureHandler {
    /// One entry for each level above normal.
    reactions: [Option<PressureReaction>; 4],
    source: Option<Source>,
    level: Mutex<PressureLevel>,
}

impl PressureHandler {
    /// Creates a handler without reactions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the source of the readings; the default is this machine.
    #[must_use]
    pub fn with_source(mut self, source: impl Fn() -> PressureReading + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    fn with_reaction(mut self, level: PressureLevel, reaction: PressureReaction) -> Self {
        self.reactions[level as usize - 1] = Some(reaction);
        self
    }

    /// Sets the reaction from [`PressureLevel::Elevated`] on.
    #[must_use]
    pub fn on_elevated(self, reaction: PressureReaction) -> Self {
        self.with_reaction(PressureLevel::Elevated, reaction)
    }

    /// Sets the reaction from [`PressureLevel::Warning`] on.
    #[must_use]
    pub fn on_warning(self, reaction: PressureReaction) -> Self {
        self.with_reaction(PressureLevel::Warning, reaction)
    }

    /// Sets the reaction from [`PressureLevel::Critical`] on.
    #[must_use]
    pub fn on_critical(self, reaction: PressureReaction) -> Self {
        self.with_reaction(PressureLevel::Critical, reaction)
    }

    /// Sets the reaction at [`PressureLevel::OutOfMemory`].
    #[must_use]
    pub fn on_out_of_memory(self, reaction: PressureReaction) -> Self {
        self.with_reaction(PressureLevel::OutOfMemory, reaction)
    }

    /// Reads the level, runs its reaction and returns it. The level is the worse of the machine's
    /// level and the pool's own, which is the fraction of its limit in use.
    ///
    /// Opens about ten files: call it between two steps of work, not inside one.
    pub fn check_pressure<P: Resource + Trim + ?Sized>(&self, pool: &P) -> PressureLevel {
        let reading = self.source.as_ref().map_or_else(PressureReading::read, |source| source());
        let state = pool.state();
        let free = state.limit.map_or(1.0, |limit| 1.0 - fraction(state.in_use, limit));
        let reading = PressureReading { free: reading.free.min(free), ..reading };
        let level = {
            let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
            *level = reading.level_after(*level);
            *level
        };
        match self.reactions[..level as usize].iter().rev().flatten().next() {
            None | Some(PressureReaction::None) => {}
            Some(PressureReaction::Shrink { target_utilization }) => {
                pool.trim(scaled(state.limit.unwrap_or(state.held), *target_utilization));
            }
            Some(PressureReaction::Callback(callback)) => callback(level),
        }
        level
    }
}

#[expect(clippy::cast_precision_loss, reason = "a fraction, to a few digits")]
fn fraction(bytes: usize, total: usize) -> f64 {
    if total == 0 { 1.0 } else { bytes as f64 / total as f64 }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a size, from 0 to all of it"
)]
fn scaled(bytes: usize, fraction: f64) -> usize {
    let fraction = if fraction.is_nan() { 1.0 } else { fraction.clamp(0.0, 1.0) };
    (bytes as f64 * fraction) as usize
}

impl fmt::Debug for PressureHandler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PressureHandler").field("reactions", &self.reactions).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_alloc::{Heap, Limit, MemoryPool, StratifiedMemoryPool};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

    /// Returns a machine with `free` thousandths of its memory free.
    fn machine(free: &Arc<AtomicU32>) -> impl Fn() -> PressureReading + Send + Sync + 'static {
        let free = Arc::clone(free);
        move || PressureReading { free: f64::from(free.load(Relaxed)) / 1000.0, some: 0.0, full: 0.0 }
    }

    #[test]
    fn r23_r24_handler_runs_the_reaction_of_each_level_and_lowers_it_late() {
        let free = Arc::new(AtomicU32::new(900));
        let called = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&called);
        let handler = PressureHandler::new()
            .with_source(machine(&free))
            .on_warning(PressureReaction::Shrink { target_utilization: 0.5 })
            .on_critical(PressureReaction::Callback(Box::new(move |_| _ = counted.fetch_add(1, Relaxed))));
        let pool = StratifiedMemoryPool::new("monitored");
        let buffers: Vec<_> = (0..8).map(|_| pool.allocate(60_000).unwrap()).collect();
        drop(buffers);
        let held = || Resource::state(&pool).held;
        assert_eq!((handler.check_pressure(&pool), held()), (PressureLevel::Normal, 8 << 16));
        free.store(200, Relaxed);
        assert_eq!((handler.check_pressure(&pool), held()), (PressureLevel::Elevated, 8 << 16));
        free.store(100, Relaxed);
        assert_eq!(handler.check_pressure(&pool), PressureLevel::Warning);
        assert!(held() <= 4 << 16, "{}", held());
        free.store(3, Relaxed);
        assert_eq!((handler.check_pressure(&pool), called.load(Relaxed)), (PressureLevel::OutOfMemory, 1));
        free.store(130, Relaxed);
        assert_eq!(handler.check_pressure(&pool), PressureLevel::Warning, "a little more than the threshold");
        free.store(400, Relaxed);
        assert_eq!((handler.check_pressure(&pool), called.load(Relaxed)), (PressureLevel::Normal, 1));
    }

    #[test]
    fn r23_r26_handler_has_a_reaction_of_its_own_for_out_of_memory() {
        let free = Arc::new(AtomicU32::new(30));
        let called = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&called);
        let count = move |level| _ = counted.fetch_add(level as usize, Relaxed);
        let handler = PressureHandler::new()
            .with_source(machine(&free))
            .on_critical(PressureReaction::None)
            .on_out_of_memory(PressureReaction::Callback(Box::new(count)));
        let pool = StratifiedMemoryPool::new("monitored");
        assert_eq!((handler.check_pressure(&pool), called.load(Relaxed)), (PressureLevel::Critical, 0));
        free.store(3, Relaxed);
        assert_eq!((handler.check_pressure(&pool), called.load(Relaxed)), (PressureLevel::OutOfMemory, 4));
    }

    #[test]
    fn r25_handler_reports_pressure_for_a_pool_near_its_limit() {
        let free = Arc::new(AtomicU32::new(900));
        let handler = PressureHandler::new()
            .with_source(machine(&free))
            .on_elevated(PressureReaction::Shrink { target_utilization: f64::NAN });
        let pool = MemoryPool::new(1 << 20);
        let block = pool.allocate::<u8>(1_000_000).unwrap();
        assert_eq!(handler.check_pressure(&pool), PressureLevel::Critical);
        drop(block);
        assert_eq!(handler.check_pressure(&pool), PressureLevel::Normal);
        let limited = Limit::new(Heap::new(), 0);
        assert_eq!(handler.check_pressure(&limited), PressureLevel::OutOfMemory);
    }
}
