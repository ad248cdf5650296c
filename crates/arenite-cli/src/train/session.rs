//! One strategy's training: the model, its memory, and what each step cost.
//!
//! Rests on `workloads::char_lm` and on `arenite-observe`. Everything that is counted is counted around the step, by the
//! kernel (faults), by the global allocator's front (its calls) and by the tracker (blocks); nothing is assumed.

use super::memory::{Memory, Strategy};
use super::protocol::{Answer, Spec};
use crate::report::{StrategyReport, TimelinePoint};
use arenite_alloc::{Front, Global, Limit, Traced};
use arenite_core::{EventKind, Resource};
use arenite_observe::{Both, MemoryTracker, ProcessUsage, Timeline};
use std::alloc::System as Malloc;
use std::time::Instant;
use workloads::char_lm::{CORPUS, Config, Model, Text};

/// Moments of the timeline that a report keeps.
const MOMENTS: usize = 1000;

/// What one step cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    loss: f32,
    ms: f64,
    faults: u64,
    system_calls: u64,
    blocks: usize,
}

/// The sinks of a session.
#[derive(Debug)]
pub(super) struct Ears {
    tracker: MemoryTracker,
    timeline: Timeline,
}

impl Ears {
    pub(super) fn new() -> Self {
        Self { tracker: MemoryTracker::new(), timeline: Timeline::new(MOMENTS) }
    }
}

type Heard<'e, M> = Traced<Limit<M>, Both<&'e MemoryTracker, &'e Timeline>>;

/// The memory of a session: limited, and heard by its ears.
pub(super) fn listen<M: Memory>(memory: M, limit: Option<usize>, ears: &Ears) -> Heard<'_, M> {
    let limited = Limit::new(memory, limit.unwrap_or(usize::MAX)).labelled("train");
    Traced::new(limited, Both(&ears.tracker, &ears.timeline), "train")
}

/// A model in training.
pub(super) struct Session<'m, 'e, M: Memory> {
    strategy: Strategy,
    memory: &'m Heard<'e, M>,
    ears: &'e Ears,
    text: Text,
    sample: usize,
    seed: u64,
    custom: bool,
    learning_warm_up: usize,
    model: Model<&'m Heard<'e, M>>,
    costs: Vec<Cost>,
    peak_held: usize,
}

impl<'m, 'e, M: Memory> Session<'m, 'e, M> {
    /// Makes the model.
    pub(super) fn new(
        strategy: Strategy,
        spec: &Spec,
        memory: &'m Heard<'e, M>,
        ears: &'e Ears,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let config = Config {
            layers: spec.layers,
            width: spec.width,
            heads: spec.heads,
            context: spec.context,
            batch: spec.batch,
            steps: spec.steps,
            warm_up: spec.warm_up,
            learning_rate: spec.learning_rate,
            ..Config::default()
        };
        let text = Text::new(spec.text.as_deref().unwrap_or(CORPUS).as_bytes(), spec.context)?;
        let model = Model::new(config, text.vocabulary(), spec.seed, memory)?;
        let mut costs = Vec::new();
        costs.try_reserve_exact(spec.steps)?;
        let (sample, seed, custom) = (spec.sample, spec.seed, spec.text.is_some());
        let learning_warm_up = spec.warm_up;
        Ok(Self {
            strategy,
            memory,
            ears,
            text,
            sample,
            seed,
            custom,
            learning_warm_up,
            model,
            costs,
            peak_held: 0,
        })
    }

    pub(super) fn ready(&self) -> Answer {
        Answer::Ready { parameters: self.model.parameter_count(), vocabulary: self.text.vocabulary() }
    }

    /// Trains `count` steps.
    pub(super) fn steps(&mut self, count: usize) -> Result<Answer, Box<dyn std::error::Error>> {
        let mut loss = f32::NAN;
        for _ in 0..count {
            let cost = self.step()?;
            loss = cost.loss;
            self.costs.push(cost);
        }
        Ok(Answer::Stepped { loss, in_use: self.memory.state().in_use })
    }

    fn step(&mut self) -> Result<Cost, Box<dyn std::error::Error>> {
        let blocks = self.ears.tracker.allocation_count();
        let faults = ProcessUsage::faults_now();
        let calls = Front::<Malloc>::counts().upstream_calls;
        let began = Instant::now();
        let memory = self.memory.upstream().upstream();
        let step = memory.begin()?;
        let loss = self.model.train_step(&self.text, self.memory)?;
        memory.end(step)?;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let cost = Cost {
            loss,
            ms,
            faults: ProcessUsage::faults_now() - faults,
            system_calls: Front::<Malloc>::counts().upstream_calls - calls,
            blocks: self.ears.tracker.allocation_count() - blocks,
        };
        self.memory.note(EventKind::Restore, 0);
        self.peak_held = self.peak_held.max(self.memory.state().held);
        Ok(cost)
    }

    /// The numbers, and with `true` a sample of what the model writes.
    pub(super) fn finish(self, with_sample: bool) -> Result<Answer, Box<dyn std::error::Error>> {
        let report = Box::new(self.report());
        let (mut prompt, mut sample) = (String::new(), String::new());
        if with_sample && self.sample > 0 {
            // A prompt that occurs in the text: the head of a doc comment, or how somebody else's text begins.
            let start = if self.custom { self.text.opening(12) } else { "//! A ".to_owned() };
            let tokens =
                self.model.generate(&self.text.encode(&start), self.sample, 0.7, self.seed, Global)?;
            sample = self.text.decode(tokens.as_slice());
            sample = sample.strip_prefix(start.as_str()).map_or(sample.clone(), ToOwned::to_owned);
            prompt = start;
        }
        Ok(Answer::Finished { report, prompt, sample })
    }

    fn report(&self) -> StrategyReport {
        // The first steps touch memory for the first time and make what is kept from then on; when the learning rate begins
        // to fall, code runs for the first time, too.
        let warm_up = (self.costs.len() / 5).min(self.learning_warm_up.max(8) + 2);
        let warm = &self.costs[warm_up..];
        let mean = |field: fn(&Cost) -> f64| warm.iter().map(field).sum::<f64>() / warm.len().max(1) as f64;
        let mut sorted: Vec<f64> = warm.iter().map(|cost| cost.ms).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |numerator: usize, denominator: usize| {
            let index = (sorted.len() * numerator / denominator).min(sorted.len().saturating_sub(1));
            sorted.get(index).copied().unwrap_or(f64::NAN)
        };
        let bytes = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let timeline = self.timeline();
        StrategyReport {
            name: self.strategy.to_string(),
            step_ms_median: at(1, 2),
            step_ms_p95: at(95, 100),
            ratio_to_system: None,
            allocs_per_step: mean(|cost| cost.blocks as f64),
            system_calls_per_step: mean(|cost| cost.system_calls as f64),
            faults_per_step: mean(|cost| cost.faults as f64),
            peak_in_use: bytes(self.ears.tracker.peak_usage()),
            peak_held: timeline.iter().map(|point| point.held).fold(bytes(self.peak_held), u64::max),
            rss_peak: ProcessUsage::now().resident_peak,
            losses: self.costs.iter().map(|cost| cost.loss).collect(),
            step_ms: self.costs.iter().map(|cost| cost.ms).collect(),
            timeline,
        }
    }

    /// Two points a moment, its least and its most, so that the curve shows how far memory falls between steps.
    fn timeline(&self) -> Vec<TimelinePoint> {
        let bytes = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let moments = self.ears.timeline.moments();
        let points = moments.iter().flat_map(|moment| {
            let ms = moment.nanos as f64 / 1e6;
            [moment.least_in_use, moment.in_use].map(|in_use| TimelinePoint {
                ms,
                in_use: bytes(in_use),
                held: bytes(moment.held),
            })
        });
        points.collect()
    }
}
