//! Control groups: the memory limits above this process, and the events that they count.

#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod cgroup;
mod cgroup_events;

pub use cgroup::{Cgroup, CgroupLevel};
pub(super) use cgroup::{for_each_level, level_paths, with_cgroup};
pub use cgroup_events::CgroupEvents;
