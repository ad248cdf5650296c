//! NUMA policies. A node's number is checked here, because the kernel rejects it without a reason.

use super::NumaError;
use crate::machine::Numa;
use crate::os::{NodeSet, Placement};

/// Node of memory at its first access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NumaPolicy {
    /// The node of the thread that accesses it first.
    #[default]
    Local,
    /// All nodes with memory in turn, OS page by OS page.
    Interleave,
    /// Only this node; the allocation or the access fails when it is full.
    Bind(usize),
    /// This node while it has memory.
    Preferred(usize),
}

impl NumaPolicy {
    /// Converts the policy to the kernel's terms on this machine.
    pub(crate) fn resolve(self, numa: &Numa) -> Result<(Placement, NodeSet), NumaError> {
        let with_memory: Vec<usize> = numa
            .nodes
            .iter()
            .filter(|node| node.has_memory() || numa.synthesised)
            .map(|node| node.id)
            .collect();
        let one = |node| {
            if numa.node(node).is_none() {
                let nodes = numa.nodes.iter().map(|node| node.id).collect();
                return Err(NumaError::NoSuchNode { node, nodes });
            }
            if !with_memory.contains(&node) {
                return Err(NumaError::NoMemory { node, nodes: with_memory.clone() });
            }
            Ok(NodeSet::EMPTY.with(node))
        };
        Ok(match self {
            Self::Local => (Placement::Local, NodeSet::EMPTY),
            Self::Interleave => {
                (Placement::Interleave, with_memory.iter().fold(NodeSet::EMPTY, |set, &node| set.with(node)))
            }
            Self::Bind(node) => (Placement::Bind, one(node)?),
            Self::Preferred(node) => (Placement::Preferred, one(node)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::NumaNode;

    /// Returns nodes 0, 2 and 5, of which 2 has no memory.
    fn sparse() -> Numa {
        let node =
            |id, total_bytes| NumaNode { id, cpus: vec![], total_bytes, free_bytes: 0, distances: vec![] };
        Numa { nodes: vec![node(0, 9), node(2, 0), node(5, 9)], synthesised: false }
    }

    #[test]
    fn u36_policies_choose_among_nodes_with_memory() {
        let interleave = NumaPolicy::Interleave.resolve(&sparse()).unwrap();
        assert_eq!((interleave.0, interleave.1.nodes()), (Placement::Interleave, vec![0, 5]));
        assert_eq!(NumaPolicy::Bind(5).resolve(&sparse()).unwrap().1.nodes(), [5]);
        assert_eq!(NumaPolicy::Local.resolve(&sparse()).unwrap().1, NodeSet::EMPTY);
    }

    #[test]
    fn u36_policy_fails_on_missing_and_empty_nodes() {
        let absent = NumaPolicy::Bind(1).resolve(&sparse()).unwrap_err();
        assert_eq!(absent, NumaError::NoSuchNode { node: 1, nodes: vec![0, 2, 5] });
        let empty = NumaPolicy::Preferred(2).resolve(&sparse()).unwrap_err();
        assert_eq!(empty.to_string(), "node 2 has no memory; nodes with memory: [0, 5]");
        assert!(NumaPolicy::Bind(usize::MAX).resolve(&sparse()).is_err());
    }
}
