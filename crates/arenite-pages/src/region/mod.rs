//! Regions: reserved address ranges, and the operations on their memory.
//!
//! In the order of a region's life:
//!
//! - `options`: [`RegionOptions`] describes a reservation.
//! - `region`: [`Region`] reserves, commits, protects and releases.
//! - `prot_none`: the committed ranges without access.
//! - `access`: reads and writes bytes that may be inaccessible.
//! - `advice`, `prefetch`: advice to the kernel, and [`Prefetch`] with many threads.
//! - `offer`: [`Offer`] offers memory to the kernel.
//! - `remap`: moves memory without a copy.
//! - `write_watch`: [`WriteWatch`] finds the OS pages that were written.
//! - `query`, `residency`: [`RegionInfo`] and what is in memory.
//! - `registry`: all regions of this process.
//! - `os_page`: the size of an OS page.

mod access;
mod advice;
mod offer;
mod options;
mod os_page;
mod prefetch;
mod prot_none;
mod protection;
mod query;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod region;
mod registry;
mod remap;
mod residency;
mod write_watch;

pub(crate) use offer::OfferedPages;
pub use offer::{Offer, Reclaimed};
pub use options::RegionOptions;
pub use os_page::page_size;
pub(crate) use os_page::round_up;
pub use prefetch::Prefetch;
pub use protection::{Protection, ProtectionError};
pub use query::{PageStatus, RegionInfo};
pub use region::Region;
pub use registry::{RegionEntry, RegionStats, regions, stats};
pub(crate) use registry::{lock_for_fork, unlock_after_fork};
pub(crate) use residency::residency;
pub use residency::resident_bytes;
pub(crate) use write_watch::WatchState;
pub use write_watch::WriteWatch;
