//! A report: the rows of a suite and the machine they were taken on.
//!
//! Rests on [`Spread`]. Its JSON is `{"suite", "machine", "rows": [{"case", "unit", "ours", "rivals", "lower_is_better", …}]}`.

use crate::machine::Machine;
use crate::spread::Spread;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a suite found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// The suite's name.
    pub suite: String,
    /// Where it ran.
    pub machine: Machine,
    /// A row a case and unit.
    pub rows: Vec<Row>,
}

/// One comparison. Figures are medians.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// What was done.
    pub case: String,
    /// In which unit the figures are.
    pub unit: String,
    /// Arenite's figure.
    pub ours: f64,
    /// The rivals' figures.
    pub rivals: BTreeMap<String, f64>,
    /// Whether less is better: always, so far.
    pub lower_is_better: bool,
    /// Figures of arenite in other set-ups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, f64>,
    /// The spread of each figure; arenite's is under `ours`.
    pub spread: BTreeMap<String, Spread>,
    /// How many rounds each figure is the median of, at the least.
    pub rounds: u32,
}

/// A figure on its way into a row.
pub(crate) enum Figure {
    Ours(Spread),
    Variant(&'static str, Spread),
    Rival(&'static str, Spread),
}

/// Where arenite's own spread stands among the others.
pub(crate) const OURS: &str = "ours";

impl Row {
    pub(crate) fn new(case: &str, unit: &str, rounds: u32) -> Self {
        Self {
            case: case.to_owned(),
            unit: unit.to_owned(),
            ours: 0.0,
            rivals: BTreeMap::new(),
            lower_is_better: true,
            variants: BTreeMap::new(),
            spread: BTreeMap::new(),
            rounds,
        }
    }

    pub(crate) fn add(&mut self, figure: Figure) {
        let (name, spread) = match figure {
            Figure::Ours(spread) => {
                self.ours = spread.median;
                (OURS, spread)
            }
            Figure::Variant(name, spread) => {
                self.variants.insert(name.to_owned(), spread.median);
                (name, spread)
            }
            Figure::Rival(name, spread) => {
                self.rivals.insert(name.to_owned(), spread.median);
                (name, spread)
            }
        };
        self.spread.insert(name.to_owned(), spread);
    }

    /// The rival with the least figure.
    #[must_use]
    pub fn best_rival(&self) -> Option<(&str, f64)> {
        let best = self.rivals.iter().min_by(|a, b| a.1.total_cmp(b.1))?;
        Some((best.0, *best.1))
    }

    /// Arenite's figure over the best rival's: below 1 arenite is ahead. Infinite where the rival's is 0 and arenite's is not.
    #[must_use]
    pub fn ratio_to_best(&self) -> Option<f64> {
        self.best_rival().map(|(_, best)| ratio(self.ours, best))
    }
}

/// `ours / theirs`, where two zeros are equal.
pub(crate) fn ratio(ours: f64, theirs: f64) -> f64 {
    if ours == theirs { 1.0 } else { ours / theirs }
}
