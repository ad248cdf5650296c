//! The NUMA nodes: their processors, memory and distances, from `/sys/devices/system/node`.
//!
//! Nodes have the kernel's own numbers, which may have gaps, and a node may lack processors or
//! memory: a number is never an index. A machine without the directory is one node made up here,
//! and [`Numa::synthesised`] is true.

use super::meminfo::Meminfo;
use super::procfs::parse::{kib_field, parse_cpu_list};
use super::procfs::sys_root::SysRoot;
use std::path::Path;

/// One NUMA node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumaNode {
    /// The kernel's number.
    pub id: usize,
    /// Online logical processors of this node, ascending; empty on a node with only memory.
    pub cpus: Vec<usize>,
    /// Bytes of memory; 0 on a node without.
    pub total_bytes: u64,
    /// Bytes that are free now, without page cache.
    pub free_bytes: u64,
    /// Distance to each of [`Numa::nodes`], in their order, 10 to itself; empty if unknown.
    pub distances: Vec<u32>,
}

impl NumaNode {
    /// Returns whether memory can be bound to this node.
    ///
    /// ```
    /// let numa = arenite_pages::machine::Numa::read();
    /// assert!(numa.nodes.iter().any(|node| node.has_memory() || node.cpus.is_empty()));
    /// ```
    #[must_use]
    pub fn has_memory(&self) -> bool {
        self.total_bytes > 0
    }
}

/// The NUMA nodes of a machine.
///
/// ```
/// use arenite_pages::machine::Numa;
/// let numa = Numa::read();
/// assert!(!numa.nodes.is_empty());
/// for node in &numa.nodes {
///     println!("node {}: {} of {} bytes free", node.id, node.free_bytes, node.total_bytes);
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numa {
    /// The nodes, ascending by number; never empty.
    pub nodes: Vec<NumaNode>,
    /// Whether the machine reports no nodes, and the one here is made up of the entire machine.
    pub synthesised: bool,
}

/// Returns the NUMA nodes of this machine: [`Numa::read`].
///
/// ```
/// assert!(!arenite_pages::machine::numa_info().nodes.is_empty());
/// ```
#[must_use]
pub fn numa_info() -> Numa {
    Numa::read()
}

impl Numa {
    /// Reads the nodes of this machine.
    ///
    /// ```
    /// assert!(!arenite_pages::machine::Numa::read().nodes.is_empty());
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the nodes of the machine below `root`.
    ///
    /// ```
    /// let numa = arenite_pages::machine::Numa::read_at("/nonexistent".as_ref());
    /// assert!(numa.synthesised && numa.nodes.len() == 1);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    /// Returns the node with this number.
    ///
    /// ```
    /// assert!(arenite_pages::machine::Numa::read().node(usize::MAX).is_none());
    /// ```
    #[must_use]
    pub fn node(&self, id: usize) -> Option<&NumaNode> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Returns the distance between two nodes, by number.
    ///
    /// ```
    /// let numa = arenite_pages::machine::Numa::read_at("/nonexistent".as_ref());
    /// assert_eq!(numa.distance(0, 0), Some(10));
    /// assert_eq!(numa.distance(0, 1), None);
    /// ```
    #[must_use]
    pub fn distance(&self, from: usize, to: usize) -> Option<u32> {
        let column = self.nodes.iter().position(|node| node.id == to)?;
        self.node(from)?.distances.get(column).copied()
    }

    /// Returns the numbers of the nodes with memory, nearest to `from` first; unknown distances
    /// last, equal ones by number.
    ///
    /// ```
    /// let numa = arenite_pages::machine::Numa::read();
    /// assert!(numa.nearest(numa.nodes[0].id).len() <= numa.nodes.len());
    /// ```
    #[must_use]
    pub fn nearest(&self, from: usize) -> Vec<usize> {
        let mut ids: Vec<usize> =
            self.nodes.iter().filter(|node| node.has_memory()).map(|node| node.id).collect();
        ids.sort_by_key(|&to| (self.distance(from, to).unwrap_or(u32::MAX), to));
        ids
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Self {
        let dir = Path::new("/sys/devices/system/node");
        let ids = root.numbered_entries(dir, "node");
        let ids = ids.into_iter().filter(|id| root.has_dir(dir.join(format!("node{id}"))));
        let mut nodes: Vec<NumaNode> = ids.map(|id| node(root, dir, id)).collect();
        if nodes.is_empty() {
            return Self { nodes: vec![whole_machine(root)], synthesised: true };
        }
        let count = nodes.len();
        for node in nodes.iter_mut().filter(|node| node.distances.len() != count) {
            node.distances.clear(); // a row of another length would be matched with the wrong nodes
        }
        Self { nodes, synthesised: false }
    }
}

fn node(root: SysRoot<'_>, dir: &Path, id: usize) -> NumaNode {
    let dir = dir.join(format!("node{id}"));
    let text = |file: &str| root.read_text(dir.join(file)).unwrap_or_default();
    let meminfo = text("meminfo");
    let total_bytes = kib_field(&meminfo, "MemTotal").unwrap_or(0);
    let distances: Option<Vec<u32>> =
        text("distance").split_whitespace().map(|word| word.parse().ok()).collect();
    NumaNode {
        id,
        cpus: parse_cpu_list(&text("cpulist")).unwrap_or_default(),
        total_bytes,
        free_bytes: kib_field(&meminfo, "MemFree").unwrap_or(0).min(total_bytes),
        distances: distances.unwrap_or_default(),
    }
}

fn whole_machine(root: SysRoot<'_>) -> NumaNode {
    let online = root.read_text("/sys/devices/system/cpu/online").and_then(|text| parse_cpu_list(&text));
    let (total_bytes, free_bytes) =
        Meminfo::from_root(root).map_or((0, 0), |memory| (memory.total, memory.free));
    NumaNode { id: 0, cpus: online.unwrap_or_default(), total_bytes, free_bytes, distances: vec![10] }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    fn with_node(fixture: Fixture, id: usize, cpus: &str, gib: u64, distance: &str) -> Fixture {
        let dir = format!("/sys/devices/system/node/node{id}");
        let meminfo = format!("Node {id} MemTotal: {} kB\nNode {id} MemFree: {} kB\n", gib << 20, gib << 19);
        fixture
            .file(&format!("{dir}/cpulist"), &format!("{cpus}\n"))
            .file(&format!("{dir}/meminfo"), &meminfo)
            .file(&format!("{dir}/distance"), &format!("{distance}\n"))
    }

    /// Makes `count` nodes of 4 processors and 8 GiB, in pairs that share a socket.
    fn even(count: usize) -> Numa {
        let fixture = (0..count).fold(Fixture::new(), |fixture, id| {
            let to = |other: usize| {
                if other == id {
                    "10"
                } else if other / 2 == id / 2 {
                    "12"
                } else {
                    "32"
                }
            };
            let distance = (0..count).map(to).collect::<Vec<_>>().join(" ");
            with_node(fixture, id, &format!("{}-{}", 4 * id, 4 * id + 3), 8, &distance)
        });
        Numa::read_at(fixture.path())
    }

    #[test]
    fn n16_two_four_and_eight_nodes_are_read_in_full() {
        for count in [2, 4, 8] {
            let numa = even(count);
            assert_eq!((numa.nodes.len(), numa.synthesised), (count, false));
            for (at, node) in numa.nodes.iter().enumerate() {
                assert_eq!((node.id, node.cpus.clone()), (at, (4 * at..4 * at + 4).collect()));
                assert_eq!((node.total_bytes, node.free_bytes), (8 << 30, 4 << 30));
                assert_eq!((node.distances.len(), numa.distance(at, at)), (count, Some(10)));
                assert_eq!(numa.nearest(at)[..2], [at, at ^ 1]);
            }
        }
    }

    #[test]
    fn n16_sparse_node_ids_are_not_indices() {
        let fixture = with_node(Fixture::new(), 0, "0-1", 4, "10 40 20");
        let fixture = with_node(fixture, 4, "2-3", 4, "40 10 30");
        let fixture = with_node(fixture, 255, "4-5", 4, "20 30 10");
        let numa = Numa::read_at(fixture.path());
        assert_eq!(numa.nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [0, 4, 255]);
        assert_eq!(
            (numa.distance(0, 255), numa.distance(0, 4), numa.distance(0, 1)),
            (Some(20), Some(40), None)
        );
        assert_eq!(numa.nearest(255), [255, 0, 4]);
    }

    #[test]
    fn n16_nodes_are_read_without_memory_or_processors() {
        let fixture = with_node(Fixture::new(), 0, "0-7", 0, "10 17");
        let numa = Numa::read_at(with_node(fixture, 1, "", 64, "17 10").path());
        assert!(!numa.nodes[0].has_memory() && numa.nodes[1].cpus.is_empty());
        assert_eq!(numa.nearest(0), [1], "memory can only come from node 1");
    }

    #[test]
    fn n16_numa_synthesises_one_node_without_a_directory() {
        let fixture = Fixture::new()
            .file("/sys/devices/system/cpu/online", "0-2\n")
            .file("/proc/meminfo", "MemTotal: 100 kB\nMemFree: 60 kB\nMemAvailable: 80 kB\n");
        let numa = Numa::read_at(fixture.path());
        assert!(numa.synthesised);
        let node = NumaNode {
            id: 0,
            cpus: vec![0, 1, 2],
            total_bytes: 102_400,
            free_bytes: 61_440,
            distances: vec![10],
        };
        assert_eq!(numa.nodes, [node]);
    }

    #[test]
    fn n16_a_garbled_distance_row_is_dropped() {
        let fixture = with_node(Fixture::new(), 0, "0", 1, "10 21 99");
        let numa = Numa::read_at(with_node(fixture, 1, "1", 1, "21 ten").path());
        assert_eq!((numa.distance(0, 1), numa.distance(1, 1)), (None, None));
        assert_eq!(numa.nearest(1), [0, 1]);
    }

    #[test]
    fn n16_real_nodes_hold_every_processor_once() {
        let numa = Numa::read();
        let mut cpus: Vec<usize> = numa.nodes.iter().flat_map(|node| node.cpus.iter().copied()).collect();
        let count = cpus.len();
        cpus.sort_unstable();
        cpus.dedup();
        assert_eq!(cpus.len(), count);
        if cfg!(target_os = "linux") {
            assert!(numa.nodes.iter().any(NumaNode::has_memory));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn n16_garbled_nodes_never_panic(cpus in ".{0,20}", meminfo in ".{0,40}", distance in "[0-9 a-]{0,20}") {
            let fixture = Fixture::new()
                .file("/sys/devices/system/node/node3/cpulist", &cpus)
                .file("/sys/devices/system/node/node3/meminfo", &meminfo)
                .file("/sys/devices/system/node/node3/distance", &distance);
            let numa = Numa::read_at(fixture.path());
            prop_assert_eq!(numa.nodes.len(), 1);
            prop_assert_eq!(numa.nodes[0].id, 3);
        }
    }
}
