//! Which control group this process is in, and in which folder that group is to be seen.
//!
//! Rests on the notation of `/proc/self/cgroup` and `/proc/self/mountinfo`. It is apart from the group's files because the
//! two texts disagree in containers, where a group's name is told from outside and its mount from inside.

use super::CgroupVersion;
use std::path::{Path, PathBuf};

/// The group of the memory controller: its own tree in version 1 if there is one, else the one tree of version 2.
pub(super) fn own_group(text: &str) -> Option<(CgroupVersion, &str)> {
    let parts = |line| {
        let (tree, rest) = str::split_once(line, ':')?;
        let (controllers, group) = rest.split_once(':')?;
        Some((tree, controllers, group))
    };
    let lines = || text.lines().filter_map(parts);
    let v1 = lines().find(|(_, controllers, _)| controllers.split(',').any(|name| name == "memory"));
    let v2 = || lines().find(|(tree, controllers, _)| *tree == "0" && controllers.is_empty());
    v1.map(|(_, _, group)| (CgroupVersion::V1, group))
        .or_else(|| v2().map(|(_, _, group)| (CgroupVersion::V2, group)))
}

/// Where the tree is mounted, and the group's folder below. The group may lie outside what is mounted (a container that
/// sees its own group as the mount): then the mount itself is the nearest level that can be read.
pub(super) fn mounted(mountinfo: &str, version: CgroupVersion, group: &str) -> Option<(PathBuf, PathBuf)> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1).unwrap_or(""));
        let fits = match version {
            CgroupVersion::V1 => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
            CgroupVersion::V2 => kind == "cgroup2",
        };
        let mut left = left.split(' ').skip(3);
        let (top, mount) = (left.next()?, PathBuf::from(unescaped(left.next()?)));
        let below = Path::new(group).strip_prefix(unescaped(top)).unwrap_or(Path::new(""));
        let folder =
            if group.split('/').any(|part| part == "..") { mount.clone() } else { mount.join(below) };
        fits.then_some((mount, folder))
    })
}

/// `mountinfo` writes a space as `\040`, and so on for tab, line feed and backslash.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn u24_a_mount_may_have_spaces_and_a_group_colons() {
        let escaped = mounted("1 2 0:1 / /my\\040groups rw - cgroup2 none rw\n", CgroupVersion::V2, "/a");
        assert_eq!(escaped, Some((PathBuf::from("/my groups"), PathBuf::from("/my groups/a"))));
        assert_eq!(own_group("7:cpu:/x\n4:hugetlb,memory:/a:b\n0::/c"), Some((CgroupVersion::V1, "/a:b")));
        assert_eq!(own_group("7:cpu:/x\n0::/c"), Some((CgroupVersion::V2, "/c")));
    }

    proptest! {
        #[test]
        fn u24_any_group_stays_below_its_mount(group in "[a-z./:0-9\n]{0,30}", line in "[a-z0-9 /:-]{0,60}") {
            prop_assert!(own_group(&group).is_none_or(|(_, own)| group.contains(own)));
            for mounts in [line.clone(), format!("1 2 0:1 /{line} /m rw - cgroup2 none rw")] {
                let found = mounted(&mounts, CgroupVersion::V2, &group);
                prop_assert!(found.is_none_or(|(mount, folder)| folder.starts_with(mount)));
            }
        }
    }
}
