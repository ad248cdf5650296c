//! An unpredictable seed.
//!
//! For orders and addresses, not for keys: without system randomness it is made of the time and
//! addresses.

use crate::os;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a seed for a generator of random orders. One system call, and no allocation if the
/// system has randomness.
///
/// ```
/// assert_ne!(arenite_pages::random_seed(), arenite_pages::random_seed());
/// ```
#[must_use]
pub fn random_seed() -> u64 {
    os::random().unwrap_or_else(|| {
        let mut hasher = RandomState::new().build_hasher();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        hasher.write_u128(now.as_nanos());
        hasher.finish()
    })
}
