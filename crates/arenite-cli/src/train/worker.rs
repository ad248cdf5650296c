//! The process of one strategy: reads requests from standard input, writes responses to standard
//! output.
//!
//! The process exits when its input ends.

use super::memory::{Memory, Strategy};
use super::protocol::{Request, Response, Spec};
use super::session::{Session, Sinks, instrument};
use crate::error_chain;
use arenite_alloc::{Arena, BinnedPools, CountedGlobal, StatsAllocator};
use std::error::Error;
use std::io::{self, BufRead, Write};

/// The argument that starts the command as a worker.
pub const WORKER_ARGUMENT: &str = "train-worker";

/// Trains one strategy with the requests on standard input.
///
/// `stats` is the program's global allocator.
///
/// # Errors
/// [`io::Error`] if a pipe fails. An error in training is a response to the coordinator.
pub fn run_worker(stats: &'static StatsAllocator) -> io::Result<()> {
    match handle_requests(stats) {
        // the coordinator has exited, so nothing reads the responses
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) => {
            Ok(())
        }
        handled => handled,
    }
}

fn handle_requests(stats: &'static StatsAllocator) -> io::Result<()> {
    let mut requests = io::stdin().lock().lines();
    let spec: Spec = parse(requests.next())?;
    let Request::Start(strategy) = parse(requests.next())? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first request is not `Start`"));
    };
    let mut requests = requests.map(|line| parse::<Request>(Some(line)));
    let served = match strategy {
        Strategy::System => serve(strategy, CountedGlobal::new(), &spec, stats, &mut requests),
        Strategy::Pool => serve(strategy, BinnedPools::new(), &spec, stats, &mut requests),
        Strategy::Arena => serve(strategy, Arena::new(), &spec, stats, &mut requests),
    };
    match served {
        Ok(()) => Ok(()),
        Err(error) => respond(&Response::Failed(error_chain(error.as_ref()))),
    }
}

fn parse<T: serde::de::DeserializeOwned>(line: Option<io::Result<String>>) -> io::Result<T> {
    let line = line.unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))?;
    Ok(serde_json::from_str(&line)?)
}

fn respond(response: &Response) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, response)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn serve<M: Memory>(
    strategy: Strategy,
    memory: M,
    spec: &Spec,
    stats: &'static StatsAllocator,
    requests: &mut dyn Iterator<Item = io::Result<Request>>,
) -> Result<(), Box<dyn Error>> {
    let sinks = Sinks::new();
    let memory = instrument(memory, spec.limit, &sinks);
    let mut session = Session::new(strategy, spec, &memory, &sinks)?;
    respond(&session.ready())?;
    let scratch_cache = spec.cache_scratch.applies(M::CACHES_SCRATCH).then(|| stats.recycle_scope());
    for request in requests {
        match request? {
            Request::Start(_) => {}
            Request::Steps(count) => respond(&session.steps(count)?)?,
            Request::Finish(with_sample) => {
                drop(scratch_cache);
                return Ok(respond(&session.finish(with_sample)?)?);
            }
        }
    }
    Ok(())
}
