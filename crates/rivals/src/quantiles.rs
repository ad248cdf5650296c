//! The quantiles of a sample: median, quartiles, minimum and maximum.
//!
//! Values between two ranks are interpolated linearly, as in spreadsheets.

use serde::{Deserialize, Serialize};

/// Five quantiles of a sample.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Quantiles {
    /// The minimum.
    pub min: f64,
    /// The first quartile.
    pub q1: f64,
    /// The median, which is the result of a competitor.
    pub median: f64,
    /// The third quartile.
    pub q3: f64,
    /// The maximum.
    pub max: f64,
}

impl Quantiles {
    /// Returns the quantiles of `sample`; `None` if it is empty or not finite.
    ///
    /// ```
    /// let quantiles = rivals::Quantiles::of(vec![4.0, 1.0, 3.0, 2.0, 5.0]).unwrap();
    /// assert_eq!((quantiles.min, quantiles.median, quantiles.max), (1.0, 3.0, 5.0));
    /// assert_eq!((quantiles.q1, quantiles.q3), (2.0, 4.0));
    /// ```
    #[must_use]
    pub fn of(mut sample: Vec<f64>) -> Option<Self> {
        if sample.is_empty() || sample.iter().any(|value| !value.is_finite()) {
            return None;
        }
        sample.sort_by(f64::total_cmp);
        // The rank of quarter `q` is `q / 4` of the last rank, computed in whole quarters so that
        // no rank is rounded.
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

/// Rounds to a thousandth, so that a value survives JSON.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
