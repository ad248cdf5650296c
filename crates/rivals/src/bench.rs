//! A bench: lets the contestants of a case run in short alternating rounds, and takes the medians.
//!
//! Rests on [`Contestant`]. Alternating, because a machine's clock and its other tenants change over seconds: what disturbs one
//! round disturbs each contestant's alike.

use crate::competitor::{Contestant, Side};
use crate::core_distance::Distance;
use crate::failure::Failure;
use crate::report::{Figure, Row};
use crate::quantiles::Spread;
use crate::measurement::Reading;
use crate::tally;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rounds that count.
    pub rounds: u32,
    /// Rounds before those.
    pub warm_up: u32,
    /// The least CPU time of a round of the fastest contestant.
    pub round: Duration,
}

impl Settings {
    /// 61 rounds of 150 µs or more, after 6.
    #[must_use]
    pub const fn full() -> Self {
        Self { rounds: 61, warm_up: 6, round: Duration::from_micros(150) }
    }

    /// 9 rounds of 50 µs or more, after 2: for a look, not for a record.
    #[must_use]
    pub const fn quick() -> Self {
        Self { rounds: 9, warm_up: 2, round: Duration::from_micros(50) }
    }
}

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// CPU time of the thread, in nanoseconds a unit of work.
    Cpu,
    /// CPU time of the thread, in microseconds a unit of work.
    CpuMicros,
    /// Wall time, in nanoseconds a unit of one thread's work.
    Wall,
    /// Page faults a unit of work.
    Faults,
    /// MiB in memory.
    Resident,
    /// Bytes in memory for each byte that is live, of which there is one MiB a unit.
    PerLive,
    /// Wall time of threads that work at once over that of the same work done by each alone.
    PerAlone,
}

impl Metric {
    fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "ns",
            Self::CpuMicros => "us",
            Self::Wall => "ns wall",
            Self::Faults => "faults",
            Self::Resident => "MiB",
            Self::PerLive => "× live",
            Self::PerAlone => "× alone",
        }
    }

    fn of(self, reading: &Reading) -> f64 {
        match self {
            Self::Cpu => reading.cpu.as_secs_f64() * 1e9,
            Self::CpuMicros => reading.cpu.as_secs_f64() * 1e6,
            Self::Wall => reading.wall.as_secs_f64() * 1e9,
            Self::Faults => reading.faults as f64,
            Self::Resident | Self::PerLive => reading.bytes as f64 / f64::from(1 << 20),
            Self::PerAlone => reading.wall.as_secs_f64() / reading.alone.as_secs_f64(),
        }
    }

    /// The same for one unit of work.
    fn of_unit(self, reading: &Reading, units: f64) -> f64 {
        if self == Self::PerAlone { self.of(reading) } else { self.of(reading) / units }
    }
}

/// How a case is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Units of work in a turn of the body.
    pub(crate) units: u32,
    /// A row for each.
    pub(crate) metrics: &'static [Metric],
    /// A round is one turn (long work); else as many as fill the settings' round this many times.
    pub(crate) rounds_of: RoundsOf,
}

/// How many turns make a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoundsOf {
    /// One.
    OneTurn,
    /// As many as take the settings' round times this.
    Time(u32),
}

/// Runs cases.
#[derive(Debug)]
pub struct Bench {
    settings: Settings,
}

impl Bench {
    /// A bench that measures by `settings`.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The same with few rounds, for figures that do not change from one to the next.
    #[must_use]
    pub(crate) fn few(&self) -> Self {
        Self { settings: Settings { rounds: self.settings.rounds.min(3), warm_up: 0, ..self.settings } }
    }

    /// Lets `contestants` run against each other; a row for each metric.
    pub(crate) fn compare(
        &self,
        case: &str,
        plan: Plan,
        mut contestants: Vec<Contestant<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        let (units, readings) = self.readings(case, plan, &mut contestants)?;
        let mut rows = rows(case, plan, units, &contestants, &readings)?;
        for (row, &metric) in rows.iter_mut().zip(plan.metrics) {
            row.ratios = ratios(metric, &contestants, &readings);
        }
        Ok(rows)
    }

    /// The same for contestants of two threads each: rows for each distance that a quarter of every contestant's rounds
    /// ran at, without the other rounds.
    pub(crate) fn compare_by_distance(
        &self,
        case: &str,
        plan: Plan,
        mut contestants: Vec<Contestant<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        let (units, readings) = self.readings(case, plan, &mut contestants)?;
        let mut all = Vec::new();
        for distance in Distance::ALL {
            let here = |reading: &&Reading| reading.apart.map(Distance::of) == Some(distance);
            let readings: Vec<Vec<Reading>> =
                readings.iter().map(|readings| readings.iter().filter(here).copied().collect()).collect();
            let least = readings.iter().map(Vec::len).min().unwrap_or(0);
            if least * 4 >= usize::try_from(self.settings.rounds).unwrap_or(usize::MAX) {
                all.extend(rows(&format!("{case}, {distance}"), plan, units, &contestants, &readings)?);
            }
        }
        if all.is_empty() { rows(case, plan, units, &contestants, &readings) } else { Ok(all) }
    }

    /// The units of work in a round, and the readings of each contestant.
    fn readings(
        &self,
        case: &str,
        plan: Plan,
        contestants: &mut [Contestant<'_>],
    ) -> Result<(f64, Vec<Vec<Reading>>), Failure> {
        same_work(case, contestants)?;
        let turns = match plan.rounds_of {
            RoundsOf::OneTurn => 1,
            RoundsOf::Time(times) => calibrate(case, contestants, self.settings.round * times)?,
        };
        let readings = self.alternate(case, turns, contestants)?;
        Ok((turns as f64 * f64::from(plan.units), readings))
    }

    /// The readings of each contestant, round by round, in rotating order.
    fn alternate(
        &self,
        case: &str,
        turns: u64,
        contestants: &mut [Contestant<'_>],
    ) -> Result<Vec<Vec<Reading>>, Failure> {
        let count = contestants.len();
        let mut readings = vec![Vec::new(); count];
        for round in 0..self.settings.warm_up + self.settings.rounds {
            let first = usize::try_from(round).unwrap_or(0) % count;
            for index in (first..count).chain(0..first) {
                let reading = run(case, &mut contestants[index], turns)?;
                if round >= self.settings.warm_up {
                    readings[index].push(reading);
                }
            }
        }
        Ok(readings)
    }
}

/// A row for each metric of `plan`.
fn rows(
    case: &str,
    plan: Plan,
    units: f64,
    contestants: &[Contestant<'_>],
    readings: &[Vec<Reading>],
) -> Result<Vec<Row>, Failure> {
    plan.metrics.iter().map(|metric| row(case, *metric, units, contestants, readings)).collect()
}

/// Of each rival and variant the median of arenite's figure over its own, round by round. A machine whose clock changes during a case gives
/// two medians of different clocks; the two figures of one round mostly have the same.
fn ratios(
    metric: Metric,
    contestants: &[Contestant<'_>],
    readings: &[Vec<Reading>],
) -> BTreeMap<String, f64> {
    let all = || contestants.iter().zip(readings);
    let Some((_, ours)) = all().find(|(contestant, _)| contestant.side == Side::Ours) else {
        return BTreeMap::new();
    };
    let ratio = |(contestant, theirs): (&Contestant<'_>, &Vec<Reading>)| {
        let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| metric.of(ours) / metric.of(theirs));
        Some((contestant.name.to_owned(), middle(ratios.collect())?))
    };
    let of = |side| all().filter(move |(contestant, _)| contestant.side == side).map(&ratio);
    // all or none: rivals of one row are not put in order by two measures
    let rivals: Option<BTreeMap<_, _>> = of(Side::Rival).collect();
    rivals.into_iter().flatten().chain(of(Side::Variant).flatten()).collect()
}

/// The median, of the greater of two in the middle, to a millionth, so that it survives being written and read; `None` where there is none,
/// or something is no number.
fn middle(mut sample: Vec<f64>) -> Option<f64> {
    if sample.iter().any(|value| !value.is_finite()) {
        return None;
    }
    sample.sort_by(f64::total_cmp);
    sample.get(sample.len() / 2).map(|middle| (middle * 1e6).round() / 1e6)
}

fn row(
    case: &str,
    metric: Metric,
    units: f64,
    contestants: &[Contestant<'_>],
    readings: &[Vec<Reading>],
) -> Result<Row, Failure> {
    let unit = metric.unit();
    let rounds = readings.iter().map(Vec::len).min().unwrap_or(0);
    let mut row = Row::new(case, unit, u32::try_from(rounds).unwrap_or(u32::MAX));
    for (contestant, readings) in contestants.iter().zip(readings) {
        let name = contestant.name;
        let spread = Spread::of(readings.iter().map(|reading| metric.of_unit(reading, units)).collect());
        let spread = spread.ok_or_else(|| Failure::NoFigure { case: case.to_owned(), name, unit })?;
        row.add(match contestant.side {
            Side::Ours => Figure::Ours(spread),
            Side::Variant => Figure::Variant(name, spread),
            Side::Rival => Figure::Rival(name, spread),
        });
    }
    Ok(row)
}

fn run(case: &str, contestant: &mut Contestant<'_>, turns: u64) -> Result<Reading, Failure> {
    (contestant.run)(turns).map_err(|_| Failure::Refused { case: case.to_owned(), name: contestant.name })
}

/// Lets each contestant take one turn and compares what they did, where that is counted.
fn same_work(case: &str, contestants: &mut [Contestant<'_>]) -> Result<(), Failure> {
    let mut first = None;
    for contestant in contestants {
        let name = contestant.name;
        let _before = tally::take();
        run(case, contestant, 1)?;
        let work = tally::take();
        let (other, expected) = *first.get_or_insert((name, work));
        if work != expected {
            let (work, expected) = (work.to_string(), expected.to_string());
            return Err(Failure::UnequalWork { case: case.to_owned(), name, other, work, expected });
        }
    }
    Ok(())
}

/// How many turns the fastest contestant needs to fill `round`.
fn calibrate(case: &str, contestants: &mut [Contestant<'_>], round: Duration) -> Result<u64, Failure> {
    let mut turns = 1u64;
    loop {
        let mut fastest = Duration::MAX;
        for contestant in contestants.iter_mut() {
            fastest = fastest.min(run(case, contestant, turns)?.cpu);
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
        let of = |nanos: &[u64]| -> Vec<Reading> {
            nanos.iter().map(|&n| Reading { cpu: Duration::from_nanos(n), ..Reading::default() }).collect()
        };
        let contestant = |name, side| Contestant::reading(name, side, |_| Ok(Reading::default()));
        let contestants = [
            contestant("arenite", Side::Ours),
            contestant("peer", Side::Rival),
            contestant("otherwise", Side::Variant),
        ];
        // the clock changes in the third round: the medians are of two clocks
        let readings =
            [of(&[100, 100, 300, 300, 100]), of(&[200, 200, 600, 600, 600]), of(&[50, 25, 75, 75, 25])];
        let both = [("peer".to_owned(), 0.5), ("otherwise".to_owned(), 4.0)];
        assert_eq!(ratios(Metric::Cpu, &contestants, &readings), both.into());
        let of_variant = ratios(Metric::Cpu, &contestants, &[of(&[1]), of(&[0]), of(&[2])]);
        assert_eq!(of_variant, [("otherwise".to_owned(), 0.5)].into());
        assert_eq!((middle(vec![]), middle(vec![3.0, 0.0004, 1.0])), (None, Some(1.0)));
        assert_eq!(middle(vec![0.000_4]), Some(0.000_4));
    }
}
