//! A job whose caches are larger than its memory may be.
//!
//! Rests on whatever keeps them. It fills tables and then reads and changes them in an order of no pattern; the sum at the end says
//! whether each was what it should have been.

/// What keeps tables of numbers.
pub trait Caches {
    /// Why one cannot be had.
    type Error;

    /// Makes another table of `len` zeroes.
    ///
    /// # Errors
    /// Where there is no room for it.
    fn make(&mut self, len: usize) -> Result<(), Self::Error>;

    /// Has `change` look at table `at`, from 0.
    ///
    /// # Errors
    /// Where it cannot be had.
    fn with(&mut self, at: usize, change: impl FnOnce(&mut [u64])) -> Result<(), Self::Error>;
}

impl Caches for Vec<Vec<u64>> {
    type Error = core::convert::Infallible;

    fn make(&mut self, len: usize) -> Result<(), Self::Error> {
        self.push(vec![0; len]);
        Ok(())
    }

    fn with(&mut self, at: usize, change: impl FnOnce(&mut [u64])) -> Result<(), Self::Error> {
        change(&mut self[at]);
        Ok(())
    }
}

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

/// Fills `count` tables of `len` numbers, changes each `passes` times, and returns their sum. `observe` hears of each table that
/// was done and of all there are to do.
///
/// ```
/// use workloads::caches::job;
/// let sum = job(&mut Vec::new(), 3, 100, 2, |_, _| {})?;
/// assert_eq!(sum, job(&mut Vec::new(), 3, 100, 2, |_, _| {})?);
/// # Ok::<(), core::convert::Infallible>(())
/// ```
///
/// # Errors
/// What the caches refuse.
pub fn job<C: Caches>(
    caches: &mut C,
    count: usize,
    len: usize,
    passes: usize,
    mut observe: impl FnMut(usize, usize),
) -> Result<u64, C::Error> {
    let all = count * (passes + 1);
    for table in 0..count {
        caches.make(len)?;
        caches.with(table, |numbers| {
            for (at, number) in numbers.iter_mut().enumerate() {
                *number = mix((table * len + at) as u64);
            }
        })?;
        observe(table + 1, all);
    }
    let mut sum = 0_u64;
    for pass in 0..passes {
        for turn in 0..count {
            let table = (turn * 7 + pass) % count;
            caches.with(table, |numbers| {
                for number in numbers {
                    sum = mix(sum ^ *number);
                    *number = number.wrapping_add(sum);
                }
            })?;
            observe(count * (pass + 1) + turn + 1, all);
        }
    }
    Ok(sum)
}
