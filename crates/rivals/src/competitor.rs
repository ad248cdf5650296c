//! A competitor: a body on one allocator, with a clock around it.
//!
//! The virtual call is made once per round, so every body can be inlined and none has an
//! advantage.

use crate::failure::AllocFailed;
use crate::measurement::{Measurement, Stopwatch};

/// The role of a competitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Arenite with its defaults.
    Ours,
    /// Arenite in another configuration; not compared with the best rival.
    Variant,
    /// A peer.
    Rival,
}

/// One of the allocators that a case compares.
pub(crate) struct Competitor<'a> {
    pub(crate) name: &'static str,
    pub(crate) side: Side,
    pub(crate) run: Box<dyn FnMut(u64) -> Result<Measurement, AllocFailed> + 'a>,
}

impl<'a> Competitor<'a> {
    /// Creates a competitor that measures `body` on this thread, after a warm-up of an eighth of
    /// the turns.
    pub(crate) fn timed(
        name: &'static str,
        side: Side,
        mut body: impl FnMut(u64) -> Result<(), AllocFailed> + 'a,
    ) -> Self {
        Self::self_timed(name, side, move |turns| {
            body(warm_up_turns(turns))?;
            let before = Stopwatch::start();
            body(turns)?;
            Ok(before.elapsed())
        })
    }

    /// Creates a competitor whose `run` measures itself.
    pub(crate) fn self_timed(
        name: &'static str,
        side: Side,
        run: impl FnMut(u64) -> Result<Measurement, AllocFailed> + 'a,
    ) -> Self {
        Self { name, side, run: Box::new(run) }
    }
}

/// Returns the number of turns before the measured ones.
pub(crate) fn warm_up_turns(turns: u64) -> u64 {
    turns.div_ceil(8)
}
