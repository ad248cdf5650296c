//! The coordinator: one process per strategy, taking turns.
//!
//! One worker runs at a time, for a few steps, so that a change of the machine's speed affects all
//! of them.

use super::error::TrainError;
use super::memory::Strategy;
use super::protocol::{Request, Response, Spec, Trained};
use super::worker::WORKER_ARGUMENT;
use crate::report::StrategyReport;
use arenite_core::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Steps of a worker in one turn.
const STEPS_PER_TURN: usize = 5;

/// Trains every strategy and collects the results.
pub(super) fn train(strategies: &[Strategy], spec: &Spec) -> Result<Trained, TrainError> {
    let mut trained = Trained::default();
    let mut workers = Vec::new();
    for &strategy in strategies {
        let mut worker = Worker::start(strategy, spec)?;
        match worker.receive()? {
            Response::Ready { parameters, vocabulary } => {
                (trained.parameters, trained.vocabulary) = (parameters, vocabulary)
            }
            other => return Err(worker.unexpected(other)),
        }
        workers.push(worker);
    }
    let bar = progress(spec.steps.saturating_mul(strategies.len()));
    let mut done = 0;
    while done < spec.steps {
        let turn = STEPS_PER_TURN.min(spec.steps - done);
        for worker in &mut workers {
            let (loss, in_use_bytes) = worker.steps(turn)?;
            bar.inc(u64::try_from(turn).unwrap_or(0));
            let name = worker.strategy.to_string();
            bar.set_message(format!("{name:6} loss {loss:.3}  in use {}", Bytes(in_use_bytes)));
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

/// A worker process and its two pipes.
struct Worker {
    strategy: Strategy,
    child: Child,
    requests: Option<ChildStdin>,
    responses: BufReader<ChildStdout>,
}

impl Worker {
    fn start(strategy: Strategy, spec: &Spec) -> Result<Self, TrainError> {
        let fail = |source| TrainError::Process { strategy, source };
        let program = std::env::current_exe().map_err(fail)?;
        let mut command = Command::new(program);
        command.arg(WORKER_ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(fail)?;
        let (Some(requests), Some(responses)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(fail(io::ErrorKind::BrokenPipe.into()));
        };
        let mut worker =
            Self { strategy, child, requests: Some(requests), responses: BufReader::new(responses) };
        worker.send(&serde_json::to_string(spec)?)?;
        worker.request(Request::Start(strategy))?;
        Ok(worker)
    }

    fn send(&mut self, line: &str) -> Result<(), TrainError> {
        let strategy = self.strategy;
        let Some(requests) = &mut self.requests else { return Ok(()) };
        let sent = requests
            .write_all(line.as_bytes())
            .and_then(|()| requests.write_all(b"\n"))
            .and_then(|()| requests.flush());
        match sent {
            // a worker that has exited sent its error, or its exit status has it
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.map_err(|source| TrainError::Process { strategy, source }),
        }
    }

    fn request(&mut self, request: Request) -> Result<(), TrainError> {
        self.send(&serde_json::to_string(&request)?)
    }

    fn receive(&mut self) -> Result<Response, TrainError> {
        let strategy = self.strategy;
        let mut line = String::new();
        let read =
            self.responses.read_line(&mut line).map_err(|source| TrainError::Process { strategy, source })?;
        if read == 0 {
            let status =
                self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            let message = format!(
                "its process exited ({status}); if it was killed, memory ran out: use a smaller --batch"
            );
            return Err(TrainError::Worker { strategy, message });
        }
        match serde_json::from_str(&line)? {
            Response::Failed(message) => Err(TrainError::Worker { strategy, message }),
            response => Ok(response),
        }
    }

    fn unexpected(&self, response: Response) -> TrainError {
        TrainError::Worker { strategy: self.strategy, message: format!("unexpected response {response:?}") }
    }

    fn steps(&mut self, count: usize) -> Result<(f32, usize), TrainError> {
        self.request(Request::Steps(count))?;
        match self.receive()? {
            Response::Stepped { loss, in_use_bytes } => Ok((loss, in_use_bytes)),
            other => Err(self.unexpected(other)),
        }
    }

    fn finish(mut self, with_sample: bool) -> Result<(StrategyReport, String, String), TrainError> {
        self.request(Request::Finish(with_sample))?;
        match self.receive()? {
            Response::Finished { report, prompt, sample } => Ok((*report, prompt, sample)),
            other => Err(self.unexpected(other)),
        }
    }
}

impl Drop for Worker {
    /// Ends the process: closes its input, kills it and reaps it.
    fn drop(&mut self) {
        self.requests = None;
        let _killed: io::Result<()> = self.child.kill();
        let _reaped: io::Result<std::process::ExitStatus> = self.child.wait();
    }
}
