//! The conductor: a process per strategy, taking turns.
//!
//! Rests on the workers' wire. One worker runs at a time, a few steps each, so that the machine's moods fall on all alike.

use super::TrainError;
use super::memory::Strategy;
use super::protocol::{Answer, Order, Spec, Trained};
use arenite_core::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Steps that a worker does in a turn.
const TURN: usize = 5;

/// Trains every strategy and gathers what they found.
pub(super) fn train(strategies: &[Strategy], spec: &Spec) -> Result<Trained, TrainError> {
    let mut trained = Trained::default();
    let mut workers = Vec::new();
    for &strategy in strategies {
        let mut worker = Worker::start(strategy, spec)?;
        match worker.listen()? {
            Answer::Ready { parameters, vocabulary } => {
                (trained.parameters, trained.vocabulary) = (parameters, vocabulary)
            }
            other => return Err(worker.unexpected(other)),
        }
        workers.push(worker);
    }
    let bar = progress(spec.steps.saturating_mul(strategies.len()));
    let mut done = 0;
    while done < spec.steps {
        let turn = TURN.min(spec.steps - done);
        for worker in &mut workers {
            let (loss, in_use) = worker.steps(turn)?;
            bar.inc(u64::try_from(turn).unwrap_or(0));
            let name = worker.strategy.to_string();
            bar.set_message(format!("{name:6} loss {loss:.3}  in use {}", Bytes(in_use)));
        }
        done += turn;
    }
    bar.finish_and_clear();
    for (at, worker) in workers.into_iter().enumerate() {
        let (report, prompt, sample) = worker.finish(at == 0)?;
        trained.strategies.push(report);
        if at == 0 {
            (trained.prompt, trained.sample) = (prompt, sample);
        }
    }
    Ok(trained)
}

fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(steps).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {per_sec}  {msg}  {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// A worker and the two ends of its pipes.
struct Worker {
    strategy: Strategy,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(strategy: Strategy, spec: &Spec) -> Result<Self, TrainError> {
        let fail = |source| TrainError::Process { strategy, source };
        let program = std::env::current_exe().map_err(fail)?;
        let mut command = Command::new(program);
        command.arg("train-worker").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(fail)?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(fail(io::ErrorKind::BrokenPipe.into()));
        };
        let mut worker = Self { strategy, child, orders: Some(orders), answers: BufReader::new(answers) };
        worker.say(&serde_json::to_string(spec)?)?;
        worker.order(Order::Begin(strategy))?;
        Ok(worker)
    }

    fn say(&mut self, line: &str) -> Result<(), TrainError> {
        let strategy = self.strategy;
        let Some(orders) = &mut self.orders else { return Ok(()) };
        let said = orders
            .write_all(line.as_bytes())
            .and_then(|()| orders.write_all(b"\n"))
            .and_then(|()| orders.flush());
        match said {
            // A worker that is gone has said why, or its exit status does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said.map_err(|source| TrainError::Process { strategy, source }),
        }
    }

    fn order(&mut self, order: Order) -> Result<(), TrainError> {
        self.say(&serde_json::to_string(&order)?)
    }

    fn listen(&mut self) -> Result<Answer, TrainError> {
        let strategy = self.strategy;
        let mut line = String::new();
        let read =
            self.answers.read_line(&mut line).map_err(|source| TrainError::Process { strategy, source })?;
        if read == 0 {
            let status =
                self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            let message =
                format!("its process ended ({status}); if it was killed, memory ran out: lower --batch");
            return Err(TrainError::Worker { strategy, message });
        }
        match serde_json::from_str(&line)? {
            Answer::Failed(message) => Err(TrainError::Worker { strategy, message }),
            answer => Ok(answer),
        }
    }

    fn unexpected(&self, answer: Answer) -> TrainError {
        TrainError::Worker { strategy: self.strategy, message: format!("unexpected answer {answer:?}") }
    }

    fn steps(&mut self, count: usize) -> Result<(f32, usize), TrainError> {
        self.order(Order::Steps(count))?;
        match self.listen()? {
            Answer::Stepped { loss, in_use } => Ok((loss, in_use)),
            other => Err(self.unexpected(other)),
        }
    }

    fn finish(
        mut self,
        with_sample: bool,
    ) -> Result<(crate::report::StrategyReport, String, String), TrainError> {
        self.order(Order::Finish(with_sample))?;
        match self.listen()? {
            Answer::Finished { report, prompt, sample } => Ok((*report, prompt, sample)),
            other => Err(self.unexpected(other)),
        }
    }
}

impl Drop for Worker {
    /// Ends the process: its input ends, and if it is at work it is not waited for.
    fn drop(&mut self) {
        self.orders = None;
        let _killed: io::Result<()> = self.child.kill();
        let _reaped: io::Result<std::process::ExitStatus> = self.child.wait();
    }
}
