//! The suite `ring`: messages through a ring of 64 KiB, between two threads or on one.
//!
//! Each round creates a ring outside the measured time and warms it up. A thread that finds too
//! little space or too few elements spins and polls again. The number of such polls decides most
//! of the time of two threads, so a faster call does not always win. The cases on one thread show
//! the cost of the calls alone.

use super::case::Case;
use super::ring_alone;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::message::{Element, Message};
use crate::report::Row;
use crate::rings::{
    Drained, Ends, InPlace, PopMessage, PopOne, PushMessage, PushOne, RING_BYTES, RING_WORDS, arenite,
    crossbeam, ringbuf, rtrb,
};
use crate::tally;
use crate::threads::threaded_round;
use std::hint::{black_box, spin_loop};

pub(super) const CASES: &[Case] = &[
    ("64 KiB: u64 one by one", one_by_one),
    ("64 KiB: u64 in batches of 64, per batch", batches),
    ("64 KiB: messages of 64 B", copied::<64>),
    ("64 KiB: messages of 1000 B", copied::<1000>),
    ("64 KiB: messages of 4096 B", copied::<4096>),
    ("64 KiB: messages of 64 B, read in place", in_place::<64>),
    ("64 KiB: messages of 1000 B, read in place", in_place::<1000>),
    ("64 KiB: messages of 4096 B, read in place", in_place::<4096>),
    ("64 KiB, one thread: u64 one by one", ring_alone::one_by_one),
    ("64 KiB, one thread: messages of 1000 B", ring_alone::copied::<1000>),
    ("64 KiB, one thread: messages of 1000 B, read in place", ring_alone::in_place::<1000>),
];

/// Number of words per turn: one ring full.
const WORDS_PER_TURN: u32 = 8 << 10;

const fn plan(messages: u32) -> Plan {
    // Rounds last several milliseconds, because two threads fall in and out of step and a round
    // must contain both.
    Plan { units: messages, metrics: &[Metric::Wall], rounds_of: RoundsOf::Time(40) }
}

/// The producer or the consumer of a ring, on its way to a thread.
enum End<I, O> {
    In(I),
    Out(O),
}

/// Creates a competitor that runs `body` on both ends of a fresh ring, on two threads.
fn ends<I: Send + 'static, O: Send + 'static>(
    name: &'static str,
    side: Side,
    make: impl Fn() -> Ends<I, O> + 'static,
    body: fn(&mut End<I, O>, u64) -> Result<(), AllocFailed>,
) -> Competitor<'static> {
    Competitor::self_timed(name, side, move |turns| {
        let (producer, consumer) = make()?;
        threaded_round(vec![End::In(producer), End::Out(consumer)], turns, body)
    })
}

/// Spins until `poll` returns a value.
#[inline(always)]
fn spin_until_some<A>(mut poll: impl FnMut() -> Option<A>) -> A {
    loop {
        if let Some(result) = poll() {
            return result;
        }
        spin_loop();
    }
}

fn words<I: PushOne<u64>, O: PopOne<u64>>(end: &mut End<I, O>, turns: u64) -> Result<(), AllocFailed> {
    let count = turns * u64::from(WORDS_PER_TURN);
    match end {
        End::In(producer) => {
            let producer = black_box(producer);
            for word in 0..count {
                spin_until_some(|| producer.push_one(word).then_some(()));
                tally::allocated(size_of::<u64>());
            }
        }
        End::Out(consumer) => {
            let consumer = black_box(consumer);
            let mut sum = 0u64;
            for _ in 0..count {
                let word = spin_until_some(|| consumer.pop_one());
                sum = sum.wrapping_add(word);
                tally::read(word);
            }
            black_box(sum);
        }
    }
    Ok(())
}

fn one_by_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let competitors = vec![
        ends("arenite", Side::Ours, || arenite(RING_WORDS), words),
        ends("rtrb", Side::Rival, || rtrb(RING_WORDS), words),
        ends("ringbuf", Side::Rival, || ringbuf(RING_WORDS), words),
        ends("crossbeam", Side::Rival, || crossbeam(RING_WORDS), words),
    ];
    bench.compare_by_distance(case, plan(WORDS_PER_TURN), competitors)
}

/// Number of messages per turn.
const MESSAGES_PER_TURN: u32 = 1 << 10;

/// Sends or receives messages of `LEN` elements.
fn messages<T: Element, I: PushMessage<T>, O: PopMessage<T>, const LEN: usize>(
    end: &mut End<I, O>,
    turns: u64,
) -> Result<(), AllocFailed> {
    let mut message = Message::<T, LEN>::new();
    let message = message.elements();
    let count = turns * u64::from(MESSAGES_PER_TURN);
    match end {
        End::In(producer) => {
            let producer = black_box(producer);
            for number in 0..count {
                T::number(message, number);
                let message = black_box(&*message);
                spin_until_some(|| producer.push_message(message).then_some(()));
                tally::allocated(size_of_val(message));
            }
        }
        End::Out(consumer) => {
            let consumer = black_box(consumer);
            let mut all = 0u64;
            for _ in 0..count {
                let sum =
                    spin_until_some(|| consumer.pop_message(message, |message| T::sum(black_box(message))));
                all = all.wrapping_add(sum);
                tally::read(sum);
            }
            black_box(all);
        }
    }
    Ok(())
}

/// Number of words in a batch.
const BATCH: usize = 64;

fn batches(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let in_place = || arenite(RING_WORDS).map(|(producer, consumer)| (InPlace(producer), InPlace(consumer)));
    let competitors = vec![
        ends("arenite", Side::Ours, || arenite(RING_WORDS), messages::<u64, _, _, BATCH>),
        ends("reserve, peek_exact", Side::Variant, in_place, messages::<u64, _, _, BATCH>),
        ends("rtrb", Side::Rival, || rtrb(RING_WORDS), messages::<u64, _, _, BATCH>),
        ends("ringbuf", Side::Rival, || ringbuf(RING_WORDS), messages::<u64, _, _, BATCH>),
    ];
    bench.compare_by_distance(case, plan(MESSAGES_PER_TURN), competitors)
}

/// Compares rings that copy messages in and out.
fn copied<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let competitors = vec![
        ends("arenite", Side::Ours, || arenite(RING_BYTES), messages::<u8, _, _, LEN>),
        ends("rtrb", Side::Rival, || rtrb(RING_BYTES), messages::<u8, _, _, LEN>),
        ends("ringbuf", Side::Rival, || ringbuf(RING_BYTES), messages::<u8, _, _, LEN>),
    ];
    bench.compare_by_distance(case, plan(MESSAGES_PER_TURN), competitors)
}

/// Compares rings that copy messages in and read them in place. Rivals copy out, except one that
/// copies only if it must.
fn in_place<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let ours = || arenite(RING_BYTES).map(|(producer, consumer)| (producer, InPlace(consumer)));
    let drained = || arenite(RING_BYTES).map(|(producer, consumer)| (producer, Drained::new(consumer)));
    let slices = || rtrb(RING_BYTES).map(|(producer, consumer)| (producer, InPlace(consumer)));
    let competitors = vec![
        ends("arenite", Side::Ours, ours, messages::<u8, _, _, LEN>),
        ends("given back in quarters", Side::Variant, drained, messages::<u8, _, _, LEN>),
        ends("rtrb", Side::Rival, || rtrb(RING_BYTES), messages::<u8, _, _, LEN>),
        ends("ringbuf", Side::Rival, || ringbuf(RING_BYTES), messages::<u8, _, _, LEN>),
        ends("rtrb, two slices", Side::Rival, slices, messages::<u8, _, _, LEN>),
    ];
    bench.compare_by_distance(case, plan(MESSAGES_PER_TURN), competitors)
}
