//! Control groups: the memory limits above this process, and the events that they count.

#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod cgroup;
mod cgroup_events;

pub use cgroup::{Cgroup, CgroupLevel, CgroupVersion};
pub(super) use cgroup::{each_level, folders, with_group};
pub use cgroup_events::CgroupEvents;
