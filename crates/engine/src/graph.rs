//! The graph: steps and their dependencies.

use std::collections::BTreeSet;
use std::time::Duration;

use rondel_names::TargetName;

use crate::event::NodeId;
use crate::step::AnyStep;
use crate::step_key::StepKey;

/// A step and its place in the graph.
pub struct Node {
    /// Its identity; unique in a graph.
    pub key: StepKey,
    /// Display name: the key without its obvious parts.
    pub title: String,
    /// The word of build.ron for its kind: `GoBuild`.
    pub kind: &'static str,
    /// How much of it is shown to people.
    pub shown: Shown,
    /// Steps whose results are inputs of this one.
    pub inputs: Vec<NodeId>,
    /// Steps that must end before this one reads its inputs.
    pub after: Vec<NodeId>,
    /// Steps that are needed only if this one runs.
    pub on_miss: Vec<NodeId>,
    /// Pool of the step. Steps of one pool do not run side by side.
    pub pool: Option<Pool>,
    /// Number of further tries after a failure.
    pub retries: u32,
    /// Timeout for all its commands together, for each try.
    pub timeout: Option<Duration>,
    /// The work itself.
    pub step: Box<dyn AnyStep>,
}

/// A limit on the number of steps that run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Number of steps; at least 1.
    pub depth: usize,
}

/// How much of a successful step is shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The step, and its output as it comes.
    Streamed,
    /// As `Streamed`, but lines of standard output are data, for Rondel's own standard output.
    Answer,
    /// The step has the terminal: its command reads and writes there itself, and no other step runs beside it.
    Foreground,
    /// The step, and its output if it fails.
    OnFailure,
    /// Nothing, unless the step fails or everything is asked for.
    Never,
}

impl Node {
    /// Returns a node without dependencies, shown, with output on failure only.
    pub fn new(key: StepKey, kind: &'static str, step: Box<dyn AnyStep>) -> Node {
        Node {
            title: key.to_string(),
            key,
            kind,
            shown: Shown::OnFailure,
            inputs: Vec::new(),
            after: Vec::new(),
            on_miss: Vec::new(),
            pool: None,
            retries: 0,
            timeout: None,
            step,
        }
    }
}

/// Steps by index. A node's dependencies have smaller indices than the node.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    /// Returns a graph without steps.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Adds a node whose dependencies are in the graph already.
    pub fn add(&mut self, node: Node) -> NodeId {
        let id = self.nodes.len();
        debug_assert!(node.inputs.iter().chain(&node.after).chain(&node.on_miss).all(|&other| other < id));
        debug_assert!(self.find(&node.key).is_none(), "`{}` is in the graph already", node.key);
        self.nodes.push(node);
        id
    }

    /// Lets `later` begin when `earlier` have ended. None of them may wait for `later`. Their indices may be out of order
    /// until [`Graph::sort`].
    pub fn add_order(&mut self, earlier: &[NodeId], later: NodeId) {
        let after = &mut self.nodes[later].after;
        for id in earlier {
            if *id != later && !after.contains(id) {
                after.push(*id);
            }
        }
    }

    /// Puts each node behind its dependencies, and changes as little as that needs. Returns the new index of each node, by
    /// its former one.
    pub fn sort(&mut self) -> Vec<NodeId> {
        let mut places: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        let mut order: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for id in 0..self.nodes.len() {
            let mut open = vec![id];
            while let Some(&id) = open.last() {
                let node = &self.nodes[id];
                let dependencies = node.inputs.iter().chain(&node.after).chain(&node.on_miss);
                let missing: Vec<NodeId> = dependencies.filter(|other| places[**other].is_none()).copied().collect();
                if places[id].is_some() || missing.is_empty() {
                    places[id].get_or_insert_with(|| {
                        order.push(id);
                        order.len() - 1
                    });
                    open.pop();
                }
                debug_assert!(open.len() <= self.nodes.len() * self.nodes.len().max(1), "the graph has a circle");
                open.extend(missing.into_iter().rev());
            }
        }
        let places: Vec<NodeId> = places.into_iter().map(|place| place.expect("each node has a place")).collect();
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        for id in order {
            let mut node = nodes[id].take().expect("each node is moved once");
            for ids in [&mut node.inputs, &mut node.after, &mut node.on_miss] {
                ids.iter_mut().for_each(|other| *other = places[*other]);
            }
            self.nodes.push(node);
        }
        places
    }

    /// Returns the node of index `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Returns the node of this key.
    pub fn find(&self, key: &StepKey) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.key == *key)
    }

    /// Returns the targets that have nodes.
    pub fn targets(&self) -> BTreeSet<&TargetName> {
        self.nodes.iter().filter_map(|node| node.key.target.as_ref()).collect()
    }

    /// Returns the nodes for changes.
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut()
    }

    /// Returns all nodes, in an order in which they could run.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// Returns the number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns true if there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the nodes that `roots` always need: those reached without an `on_miss` edge.
    pub fn demanded(&self, roots: &[NodeId]) -> BTreeSet<NodeId> {
        self.reach(roots, false)
    }

    /// Returns the nodes that `roots` need if everything runs.
    pub fn reachable(&self, roots: &[NodeId]) -> BTreeSet<NodeId> {
        self.reach(roots, true)
    }

    /// Returns those of `nodes` that are among `held`, or wait for one of them.
    pub fn waiting_for(&self, nodes: &BTreeSet<NodeId>, held: &[NodeId]) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        for &id in nodes {
            let node = &self.nodes[id];
            let mut needed = node.inputs.iter().chain(&node.after).chain(&node.on_miss);
            if held.contains(&id) || needed.any(|other| found.contains(other)) {
                found.insert(id);
            }
        }
        found
    }

    /// Returns these steps and all that their results are made from.
    pub fn made_from(&self, roots: &[NodeId]) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        let mut open = roots.to_vec();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(&self.nodes[id].inputs);
            }
        }
        found
    }

    fn reach(&self, roots: &[NodeId], on_miss: bool) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        let mut open = roots.to_vec();
        while let Some(id) = open.pop() {
            if found.insert(id) {
                let node = &self.nodes[id];
                open.extend(node.inputs.iter().chain(&node.after));
                if on_miss {
                    open.extend(&node.on_miss);
                }
            }
        }
        found
    }
}
