//! Rings on one thread: some messages in, the same out, again and again.
//!
//! Rests on the ends of [`rings`](crate::rings). Nobody waits and no cache line travels, so this is what the calls and the copies cost.

use super::made;
use super::ring::{RING, WORDS};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::message::{Element, Message};
use crate::report::Row;
use crate::rings::{Give, GiveAll, InPlace, Take, TakeAll, arenite, crossbeam, ringbuf, rtrb};
use crate::tally;
use std::hint::black_box;

/// Messages that go in before the first comes out.
const BURST: u32 = 16;
const PLAN: Plan = Plan { units: BURST, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };

fn words(give: &mut impl Give<u64>, take: &mut impl Take<u64>, turns: u64) -> Result<(), Refused> {
    let (give, take) = (black_box(give), black_box(take));
    let mut sum = 0u64;
    for turn in 0..turns {
        for _ in 0..BURST {
            give.give(turn).then_some(()).ok_or(Refused)?;
            tally::lent(size_of::<u64>());
        }
        for _ in 0..BURST {
            let word = take.take().ok_or(Refused)?;
            sum = sum.wrapping_add(word);
            tally::read(word);
        }
    }
    black_box(sum);
    Ok(())
}

fn of_words<I: Give<u64> + 'static, O: Take<u64> + 'static>(
    name: &'static str,
    side: Side,
    (mut give, mut take): (I, O),
) -> Contestant<'static> {
    Contestant::timed(name, side, move |turns| words(&mut give, &mut take, turns))
}

pub(super) fn one_by_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let contestants = vec![
        of_words("arenite", Side::Ours, made(case, "arenite", arenite(WORDS))?),
        of_words("rtrb", Side::Rival, made(case, "rtrb", rtrb(WORDS))?),
        of_words("ringbuf", Side::Rival, made(case, "ringbuf", ringbuf(WORDS))?),
        of_words("crossbeam", Side::Rival, made(case, "crossbeam", crossbeam(WORDS))?),
    ];
    bench.compare(case, PLAN, contestants)
}

fn messages<T: Element, const LEN: usize>(
    give: &mut impl GiveAll<T>,
    take: &mut impl TakeAll<T>,
    turns: u64,
) -> Result<(), Refused> {
    let mut message = Message::<T, LEN>::new();
    let message = message.elements();
    let (give, take) = (black_box(give), black_box(take));
    let mut all = 0u64;
    for turn in 0..turns {
        T::number(message, turn);
        for _ in 0..BURST {
            let message = black_box(&*message);
            give.give_all(message).then_some(()).ok_or(Refused)?;
            tally::lent(size_of_val(message));
        }
        for _ in 0..BURST {
            let sum = take.take_all(message, |message| T::sum(black_box(message))).ok_or(Refused)?;
            all = all.wrapping_add(sum);
            tally::read(sum);
        }
    }
    black_box(all);
    Ok(())
}

fn of_bytes<I: GiveAll<u8> + 'static, O: TakeAll<u8> + 'static, const LEN: usize>(
    name: &'static str,
    side: Side,
    (mut give, mut take): (I, O),
) -> Contestant<'static> {
    Contestant::timed(name, side, move |turns| messages::<u8, LEN>(&mut give, &mut take, turns))
}

/// In and out by a copy.
pub(super) fn copied<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let contestants = vec![
        of_bytes::<_, _, LEN>("arenite", Side::Ours, made(case, "arenite", arenite(RING))?),
        of_bytes::<_, _, LEN>("rtrb", Side::Rival, made(case, "rtrb", rtrb(RING))?),
        of_bytes::<_, _, LEN>("ringbuf", Side::Rival, made(case, "ringbuf", ringbuf(RING))?),
    ];
    bench.compare(case, PLAN, contestants)
}

/// In by a copy, and read where it lies, as far as the library lets one.
pub(super) fn in_place<const LEN: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let (give, take) = made(case, "arenite", arenite(RING))?;
    let (give_slices, take_slices) = made(case, "rtrb, two slices", rtrb(RING))?;
    let contestants = vec![
        of_bytes::<_, _, LEN>("arenite", Side::Ours, (give, InPlace(take))),
        of_bytes::<_, _, LEN>("rtrb", Side::Rival, made(case, "rtrb", rtrb(RING))?),
        of_bytes::<_, _, LEN>("ringbuf", Side::Rival, made(case, "ringbuf", ringbuf(RING))?),
        of_bytes::<_, _, LEN>("rtrb, two slices", Side::Rival, (give_slices, InPlace(take_slices))),
    ];
    bench.compare(case, PLAN, contestants)
}
