//! The suite `ring`: messages through a ring of 64 KiB, from one thread to another, or in and out on one.
//!
//! Rests on the ends of [`rings`](crate::rings) and on [`threads`](crate::threads). A ring is made for each round, outside the measured time,
//! and the unmeasured part of the round goes through it first. Whoever finds no room, or too little, spins and asks again:
//! how often that happens decides most of the time of two threads, so an end that is faster is not always the better one.
//! The cases on one thread show the calls alone.

use super::{Case, ring_alone};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::message::{Element, Message};
use crate::report::Row;
use crate::rings::{Drained, Ends, Give, GiveAll, InPlace, Take, TakeAll, arenite, crossbeam, ringbuf, rtrb};
use crate::tally;
use crate::threads::round;
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

/// What every ring has room for, in bytes and in words.
pub(super) const RING: usize = 64 << 10;
pub(super) const WORDS: usize = RING / size_of::<u64>();

/// Words in a turn: a ring full of them.
const TURN: u32 = 8 << 10;

const fn plan(messages: u32) -> Plan {
    // rounds of several milliseconds: two threads fall in step and out of it again, and a round must see both
    Plan { units: messages, metrics: &[Metric::Wall], rounds_of: RoundsOf::Time(40) }
}

/// One end of a ring, on its way to a thread.
enum End<I, O> {
    In(I),
    Out(O),
}

/// Lets two threads run `body` on the ends of a fresh ring.
fn ends<I: Send + 'static, O: Send + 'static>(
    name: &'static str,
    side: Side,
    make: impl Fn() -> Ends<I, O> + 'static,
    body: fn(&mut End<I, O>, u64) -> Result<(), Refused>,
) -> Contestant<'static> {
    Contestant::reading(name, side, move |turns| {
        let (give, take) = make()?;
        round(vec![End::In(give), End::Out(take)], turns, body)
    })
}

/// Asks until the answer is yes.
#[inline(always)]
fn until<A>(mut ask: impl FnMut() -> Option<A>) -> A {
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        spin_loop();
    }
}

fn words<I: Give<u64>, O: Take<u64>>(end: &mut End<I, O>, turns: u64) -> Result<(), Refused> {
    let count = turns * u64::from(TURN);
    match end {
        End::In(give) => {
            let give = black_box(give);
            for word in 0..count {
                until(|| give.give(word).then_some(()));
                tally::lent(size_of::<u64>());
            }
        }
        End::Out(take) => {
            let take = black_box(take);
            let mut sum = 0u64;
            for _ in 0..count {
                let word = until(|| take.take());
                sum = sum.wrapping_add(word);
                tally::read(word);
            }
            black_box(sum);
        }
    }
    Ok(())
}

fn one_by_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let contestants = vec![
        ends("arenite", Side::Ours, || arenite(WORDS), words),
        ends("rtrb", Side::Rival, || rtrb(WORDS), words),
        ends("ringbuf", Side::Rival, || ringbuf(WORDS), words),
        ends("crossbeam", Side::Rival, || crossbeam(WORDS), words),
    ];
    bench.compare_by_distance(case, plan(TURN), contestants)
}

/// Messages in a turn.
const MESSAGES: u32 = 1 << 10;

/// Messages of `LEN` elements.
fn messages<T: Element, I: GiveAll<T>, O: TakeAll<T>, const LEN: usize>(
    end: &mut End<I, O>,
    turns: u64,
) -> Result<(), Refused> {
    let mut message = Message::<T, LEN>::new();
    let message = message.elements();
    let count = turns * u64::from(MESSAGES);
    match end {
        End::In(give) => {
            let give = black_box(give);
            for number in 0..count {
                T::number(message, number);
                let message = black_box(&*message);
                until(|| give.give_all(message).then_some(()));
                tally::lent(size_of_val(message));
            }
        }
        End::Out(take) => {
            let take = black_box(take);
            let mut all = 0u64;
            for _ in 0..count {
                let sum = until(|| take.take_all(message, |message| T::sum(black_box(message))));
                all = all.wrapping_add(sum);
                tally::read(sum);
            }
            black_box(all);
        }
    }
    Ok(())
}

/// Words in a batch.
const BATCH: usize = 64;

fn batches(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let in_place = || arenite(WORDS).map(|(give, take)| (InPlace(give), InPlace(take)));
    let contestants = vec![
        ends("arenite", Side::Ours, || arenite(WORDS), messages::<u64, _, _, BATCH>),
        ends("reserve, peek_exact", Side::Variant, in_place, messages::<u64, _, _, BATCH>),
        ends("rtrb", Side::Rival, || rtrb(WORDS), messages::<u64, _, _, BATCH>),
        ends("ringbuf", Side::Rival, || ringbuf(WORDS), messages::<u64, _, _, BATCH>),
    ];
    bench.compare_by_distance(case, plan(MESSAGES), contestants)
}

/// In and out by a copy.
fn copied<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let contestants = vec![
        ends("arenite", Side::Ours, || arenite(RING), messages::<u8, _, _, LEN>),
        ends("rtrb", Side::Rival, || rtrb(RING), messages::<u8, _, _, LEN>),
        ends("ringbuf", Side::Rival, || ringbuf(RING), messages::<u8, _, _, LEN>),
    ];
    bench.compare_by_distance(case, plan(MESSAGES), contestants)
}

/// In by a copy, and read where it lies; the rivals copy it out, but one that does so only where it must.
fn in_place<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let ours = || arenite(RING).map(|(give, take)| (give, InPlace(take)));
    let drained = || arenite(RING).map(|(give, take)| (give, Drained::new(take)));
    let slices = || rtrb(RING).map(|(give, take)| (give, InPlace(take)));
    let contestants = vec![
        ends("arenite", Side::Ours, ours, messages::<u8, _, _, LEN>),
        ends("given back in quarters", Side::Variant, drained, messages::<u8, _, _, LEN>),
        ends("rtrb", Side::Rival, || rtrb(RING), messages::<u8, _, _, LEN>),
        ends("ringbuf", Side::Rival, || ringbuf(RING), messages::<u8, _, _, LEN>),
        ends("rtrb, two slices", Side::Rival, slices, messages::<u8, _, _, LEN>),
    ];
    bench.compare_by_distance(case, plan(MESSAGES), contestants)
}
