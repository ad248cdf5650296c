//! The training under one strategy: the model, its memory and the cost of each step.
//!
//! Counters are read before and after a step: page faults from the kernel, malloc calls from the
//! global allocator, and blocks from the tracker.

use super::memory::{Memory, Strategy};
use super::protocol::{Response, Spec};
use crate::report::{StrategyReport, TimelinePoint};
use arenite_alloc::{Global, Limit, StatsAllocator, Traced};
use arenite_core::{EventKind, Resource};
use arenite_observe::{MemoryTracker, ProcessUsage, Tee, Timeline};
use std::alloc::System as Malloc;
use std::time::Instant;
use workloads::char_lm::{CORPUS, Config, Model, Text};

/// Maximum number of samples in a timeline.
const MAX_SAMPLES: usize = 1000;

/// The cost of one step.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    loss: f32,
    ms: f64,
    faults: u64,
    malloc_calls: u64,
    blocks: usize,
}

/// The event sinks of a session.
#[derive(Debug)]
pub(super) struct Sinks {
    tracker: MemoryTracker,
    timeline: Timeline,
}

impl Sinks {
    pub(super) fn new() -> Self {
        Self { tracker: MemoryTracker::new(), timeline: Timeline::new(MAX_SAMPLES) }
    }
}

type TracedMemory<'s, M> = Traced<Limit<M>, Tee<&'s MemoryTracker, &'s Timeline>>;

/// Returns the memory of a session, with a limit, whose events go to the sinks.
pub(super) fn instrument<M: Memory>(memory: M, limit: Option<usize>, sinks: &Sinks) -> TracedMemory<'_, M> {
    let limited = Limit::new(memory, limit.unwrap_or(usize::MAX)).with_label("train");
    Traced::new(limited, Tee(&sinks.tracker, &sinks.timeline), "train")
}

/// A model in training under one strategy.
pub(super) struct Session<'m, 's, M: Memory> {
    strategy: Strategy,
    memory: &'m TracedMemory<'s, M>,
    sinks: &'s Sinks,
    text: Text,
    sample: usize,
    seed: u64,
    is_custom_text: bool,
    learning_warm_up: usize,
    model: Model<&'m TracedMemory<'s, M>>,
    costs: Vec<Cost>,
    peak_held: usize,
}

impl<'m, 's, M: Memory> Session<'m, 's, M> {
    /// Creates the model.
    pub(super) fn new(
        strategy: Strategy,
        spec: &Spec,
        memory: &'m TracedMemory<'s, M>,
        sinks: &'s Sinks,
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
        let (sample, seed, is_custom_text) = (spec.sample, spec.seed, spec.text.is_some());
        let learning_warm_up = spec.warm_up;
        Ok(Self {
            strategy,
            memory,
            sinks,
            text,
            sample,
            seed,
            is_custom_text,
            learning_warm_up,
            model,
            costs,
            peak_held: 0,
        })
    }

    pub(super) fn ready(&self) -> Response {
        Response::Ready { parameters: self.model.parameter_count(), vocabulary: self.text.vocabulary() }
    }

    /// Trains `count` steps.
    pub(super) fn steps(&mut self, count: usize) -> Result<Response, Box<dyn std::error::Error>> {
        let mut loss = f32::NAN;
        for _ in 0..count {
            let cost = self.step()?;
            loss = cost.loss;
            self.costs.push(cost);
        }
        Ok(Response::Stepped { loss, in_use_bytes: self.memory.state().in_use })
    }

    fn step(&mut self) -> Result<Cost, Box<dyn std::error::Error>> {
        let blocks = self.sinks.tracker.allocation_count();
        let faults = ProcessUsage::faults_now();
        let calls = StatsAllocator::<Malloc>::counts().upstream_calls;
        let began = Instant::now();
        let memory = self.memory.upstream().upstream();
        let step = memory.before_step()?;
        let loss = self.model.train_step(&self.text, self.memory)?;
        memory.after_step(step)?;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let cost = Cost {
            loss,
            ms,
            faults: ProcessUsage::faults_now() - faults,
            malloc_calls: StatsAllocator::<Malloc>::counts().upstream_calls - calls,
            blocks: self.sinks.tracker.allocation_count() - blocks,
        };
        self.memory.note(EventKind::Restore, 0);
        self.peak_held = self.peak_held.max(self.memory.state().held);
        Ok(cost)
    }

    /// Returns the report, and with `true` a sample of generated text.
    pub(super) fn finish(self, with_sample: bool) -> Result<Response, Box<dyn std::error::Error>> {
        let report = Box::new(self.report());
        let (mut prompt, mut sample) = (String::new(), String::new());
        if with_sample && self.sample > 0 {
            // a prompt that occurs in the text: the head of a doc comment, or the start of a file
            let start = if self.is_custom_text { self.text.opening(12) } else { "//! A ".to_owned() };
            let tokens =
                self.model.generate(&self.text.encode(&start), self.sample, 0.7, self.seed, Global)?;
            sample = self.text.decode(tokens.as_slice());
            sample = sample.strip_prefix(start.as_str()).map_or(sample.clone(), ToOwned::to_owned);
            prompt = start;
        }
        Ok(Response::Finished { report, prompt, sample })
    }

    fn report(&self) -> StrategyReport {
        // The first steps touch memory and fill caches for the first time. The step after the
        // warm-up of the learning rate runs its code for the first time.
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
            allocations_per_step: mean(|cost| cost.blocks as f64),
            malloc_calls_per_step: mean(|cost| cost.malloc_calls as f64),
            faults_per_step: mean(|cost| cost.faults as f64),
            peak_in_use_bytes: bytes(self.sinks.tracker.peak_usage()),
            peak_held_bytes: timeline
                .iter()
                .filter_map(|point| point.held_bytes)
                .max()
                .map(|held| held.max(bytes(self.peak_held))),
            max_rss_bytes: ProcessUsage::now().max_rss_bytes,
            losses: self.costs.iter().map(|cost| cost.loss).collect(),
            step_ms: self.costs.iter().map(|cost| cost.ms).collect(),
            timeline,
        }
    }

    /// Returns two points for each sample, its minimum and its maximum, so that the curve shows how
    /// far memory falls between steps. What malloc holds is unknown.
    fn timeline(&self) -> Vec<TimelinePoint> {
        let bytes = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let samples = self.sinks.timeline.samples();
        let points = samples.iter().flat_map(|sample| {
            let elapsed_ms = sample.nanos as f64 / 1e6;
            [sample.min_in_use, sample.in_use].map(|in_use| TimelinePoint {
                elapsed_ms,
                in_use_bytes: bytes(in_use),
                held_bytes: (self.strategy != Strategy::System).then(|| bytes(sample.held)),
            })
        });
        points.collect()
    }
}
