//! A job whose caches do not fit in its memory.
//!
//! The job fills tables, then reads and changes them in a pseudo-random order. The final sum shows
//! whether every table had its expected contents.

/// A store of tables of numbers.
pub trait Caches {
    /// The error of a table that cannot be created or accessed.
    type Error;

    /// Creates another table of `len` zeroes.
    ///
    /// # Errors
    /// If there is not enough memory.
    fn make(&mut self, len: usize) -> Result<(), Self::Error>;

    /// Calls `change` with table `at`, counted from 0.
    ///
    /// # Errors
    /// If the table cannot be loaded.
    fn with_table(&mut self, at: usize, change: impl FnOnce(&mut [u64])) -> Result<(), Self::Error>;
}

impl Caches for Vec<Vec<u64>> {
    type Error = core::convert::Infallible;

    fn make(&mut self, len: usize) -> Result<(), Self::Error> {
        self.push(vec![0; len]);
        Ok(())
    }

    fn with_table(&mut self, at: usize, change: impl FnOnce(&mut [u64])) -> Result<(), Self::Error> {
        change(&mut self[at]);
        Ok(())
    }
}

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

/// Fills `count` tables of `len` numbers, changes each `passes` times and returns their sum.
///
/// `observe` is called after each table with the number of finished tables and the total.
///
/// ```
/// use workloads::caches::run;
/// let sum = run(&mut Vec::new(), 3, 100, 2, |_, _| {})?;
/// assert_eq!(sum, run(&mut Vec::new(), 3, 100, 2, |_, _| {})?);
/// # Ok::<(), core::convert::Infallible>(())
/// ```
///
/// # Errors
/// The error of the caches.
pub fn run<C: Caches>(
    caches: &mut C,
    count: usize,
    len: usize,
    passes: usize,
    mut observe: impl FnMut(usize, usize),
) -> Result<u64, C::Error> {
    let all = count * (passes + 1);
    for table in 0..count {
        caches.make(len)?;
        caches.with_table(table, |numbers| {
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
            caches.with_table(table, |numbers| {
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
