//! A bench: runs the competitors of a case in short alternating rounds and takes medians.
//!
//! Alternation matters because a machine's clock and its other load change over seconds: a
//! disturbance then affects all competitors of a round alike.

use crate::competitor::{Competitor, Side};
use crate::core_distance::CoreDistance;
use crate::failure::Failure;
use crate::measurement::Measurement;
use crate::quantiles::Quantiles;
use crate::report::{Entry, Row};
use crate::tally;
use std::collections::BTreeMap;
use std::time::Duration;

/// The length and number of the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Number of measured rounds.
    pub rounds: u32,
    /// Number of warm-up rounds.
    pub warm_up: u32,
    /// Minimum CPU time of a round of the fastest competitor.
    pub round: Duration,
}

impl Settings {
    /// Returns the settings for a record: 61 rounds of at least 150 µs after 6 warm-up rounds.
    #[must_use]
    pub const fn full() -> Self {
        Self { rounds: 61, warm_up: 6, round: Duration::from_micros(150) }
    }

    /// Returns the settings for a quick check: 9 rounds of at least 50 µs after 2 warm-up rounds.
    #[must_use]
    pub const fn quick() -> Self {
        Self { rounds: 9, warm_up: 2, round: Duration::from_micros(50) }
    }
}

/// The quantity of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// CPU time of the thread, in nanoseconds per unit of work.
    Cpu,
    /// CPU time of the thread, in microseconds per unit of work.
    CpuMicros,
    /// Wall time, in nanoseconds per unit of one thread's work.
    Wall,
    /// Page faults per unit of work.
    PageFaults,
    /// Resident memory in MiB.
    Resident,
    /// Resident bytes per live byte; a unit has one live MiB.
    PerLive,
    /// Wall time of concurrent threads over the wall time of each thread's same work alone.
    PerAlone,
}

impl Metric {
    fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "ns",
            Self::CpuMicros => "us",
            Self::Wall => "ns wall",
            Self::PageFaults => "faults",
            Self::Resident => "MiB",
            Self::PerLive => "× live",
            Self::PerAlone => "× alone",
        }
    }

    fn of(self, measurement: &Measurement) -> f64 {
        match self {
            Self::Cpu => measurement.cpu.as_secs_f64() * 1e9,
            Self::CpuMicros => measurement.cpu.as_secs_f64() * 1e6,
            Self::Wall => measurement.wall.as_secs_f64() * 1e9,
            Self::PageFaults => measurement.faults as f64,
            Self::Resident | Self::PerLive => measurement.bytes as f64 / f64::from(1 << 20),
            Self::PerAlone => measurement.wall.as_secs_f64() / measurement.alone.as_secs_f64(),
        }
    }

    /// Returns the value per unit of work.
    fn of_unit(self, measurement: &Measurement, units: f64) -> f64 {
        if self == Self::PerAlone { self.of(measurement) } else { self.of(measurement) / units }
    }
}

/// The way a case is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Units of work per turn of the body.
    pub(crate) units: u32,
    /// The metrics, one row each.
    pub(crate) metrics: &'static [Metric],
    /// The number of turns per round.
    pub(crate) rounds_of: RoundsOf,
}

/// The rule for the number of turns per round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoundsOf {
    /// One turn, for long work.
    OneTurn,
    /// As many turns as fill the settings' round time this many times.
    Time(u32),
}

/// A runner of cases.
#[derive(Debug)]
pub struct Bench {
    settings: Settings,
}

impl Bench {
    /// Creates a bench with these settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Returns a bench with at most 3 rounds and no warm-up, for values that do not vary.
    #[must_use]
    pub(crate) fn with_few_rounds(&self) -> Self {
        Self { settings: Settings { rounds: self.settings.rounds.min(3), warm_up: 0, ..self.settings } }
    }

    /// Runs the competitors against each other. Returns one row per metric.
    pub(crate) fn compare(
        &self,
        case: &str,
        plan: Plan,
        mut competitors: Vec<Competitor<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        let (units, measurements) = self.measure(case, plan, &mut competitors)?;
        let mut rows = rows(case, plan, units, &competitors, &measurements)?;
        for (row, &metric) in rows.iter_mut().zip(plan.metrics) {
            row.ratios = ratios(metric, &competitors, &measurements);
        }
        Ok(rows)
    }

    /// Runs competitors of two threads each. Returns rows per core distance at which every
    /// competitor ran at least a quarter of its rounds.
    ///
    /// The other rounds are dropped; if no distance qualifies, all rounds count.
    pub(crate) fn compare_by_distance(
        &self,
        case: &str,
        plan: Plan,
        mut competitors: Vec<Competitor<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        let (units, measurements) = self.measure(case, plan, &mut competitors)?;
        let mut all = Vec::new();
        for distance in CoreDistance::ALL {
            let matches =
                |measurement: &&Measurement| measurement.round_trip.map(CoreDistance::of) == Some(distance);
            let measurements: Vec<Vec<Measurement>> = measurements
                .iter()
                .map(|measurements| measurements.iter().filter(matches).copied().collect())
                .collect();
            let min_rounds = measurements.iter().map(Vec::len).min().unwrap_or(0);
            if min_rounds * 4 >= usize::try_from(self.settings.rounds).unwrap_or(usize::MAX) {
                all.extend(rows(&format!("{case}, {distance}"), plan, units, &competitors, &measurements)?);
            }
        }
        if all.is_empty() { rows(case, plan, units, &competitors, &measurements) } else { Ok(all) }
    }

    /// Measures the competitors. Returns the units of work per round and each competitor's
    /// measurements.
    fn measure(
        &self,
        case: &str,
        plan: Plan,
        competitors: &mut [Competitor<'_>],
    ) -> Result<(f64, Vec<Vec<Measurement>>), Failure> {
        same_work(case, competitors)?;
        let turns = match plan.rounds_of {
            RoundsOf::OneTurn => 1,
            RoundsOf::Time(times) => calibrate(case, competitors, self.settings.round * times)?,
        };
        let measurements = self.alternate(case, turns, competitors)?;
        Ok((turns as f64 * f64::from(plan.units), measurements))
    }

    /// Measures all rounds, with the order of the competitors rotated from round to round.
    fn alternate(
        &self,
        case: &str,
        turns: u64,
        competitors: &mut [Competitor<'_>],
    ) -> Result<Vec<Vec<Measurement>>, Failure> {
        let count = competitors.len();
        let mut measurements = vec![Vec::new(); count];
        for round in 0..self.settings.warm_up + self.settings.rounds {
            let first = usize::try_from(round).unwrap_or(0) % count;
            for index in (first..count).chain(0..first) {
                let measurement = run(case, &mut competitors[index], turns)?;
                if round >= self.settings.warm_up {
                    measurements[index].push(measurement);
                }
            }
        }
        Ok(measurements)
    }
}

/// Returns a row per metric of `plan`.
fn rows(
    case: &str,
    plan: Plan,
    units: f64,
    competitors: &[Competitor<'_>],
    measurements: &[Vec<Measurement>],
) -> Result<Vec<Row>, Failure> {
    plan.metrics.iter().map(|metric| row(case, *metric, units, competitors, measurements)).collect()
}

/// Returns the ratio of each rival and variant: the median over rounds of arenite's value divided
/// by its own.
///
/// If the clock changes during a case, two medians may be of different clocks; the two values of
/// one round mostly share a clock.
fn ratios(
    metric: Metric,
    competitors: &[Competitor<'_>],
    measurements: &[Vec<Measurement>],
) -> BTreeMap<String, f64> {
    let all = || competitors.iter().zip(measurements);
    let Some((_, ours)) = all().find(|(competitor, _)| competitor.side == Side::Ours) else {
        return BTreeMap::new();
    };
    let ratio = |(competitor, theirs): (&Competitor<'_>, &Vec<Measurement>)| {
        let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| metric.of(ours) / metric.of(theirs));
        Some((competitor.name.to_owned(), median_of(ratios.collect())?))
    };
    let of = |side| all().filter(move |(competitor, _)| competitor.side == side).map(&ratio);
    // Either all rivals have a ratio or none has, so that one row does not order rivals by two
    // measures.
    let rivals: Option<BTreeMap<_, _>> = of(Side::Rival).collect();
    rivals.into_iter().flatten().chain(of(Side::Variant).flatten()).collect()
}

/// Returns the upper median, rounded to a millionth so that it survives JSON; `None` if the sample
/// is empty or not finite.
fn median_of(mut sample: Vec<f64>) -> Option<f64> {
    if sample.iter().any(|value| !value.is_finite()) {
        return None;
    }
    sample.sort_by(f64::total_cmp);
    sample.get(sample.len() / 2).map(|median_of| (median_of * 1e6).round() / 1e6)
}

fn row(
    case: &str,
    metric: Metric,
    units: f64,
    competitors: &[Competitor<'_>],
    measurements: &[Vec<Measurement>],
) -> Result<Row, Failure> {
    let unit = metric.unit();
    let rounds = measurements.iter().map(Vec::len).min().unwrap_or(0);
    let mut row = Row::new(case, unit, u32::try_from(rounds).unwrap_or(u32::MAX));
    for (competitor, measurements) in competitors.iter().zip(measurements) {
        let name = competitor.name;
        let spread = Quantiles::of(
            measurements.iter().map(|measurement| metric.of_unit(measurement, units)).collect(),
        );
        let spread = spread.ok_or_else(|| Failure::NoMeasurement { case: case.to_owned(), name, unit })?;
        row.add(match competitor.side {
            Side::Ours => Entry::Ours(spread),
            Side::Variant => Entry::Variant(name, spread),
            Side::Rival => Entry::Rival(name, spread),
        });
    }
    Ok(row)
}

fn run(case: &str, competitor: &mut Competitor<'_>, turns: u64) -> Result<Measurement, Failure> {
    (competitor.run)(turns).map_err(|_| Failure::AllocFailed { case: case.to_owned(), name: competitor.name })
}

/// Runs each competitor for one turn and compares the work done, in builds that count it.
fn same_work(case: &str, competitors: &mut [Competitor<'_>]) -> Result<(), Failure> {
    let mut first = None;
    for competitor in competitors {
        let name = competitor.name;
        let _before = tally::reset();
        run(case, competitor, 1)?;
        let work = tally::reset();
        let (other, expected) = *first.get_or_insert((name, work));
        if work != expected {
            let (work, expected) = (work.to_string(), expected.to_string());
            return Err(Failure::UnequalWork { case: case.to_owned(), name, other, work, expected });
        }
    }
    Ok(())
}

/// Returns the number of turns with which the fastest competitor fills `round`.
fn calibrate(case: &str, competitors: &mut [Competitor<'_>], round: Duration) -> Result<u64, Failure> {
    let mut turns = 1u64;
    loop {
        let mut fastest = Duration::MAX;
        for competitor in competitors.iter_mut() {
            fastest = fastest.min(run(case, competitor, turns)?.cpu);
        }
        if fastest >= round || turns > u64::from(u32::MAX) {
            return Ok(turns);
        }
        turns *= if fastest * 8 < round { 8 } else { 2 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_medians_of_round_ratios() {
        let of = |nanos: &[u64]| -> Vec<Measurement> {
            nanos
                .iter()
                .map(|&n| Measurement { cpu: Duration::from_nanos(n), ..Measurement::default() })
                .collect()
        };
        let competitor = |name, side| Competitor::self_timed(name, side, |_| Ok(Measurement::default()));
        let competitors = [
            competitor("arenite", Side::Ours),
            competitor("peer", Side::Rival),
            competitor("otherwise", Side::Variant),
        ];
        // The clock changes in the third round, so the medians are of two clocks.
        let measurements =
            [of(&[100, 100, 300, 300, 100]), of(&[200, 200, 600, 600, 600]), of(&[50, 25, 75, 75, 25])];
        let both = [("peer".to_owned(), 0.5), ("otherwise".to_owned(), 4.0)];
        assert_eq!(ratios(Metric::Cpu, &competitors, &measurements), both.into());
        let of_variant = ratios(Metric::Cpu, &competitors, &[of(&[1]), of(&[0]), of(&[2])]);
        assert_eq!(of_variant, [("otherwise".to_owned(), 0.5)].into());
        assert_eq!((median_of(vec![]), median_of(vec![3.0, 0.0004, 1.0])), (None, Some(1.0)));
        assert_eq!(median_of(vec![0.000_4]), Some(0.000_4));
    }
}
