//! A report: the rows of a suite and the machine of the run.
//!
//! Its JSON is
//! `{"suite", "machine", "rows": [{"case", "unit", "ours", "rivals", "lower_is_better", …}]}`.

use crate::machine::Machine;
use crate::quantiles::Quantiles;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The results of a suite.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// Name of the suite.
    pub suite: String,
    /// The machine of the run.
    pub machine: Machine,
    /// The rows, one per case and unit.
    pub rows: Vec<Row>,
}

/// One comparison; the values are medians.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    /// Name of the case.
    pub case: String,
    /// Unit of the values.
    pub unit: String,
    /// Arenite's value.
    pub ours: f64,
    /// The rivals' values.
    pub rivals: BTreeMap<String, f64>,
    /// Whether lower values are better; always true so far.
    pub lower_is_better: bool,
    /// Values of arenite in other configurations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, f64>,
    /// Arenite's value over each rival's and variant's within one round, as the median over rounds.
    ///
    /// Empty if rounds cannot be compared or a value is 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ratios: BTreeMap<String, f64>,
    /// Quantiles of each value; arenite's is under `ours`.
    pub spread: BTreeMap<String, Quantiles>,
    /// Minimum number of rounds behind each value.
    pub rounds: u32,
}

/// A value to add to a row.
pub(crate) enum Entry {
    Ours(Quantiles),
    Variant(&'static str, Quantiles),
    Rival(&'static str, Quantiles),
}

/// The key of arenite's own quantiles.
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

    pub(crate) fn add(&mut self, entry: Entry) {
        let (name, spread) = match entry {
            Entry::Ours(spread) => {
                self.ours = spread.median;
                (OURS, spread)
            }
            Entry::Variant(name, spread) => {
                self.variants.insert(name.to_owned(), spread.median);
                (name, spread)
            }
            Entry::Rival(name, spread) => {
                self.rivals.insert(name.to_owned(), spread.median);
                (name, spread)
            }
        };
        self.spread.insert(name.to_owned(), spread);
    }

    /// Returns the rival with the highest ratio of arenite's value to its own; of several, the one
    /// with the lowest value.
    #[must_use]
    pub fn best_rival(&self) -> Option<(&str, f64)> {
        let order = |(name, value): (&String, &f64)| (self.ratio_to(name).unwrap_or(0.0), -*value);
        let best = self.rivals.iter().max_by(|&a, &b| {
            let ((a, lesser_a), (b, lesser_b)) = (order(a), order(b));
            a.total_cmp(&b).then(lesser_a.total_cmp(&lesser_b))
        })?;
        Some((best.0, *best.1))
    }

    /// Returns the ratio of arenite's value to that of the rival `name`; below 1 arenite is ahead.
    ///
    /// The ratio is the median over rounds if rounds can be compared, else the ratio of the
    /// medians. It is infinite if only the rival's value is 0.
    #[must_use]
    pub fn ratio_to(&self, name: &str) -> Option<f64> {
        let theirs = *self.rivals.get(name)?;
        Some(self.ratios.get(name).copied().unwrap_or_else(|| ratio(self.ours, theirs)))
    }

    /// Returns the [`ratio`](Row::ratio_to) to the best rival.
    #[must_use]
    pub fn ratio_to_best(&self) -> Option<f64> {
        self.best_rival().and_then(|(name, _)| self.ratio_to(name))
    }
}

/// Returns `ours / theirs`, or 1 if both are zero.
fn ratio(ours: f64, theirs: f64) -> f64 {
    if ours == theirs { 1.0 } else { ours / theirs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, rivals: &[(&'static str, f64)]) -> Row {
        let spread = |value| Quantiles { min: value, q1: value, median: value, q3: value, max: value };
        let mut row = Row::new("a case", "ns", 1);
        row.add(Entry::Ours(spread(ours)));
        rivals.iter().for_each(|&(name, value)| row.add(Entry::Rival(name, spread(value))));
        row
    }

    #[test]
    fn best_rival_has_the_highest_ratio() {
        let mut row = row(10.0, &[("slow", 40.0), ("fast", 20.0), ("absent", 0.0)]);
        assert_eq!((row.best_rival(), row.ratio_to_best()), (Some(("absent", 0.0)), Some(f64::INFINITY)));
        row.rivals.remove("absent");
        assert_eq!((row.best_rival(), row.ratio_to_best()), (Some(("fast", 20.0)), Some(0.5)));
        // By rounds the other rival is best: its median is of another clock.
        row.ratios = [("slow".to_owned(), 1.1), ("fast".to_owned(), 0.5)].into();
        assert_eq!((row.best_rival(), row.ratio_to_best()), (Some(("slow", 40.0)), Some(1.1)));
        assert_eq!((row.ratio_to("fast"), row.ratio_to("absent")), (Some(0.5), None));
    }
}
