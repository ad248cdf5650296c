//! The edges of a graph with named nodes.

use std::collections::HashMap;

/// The names of the nodes, and the edges between their indices.
#[derive(Debug, Default)]
pub(super) struct EdgeList {
    pub(super) names: Vec<String>,
    pub(super) edges: Vec<(u32, u32)>,
    /// The file, or a description of the source.
    pub(super) source: String,
}

/// The node names, each with its index, in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct NodeNames {
    indices: HashMap<String, u32>,
    names: Vec<String>,
}

impl NodeNames {
    /// Returns the index of a name, which is inserted if it is new.
    pub(super) fn insert(&mut self, name: &str) -> u32 {
        if let Some(&index) = self.indices.get(name) {
            return index;
        }
        let index = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.indices.insert(name.to_owned(), index);
        index
    }

    /// Returns the index of a name, or `None` if it was not inserted.
    pub(super) fn get(&self, name: &str) -> Option<u32> {
        self.indices.get(name).copied()
    }

    /// Returns the names in the order of their indices.
    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }
}
