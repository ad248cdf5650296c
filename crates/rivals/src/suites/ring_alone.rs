//! Rings on one thread: some messages in, the same out, repeated.
//!
//! No thread waits and no cache line moves, so this is the cost of the calls and the copies.

use super::case::require;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::message::{Element, Message};
use crate::report::Row;
use crate::rings::{
    InPlace, PopMessage, PopOne, PushMessage, PushOne, RING_BYTES, RING_WORDS, arenite, crossbeam, ringbuf,
    rtrb,
};
use crate::tally;
use std::hint::black_box;

/// Number of messages that go in before the first comes out.
const BURST: u32 = 16;
const PLAN: Plan = Plan { units: BURST, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };

fn words(
    producer: &mut impl PushOne<u64>,
    consumer: &mut impl PopOne<u64>,
    turns: u64,
) -> Result<(), AllocFailed> {
    let (producer, consumer) = (black_box(producer), black_box(consumer));
    let mut sum = 0u64;
    for turn in 0..turns {
        for _ in 0..BURST {
            producer.push_one(turn).then_some(()).ok_or(AllocFailed)?;
            tally::allocated(size_of::<u64>());
        }
        for _ in 0..BURST {
            let word = consumer.pop_one().ok_or(AllocFailed)?;
            sum = sum.wrapping_add(word);
            tally::read(word);
        }
    }
    black_box(sum);
    Ok(())
}

fn word_competitor<I: PushOne<u64> + 'static, O: PopOne<u64> + 'static>(
    name: &'static str,
    side: Side,
    (mut producer, mut consumer): (I, O),
) -> Competitor<'static> {
    Competitor::timed(name, side, move |turns| words(&mut producer, &mut consumer, turns))
}

pub(super) fn one_by_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let competitors = vec![
        word_competitor("arenite", Side::Ours, require(case, "arenite", arenite(RING_WORDS))?),
        word_competitor("rtrb", Side::Rival, require(case, "rtrb", rtrb(RING_WORDS))?),
        word_competitor("ringbuf", Side::Rival, require(case, "ringbuf", ringbuf(RING_WORDS))?),
        word_competitor("crossbeam", Side::Rival, require(case, "crossbeam", crossbeam(RING_WORDS))?),
    ];
    bench.compare(case, PLAN, competitors)
}

fn messages<T: Element, const LEN: usize>(
    producer: &mut impl PushMessage<T>,
    consumer: &mut impl PopMessage<T>,
    turns: u64,
) -> Result<(), AllocFailed> {
    let mut message = Message::<T, LEN>::new();
    let message = message.elements();
    let (producer, consumer) = (black_box(producer), black_box(consumer));
    let mut all = 0u64;
    for turn in 0..turns {
        T::number(message, turn);
        for _ in 0..BURST {
            let message = black_box(&*message);
            producer.push_message(message).then_some(()).ok_or(AllocFailed)?;
            tally::allocated(size_of_val(message));
        }
        for _ in 0..BURST {
            let sum =
                consumer.pop_message(message, |message| T::sum(black_box(message))).ok_or(AllocFailed)?;
            all = all.wrapping_add(sum);
            tally::read(sum);
        }
    }
    black_box(all);
    Ok(())
}

fn message_competitor<I: PushMessage<u8> + 'static, O: PopMessage<u8> + 'static, const LEN: usize>(
    name: &'static str,
    side: Side,
    (mut producer, mut consumer): (I, O),
) -> Competitor<'static> {
    Competitor::timed(name, side, move |turns| messages::<u8, LEN>(&mut producer, &mut consumer, turns))
}

/// Compares rings that copy messages in and out.
pub(super) fn copied<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let competitors = vec![
        message_competitor::<_, _, LEN>(
            "arenite",
            Side::Ours,
            require(case, "arenite", arenite(RING_BYTES))?,
        ),
        message_competitor::<_, _, LEN>("rtrb", Side::Rival, require(case, "rtrb", rtrb(RING_BYTES))?),
        message_competitor::<_, _, LEN>(
            "ringbuf",
            Side::Rival,
            require(case, "ringbuf", ringbuf(RING_BYTES))?,
        ),
    ];
    bench.compare(case, PLAN, competitors)
}

/// Compares rings that copy messages in and read them in place, as far as the library allows.
pub(super) fn in_place<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let (producer, consumer) = require(case, "arenite", arenite(RING_BYTES))?;
    let (producer_slices, consumer_slices) = require(case, "rtrb, two slices", rtrb(RING_BYTES))?;
    let competitors = vec![
        message_competitor::<_, _, LEN>("arenite", Side::Ours, (producer, InPlace(consumer))),
        message_competitor::<_, _, LEN>("rtrb", Side::Rival, require(case, "rtrb", rtrb(RING_BYTES))?),
        message_competitor::<_, _, LEN>(
            "ringbuf",
            Side::Rival,
            require(case, "ringbuf", ringbuf(RING_BYTES))?,
        ),
        message_competitor::<_, _, LEN>(
            "rtrb, two slices",
            Side::Rival,
            (producer_slices, InPlace(consumer_slices)),
        ),
    ];
    bench.compare(case, PLAN, competitors)
}
