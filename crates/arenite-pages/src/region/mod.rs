//! Regions: reserved address ranges, and everything that can be done with the memory behind them.
//!
//! Rests on `os`. In the order of a region's life: [`RegionOptions`] reserves; [`Region`] commits, protects and releases;
//! `access` reads and writes bytes that may not be there; `advice` and [`Prefetch`] tell the kernel what comes;
//! [`Offer`] lends memory back to it; `remap` moves without copying; [`WriteWatch`] sees what was written; [`RegionInfo`]
//! says what the kernel knows; the registry knows every region of this process.

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
