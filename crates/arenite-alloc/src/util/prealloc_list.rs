//! A list whose nodes are allocated before its lock is taken and freed after it is released.
//!
//! No allocator is called under the lock: the global allocator may itself use the list.

use crate::util::fallible_vec::try_boxed;
use core::iter::successors;
use std::collections::TryReserveError;

/// A singly linked list, the newest node first.
#[derive(Debug)]
pub(crate) struct PreallocList<T> {
    first: Option<PreallocNode<T>>,
}

/// A node, in a list or not.
#[derive(Debug)]
pub(crate) struct PreallocNode<T>(Box<[NodeData<T>; 1]>);

#[derive(Debug)]
struct NodeData<T> {
    value: T,
    next: Option<PreallocNode<T>>,
}

impl<T> PreallocNode<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Box::new([NodeData { value, next: None }]))
    }

    pub(crate) fn try_new(value: T) -> Result<Self, TryReserveError> {
        Ok(Self(try_boxed(NodeData { value, next: None })?))
    }

    const fn node(&self) -> &NodeData<T> {
        let [node] = &*self.0;
        node
    }

    const fn node_mut(&mut self) -> &mut NodeData<T> {
        let [node] = &mut *self.0;
        node
    }
}

impl<T> PreallocList<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None }
    }

    pub(crate) fn push(&mut self, mut entry: PreallocNode<T>) {
        entry.node_mut().next = self.first.take();
        self.first = Some(entry);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        successors(self.first.as_ref(), |entry| entry.node().next.as_ref()).map(|entry| &entry.node().value)
    }

    /// Visits each value until `visit` returns `true`.
    pub(crate) fn for_each_mut(&mut self, mut visit: impl FnMut(&mut T) -> bool) {
        let mut at = self.first.as_mut();
        while let Some(entry) = at {
            let node = entry.node_mut();
            if visit(&mut node.value) {
                return;
            }
            at = node.next.as_mut();
        }
    }

    /// Removes the newest node whose value matches `is`.
    pub(crate) fn remove(&mut self, is: impl Fn(&T) -> bool) -> Option<PreallocNode<T>> {
        let mut at = &mut self.first;
        while at.as_ref().is_some_and(|entry| !is(&entry.node().value)) {
            at = &mut at.as_mut()?.node_mut().next;
        }
        let mut found = at.take()?;
        *at = found.node_mut().next.take();
        Some(found)
    }
}

impl<T> Drop for PreallocList<T> {
    fn drop(&mut self) {
        // Nodes are dropped one by one: recursive drops of a long list would overflow a small
        // stack.
        while let Some(mut entry) = self.first.take() {
            self.first = entry.node_mut().next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_list_is_dropped_on_a_small_stack() {
        let mut list = PreallocList::new();
        (0..200_000).for_each(|number| list.push(PreallocNode::new(number)));
        std::thread::scope(|scope| {
            std::thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, || drop(list)).unwrap();
        });
    }

    proptest! {
        #[test]
        fn the_list_matches_a_vector(steps in prop::collection::vec((any::<bool>(), 0_u8..10), 0..60)) {
            let (mut list, mut model) = (PreallocList::new(), Vec::new());
            for (enter, value) in steps {
                if enter {
                    list.push(PreallocNode::try_new(value).unwrap());
                    model.insert(0, value);
                } else {
                    let found = list.remove(|&other| other == value).map(|entry| entry.node().value);
                    let at = model.iter().position(|&other| other == value);
                    prop_assert_eq!(found, at.map(|at| model.remove(at)));
                }
                prop_assert_eq!(list.iter().copied().collect::<Vec<_>>(), model.clone());
                let mut seen = 0;
                list.for_each_mut(|_| {
                    seen += 1;
                    seen == 3
                });
                prop_assert_eq!(seen, model.len().min(3));
            }
        }
    }
}
