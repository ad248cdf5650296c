//! A report: the rows of a suite and the machine they were taken on.
//!
//! Rests on [`Spread`]. Its JSON is `{"suite", "machine", "rows": [{"case", "unit", "ours", "rivals", "lower_is_better", …}]}`.

use crate::machine::Machine;
use crate::quantiles::Spread;
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
    /// Arenite's figure over each rival's and each variant's within one round, in which they ran one after the other: the median of the rounds.
    /// Empty where rounds cannot be compared, or a figure is 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ratios: BTreeMap<String, f64>,
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
            ratios: BTreeMap::new(),
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

    /// The rival that arenite's figure is highest over; of several, the one with the least figure.
    #[must_use]
    pub fn best_rival(&self) -> Option<(&str, f64)> {
        let order = |(name, figure): (&String, &f64)| (self.ratio_to(name).unwrap_or(0.0), -*figure);
        let best = self.rivals.iter().max_by(|&a, &b| {
            let ((a, lesser_a), (b, lesser_b)) = (order(a), order(b));
            a.total_cmp(&b).then(lesser_a.total_cmp(&lesser_b))
        })?;
        Some((best.0, *best.1))
    }

    /// Arenite's figure over that of the rival `name`: below 1 arenite is ahead. The median of the rounds' ratios where the
    /// rounds can be compared, else the ratio of the medians. Infinite where the rival's is 0 and arenite's is not.
    #[must_use]
    pub fn ratio_to(&self, name: &str) -> Option<f64> {
        let theirs = *self.rivals.get(name)?;
        Some(self.ratios.get(name).copied().unwrap_or_else(|| ratio(self.ours, theirs)))
    }

    /// [`Row::ratio_to`] the best rival.
    #[must_use]
    pub fn ratio_to_best(&self) -> Option<f64> {
        self.best_rival().and_then(|(name, _)| self.ratio_to(name))
    }
}

/// `ours / theirs`, where two zeros are equal.
fn ratio(ours: f64, theirs: f64) -> f64 {
    if ours == theirs { 1.0 } else { ours / theirs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, rivals: &[(&'static str, f64)]) -> Row {
        let spread = |value| Spread { min: value, q1: value, median: value, q3: value, max: value };
        let mut row = Row::new("a case", "ns", 1);
        row.add(Figure::Ours(spread(ours)));
        rivals.iter().for_each(|&(name, figure)| row.add(Figure::Rival(name, spread(figure))));
        row
    }

    #[test]
    fn best_rival_has_the_highest_ratio() {
        let mut row = row(10.0, &[("slow", 40.0), ("fast", 20.0), ("absent", 0.0)]);
        assert_eq!((row.best_rival(), row.ratio_to_best()), (Some(("absent", 0.0)), Some(f64::INFINITY)));
        row.rivals.remove("absent");
        assert_eq!((row.best_rival(), row.ratio_to_best()), (Some(("fast", 20.0)), Some(0.5)));
        // by rounds the other one was: its median fell into another clock
        row.ratios = [("slow".to_owned(), 1.1), ("fast".to_owned(), 0.5)].into();
        assert_eq!((row.best_rival(), row.ratio_to_best()), (Some(("slow", 40.0)), Some(1.1)));
        assert_eq!((row.ratio_to("fast"), row.ratio_to("nobody")), (Some(0.5), None));
    }
}
