//! A contestant: a body on a lender, with a clock around it.
//!
//! Rests on [`Stamp`]. The call through a box is made once a round, so no body is kept from being inlined and none is favoured.

use crate::failure::Refused;
use crate::measurement::{Reading, Stamp};

/// On which side a contestant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Arenite as it comes.
    Ours,
    /// Arenite in another set-up; not compared with the rivals' best.
    Variant,
    /// A peer.
    Rival,
}

/// One of those that a case compares.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) side: Side,
    pub(crate) run: Box<dyn FnMut(u64) -> Result<Reading, Refused> + 'a>,
}

impl<'a> Contestant<'a> {
    /// Measures `body` on this thread; a part of its turns runs unmeasured before.
    pub(crate) fn timed(
        name: &'static str,
        side: Side,
        mut body: impl FnMut(u64) -> Result<(), Refused> + 'a,
    ) -> Self {
        Self::reading(name, side, move |turns| {
            body(unmeasured(turns))?;
            let before = Stamp::now();
            body(turns)?;
            Ok(before.elapsed())
        })
    }

    /// Takes the readings of `run` as they are.
    pub(crate) fn reading(
        name: &'static str,
        side: Side,
        run: impl FnMut(u64) -> Result<Reading, Refused> + 'a,
    ) -> Self {
        Self { name, side, run: Box::new(run) }
    }
}

/// How many turns run before the measured ones.
pub(crate) fn unmeasured(turns: u64) -> u64 {
    turns.div_ceil(8)
}
