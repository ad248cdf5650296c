//! A reaction for each level of pressure.
//!
//! Rests on [`PressureReading`] and [`Trim`].

use arenite_core::{PressureLevel, Resource, Trim};
use arenite_pages::machine::PressureReading;
use core::fmt;
use std::sync::{Mutex, PoisonError};

/// What is done when memory is short.
#[derive(Default)]
pub enum PressureReaction {
    /// Nothing.
    #[default]
    None,
    /// The pool gives back until it holds at most this part, from 0 to 1, of its limit, or of what it holds where it has none. What is
    /// in use stays.
    Shrink {
        /// The part.
        target_utilization: f64,
    },
    /// This is called with the level.
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

/// Where the level comes from.
type Source = Box<dyn Fn() -> PressureReading + Send + Sync>;

/// Looks at the level when it is asked, and does what was chosen for it. Each level above those chosen has the reaction of the
/// highest one below it that was.
///
/// ```
/// use arenite_alloc::StratifiedMemoryPool;
/// use arenite_core::PressureLevel;
/// use arenite_observe::{PressureHandler, PressureReaction};
/// let pool = StratifiedMemoryPool::new("monitored");
/// let handler = PressureHandler::new()
///     .on_elevated(PressureReaction::None)
///     .on_warning(PressureReaction::Shrink { target_utilization: 0.7 })
///     .on_critical(PressureReaction::Callback(Box::new(|level| eprintln!("memory pressure: {level}"))));
/// match handler.check_pressure(&pool) {
///     PressureLevel::Normal | PressureLevel::Elevated => println!("go on"),
///     PressureLevel::Warning => println!("caches were released"),
///     PressureLevel::Critical | PressureLevel::OutOfMemory => println!("stop what can be stopped"),
/// }
/// ```
#[derive(Default)]
pub struct PressureHandler {
    /// For each level above normal.
    reactions: [Option<PressureReaction>; 4],
    source: Option<Source>,
    level: Mutex<PressureLevel>,
}

impl PressureHandler {
    /// Does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, which asks `source` and not this machine.
    #[must_use]
    pub fn reading(mut self, source: impl Fn() -> PressureReading + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    fn on(mut self, level: PressureLevel, reaction: PressureReaction) -> Self {
        self.reactions[level as usize - 1] = Some(reaction);
        self
    }

    /// What is done from [`PressureLevel::Elevated`] on.
    #[must_use]
    pub fn on_elevated(self, reaction: PressureReaction) -> Self {
        self.on(PressureLevel::Elevated, reaction)
    }

    /// What is done from [`PressureLevel::Warning`] on.
    #[must_use]
    pub fn on_warning(self, reaction: PressureReaction) -> Self {
        self.on(PressureLevel::Warning, reaction)
    }

    /// What is done from [`PressureLevel::Critical`] on.
    #[must_use]
    pub fn on_critical(self, reaction: PressureReaction) -> Self {
        self.on(PressureLevel::Critical, reaction)
    }

    /// What is done at [`PressureLevel::OutOfMemory`].
    #[must_use]
    pub fn on_out_of_memory(self, reaction: PressureReaction) -> Self {
        self.on(PressureLevel::OutOfMemory, reaction)
    }

    /// The level: the worse of the machine's and the pool's own, which is the part of its limit that it has in use; and does what is
    /// chosen for it. Opens about ten files: between two steps of work, not in one.
    pub fn check_pressure<P: Resource + Trim + ?Sized>(&self, pool: &P) -> PressureLevel {
        let reading = self.source.as_ref().map_or_else(PressureReading::read, |source| source());
        let state = pool.state();
        let free = state.limit.map_or(1.0, |limit| 1.0 - part(state.in_use, limit));
        let reading = PressureReading { free: reading.free.min(free), ..reading };
        let level = {
            let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
            *level = reading.level_after(*level);
            *level
        };
        match self.reactions[..level as usize].iter().rev().flatten().next() {
            None | Some(PressureReaction::None) => {}
            Some(PressureReaction::Shrink { target_utilization }) => {
                pool.trim(times(state.limit.unwrap_or(state.held), *target_utilization));
            }
            Some(PressureReaction::Callback(call)) => call(level),
        }
        level
    }
}

#[expect(clippy::cast_precision_loss, reason = "a part, to a few digits")]
fn part(of: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { of as f64 / whole as f64 }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a size, from nothing to all of it"
)]
fn times(whole: usize, part: f64) -> usize {
    let part = if part.is_nan() { 1.0 } else { part.clamp(0.0, 1.0) };
    (whole as f64 * part) as usize
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

    /// A machine of which so many in a thousand parts are free.
    fn machine(free: &Arc<AtomicU32>) -> impl Fn() -> PressureReading + Send + Sync + 'static {
        let free = Arc::clone(free);
        move || PressureReading { free: f64::from(free.load(Relaxed)) / 1000.0, some: 0.0, full: 0.0 }
    }

    #[test]
    fn r23_r24_each_level_has_its_reaction_and_falls_late() {
        let free = Arc::new(AtomicU32::new(900));
        let called = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&called);
        let handler = PressureHandler::new()
            .reading(machine(&free))
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
    fn r25_a_pool_near_its_own_limit_is_under_pressure_on_a_free_machine() {
        let free = Arc::new(AtomicU32::new(900));
        let handler = PressureHandler::new()
            .reading(machine(&free))
            .on_elevated(PressureReaction::Shrink { target_utilization: f64::NAN });
        let pool = MemoryPool::new(1 << 20);
        let most = pool.allocate::<u8>(1_000_000).unwrap();
        assert_eq!(handler.check_pressure(&pool), PressureLevel::Critical);
        drop(most);
        assert_eq!(handler.check_pressure(&pool), PressureLevel::Normal);
        let limited = Limit::new(Heap::new(), 0);
        assert_eq!(handler.check_pressure(&limited), PressureLevel::OutOfMemory);
    }
}
