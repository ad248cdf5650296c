//! The spread of a sample: median, quartiles, ends.
//!
//! Rests on nothing. Linear interpolation between ranks, as spreadsheets do.

use serde::{Deserialize, Serialize};

/// Five numbers of a sample.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// A quarter lies below.
    pub q1: f64,
    /// Half lies below: the figure of a contestant.
    pub median: f64,
    /// A quarter lies above.
    pub q3: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of `sample`; `None` if it is empty or holds something that is no number.
    ///
    /// ```
    /// let spread = rivals::Spread::of(vec![4.0, 1.0, 3.0, 2.0, 5.0]);
    /// assert_eq!(spread.map(|s| (s.min, s.q1, s.median, s.q3, s.max)), Some((1.0, 2.0, 3.0, 4.0, 5.0)));
    /// ```
    #[must_use]
    pub fn of(mut sample: Vec<f64>) -> Option<Self> {
        if sample.is_empty() || sample.iter().any(|value| !value.is_finite()) {
            return None;
        }
        sample.sort_by(f64::total_cmp);
        // The rank of quarter `q` is `q / 4` of the way, in whole quarters so that no rank is rounded.
        let at = |quarters: usize| {
            let position = quarters * (sample.len() - 1);
            let (low, part) = (position / 4, position % 4);
            let high = (low + 1).min(sample.len() - 1);
            let weight = [0.0, 0.25, 0.5, 0.75][part];
            round(sample[low] * (1.0 - weight) + sample[high] * weight)
        };
        Some(Self { min: at(0), q1: at(1), median: at(2), q3: at(3), max: at(4) })
    }
}

/// To a thousandth, so that a figure survives being written and read.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
