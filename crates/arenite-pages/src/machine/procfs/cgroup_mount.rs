//! The control group of this process, and the directory where it is mounted.
//!
//! In containers `/proc/self/cgroup` names the group as seen from outside, and
//! `/proc/self/mountinfo` its mount as seen from inside.

use super::fixed_path::FixedPath;
use std::path::Path;

/// Version of the interface of a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One tree for each controller.
    V1,
    /// One tree for all.
    V2,
}

/// Returns the group of the memory controller: in its own tree of version 1 if there is one, else
/// in the tree of version 2.
pub(crate) fn own_group(text: &str) -> Option<(CgroupVersion, &str)> {
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

/// Sets `mount` to the tree's mount and `dir` to the group's directory below, if this line of
/// `mountinfo` is the mount. A group may lie outside of the mounted part, in a container that sees
/// its own group as the mount. The mount is then the nearest readable level.
pub(crate) fn mounted(
    line: &str,
    version: CgroupVersion,
    group: &str,
    mount: &mut FixedPath,
    dir: &mut FixedPath,
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
    // the mounted part of the tree
    dir.set_escaped(left.next()?)?;
    mount.set_escaped(left.next()?)?;
    let below = Path::new(group).strip_prefix(&**dir).unwrap_or(Path::new(""));
    dir.set(mount)?;
    if !group.split('/').any(|part| part == "..") {
        dir.push(below.as_os_str())?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn u24_a_mount_may_have_spaces_and_a_group_colons() {
        let (mut mount, mut dir) = (FixedPath::new(), FixedPath::new());
        let line = "1 2 0:1 / /my\\040groups rw - cgroup2 none rw";
        mounted(line, CgroupVersion::V2, "/a", &mut mount, &mut dir).unwrap();
        assert_eq!((&*mount, &*dir), (Path::new("/my groups"), Path::new("/my groups/a")));
        assert_eq!(own_group("7:cpu:/x\n4:hugetlb,memory:/a:b\n0::/c"), Some((CgroupVersion::V1, "/a:b")));
        assert_eq!(own_group("7:cpu:/x\n0::/c"), Some((CgroupVersion::V2, "/c")));
    }

    proptest! {
        #[test]
        fn u24_any_group_stays_below_its_mount(group in "[a-z./:0-9\n]{0,30}", line in "[a-z0-9 /:-]{0,60}") {
            prop_assert!(own_group(&group).is_none_or(|(_, own)| group.contains(own)));
            for mounts in [line.clone(), format!("1 2 0:1 /{line} /m rw - cgroup2 none rw")] {
                let (mut mount, mut dir) = (FixedPath::new(), FixedPath::new());
                let found = mounted(&mounts, CgroupVersion::V2, &group, &mut mount, &mut dir);
                prop_assert!(found.is_none() || dir.starts_with(&*mount));
            }
        }
    }
}
