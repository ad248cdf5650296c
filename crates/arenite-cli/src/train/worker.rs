//! The process of one strategy: takes orders on standard input, answers on standard output.
//!
//! Rests on [`Session`]. It ends when its input does.

use super::memory::{Memory, Strategy};
use super::session::{Ears, Session, listen};
use super::protocol::{Answer, Order, Spec};
use arenite_alloc::{Arena, Front, SizedPools, System};
use std::error::Error;
use std::io::{self, BufRead, Write};

/// Trains one strategy as told on standard input. `front` is the program's global allocator.
///
/// # Errors
/// [`io::Error`] if the conductor is gone; what fails in training is told to the conductor.
pub fn work(front: &'static Front) -> io::Result<()> {
    match obey(front) {
        // The conductor is gone: there is nobody to tell.
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) => {
            Ok(())
        }
        obeyed => obeyed,
    }
}

fn obey(front: &'static Front) -> io::Result<()> {
    let mut orders = io::stdin().lock().lines();
    let spec: Spec = parse(orders.next())?;
    let Order::Begin(strategy) = parse(orders.next())? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first order is not to begin"));
    };
    let mut orders = orders.map(|line| parse::<Order>(Some(line)));
    let worked = match strategy {
        Strategy::System => serve(strategy, System::new(), &spec, front, &mut orders),
        Strategy::Pool => serve(strategy, SizedPools::new(), &spec, front, &mut orders),
        Strategy::Arena => serve(strategy, Arena::new(), &spec, front, &mut orders),
    };
    match worked {
        Ok(()) => Ok(()),
        Err(error) => answer(&Answer::Failed(told(error.as_ref()))),
    }
}

/// An error and what caused it, in one line.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        // Errors that show what they wrap have said it already.
        if !text.contains(&below.to_string()) {
            text = format!("{text}: {below}");
        }
        cause = below.source();
    }
    text
}

fn parse<T: serde::de::DeserializeOwned>(line: Option<io::Result<String>>) -> io::Result<T> {
    let line = line.unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))?;
    Ok(serde_json::from_str(&line)?)
}

fn answer(answer: &Answer) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn serve<M: Memory>(
    strategy: Strategy,
    memory: M,
    spec: &Spec,
    front: &'static Front,
    orders: &mut dyn Iterator<Item = io::Result<Order>>,
) -> Result<(), Box<dyn Error>> {
    let ears = Ears::new();
    let memory = listen(memory, spec.limit, &ears);
    let mut session = Session::new(strategy, spec, &memory, &ears)?;
    answer(&session.ready())?;
    let recycling = spec.recycle.applies(M::RECYCLES).then(|| front.recycle());
    for order in orders {
        match order? {
            Order::Begin(_) => {}
            Order::Steps(count) => answer(&session.steps(count)?)?,
            Order::Finish(with_sample) => {
                drop(recycling);
                return Ok(answer(&session.finish(with_sample)?)?);
            }
        }
    }
    Ok(())
}
