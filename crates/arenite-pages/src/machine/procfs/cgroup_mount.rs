//! Which control group this process is in, and in which folder that group is to be seen.
//!
//! Rests on the notation of `/proc/self/cgroup` and `/proc/self/mountinfo`. It is apart from the group's files because the
//! two texts disagree in containers, where a group's name is told from outside and its mount from inside.

use super::fixed_path::FixedPath;
use std::path::Path;

/// Which interface a control group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One tree for each controller.
    V1,
    /// One tree for all.
    V2,
}

/// The group of the memory controller: its own tree in version 1 if there is one, else the one tree of version 2.
pub(in crate::machine) fn own_group(text: &str) -> Option<(CgroupVersion, &str)> {
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

/// Sets `mount` to where the tree is mounted and `folder` to the group's folder below, if this line of `mountinfo` says so. The group may
/// lie outside what is mounted (a container that sees its own group as the mount): then the mount itself is the nearest level that
/// can be read.
pub(in crate::machine) fn mounted(
    line: &str,
    version: CgroupVersion,
    group: &str,
    mount: &mut FixedPath,
    folder: &mut FixedPath,
) -> Option<()> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1).unwrap_or(""));
    let fits = match version {
        CgroupVersion::V1 => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
        CgroupVersion::V2 => kind == "cgroup2",
    };
    if !fits {
        return None;
    }
    let mut left = left.split(' ').skip(3);
    // what of the tree is mounted there
    folder.set_escaped(left.next()?)?;
    mount.set_escaped(left.next()?)?;
    let below = Path::new(group).strip_prefix(&**folder).unwrap_or(Path::new(""));
    folder.set(mount)?;
    if !group.split('/').any(|part| part == "..") {
        folder.push(below.as_os_str())?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn u24_a_mount_may_have_spaces_and_a_group_colons() {
        let (mut mount, mut folder) = (FixedPath::new(), FixedPath::new());
        let line = "1 2 0:1 / /my\\040groups rw - cgroup2 none rw";
        mounted(line, CgroupVersion::V2, "/a", &mut mount, &mut folder).unwrap();
        assert_eq!((&*mount, &*folder), (Path::new("/my groups"), Path::new("/my groups/a")));
        assert_eq!(own_group("7:cpu:/x\n4:hugetlb,memory:/a:b\n0::/c"), Some((CgroupVersion::V1, "/a:b")));
        assert_eq!(own_group("7:cpu:/x\n0::/c"), Some((CgroupVersion::V2, "/c")));
    }

    proptest! {
        #[test]
        fn u24_any_group_stays_below_its_mount(group in "[a-z./:0-9\n]{0,30}", line in "[a-z0-9 /:-]{0,60}") {
            prop_assert!(own_group(&group).is_none_or(|(_, own)| group.contains(own)));
            for mounts in [line.clone(), format!("1 2 0:1 /{line} /m rw - cgroup2 none rw")] {
                let (mut mount, mut folder) = (FixedPath::new(), FixedPath::new());
                let found = mounted(&mounts, CgroupVersion::V2, &group, &mut mount, &mut folder);
                prop_assert!(found.is_none() || folder.starts_with(&*mount));
            }
        }
    }
}
