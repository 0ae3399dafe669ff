//! The graph: steps and what they wait for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::NodeId;
use crate::step::AnyStep;
use crate::step_key::StepKey;

/// A step and its place.
pub struct Node {
    /// Its identity; unique in a graph.
    pub key: StepKey,
    /// What people call it: the key without what goes without saying.
    pub title: String,
    /// The word of build.ron for its kind: `GoBuild`.
    pub kind: &'static str,
    /// What people see of it.
    pub shown: Shown,
    /// Steps whose results are inputs of this one.
    pub inputs: Vec<NodeId>,
    /// Steps that must be through before this one looks at its inputs.
    pub after: Vec<NodeId>,
    /// Steps that are needed only if this one runs.
    pub on_miss: Vec<NodeId>,
    /// Steps of one pool do not run side by side.
    pub pool: Option<Pool>,
    /// How often the step is tried again when it fails.
    pub retries: u32,
    /// How long its commands may take together, each time it is tried.
    pub timeout: Option<Duration>,
    /// The work.
    pub step: Box<dyn AnyStep>,
}

/// Steps of which only so many may run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How many; at least 1.
    pub depth: usize,
}

/// What people see of a step that goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The step, and its output as it comes.
    Streamed,
    /// The step; its output if it fails.
    OnFailure,
    /// Nothing, unless it fails or everything is asked for.
    Never,
}

impl Node {
    /// A node that waits for nothing, is shown, and keeps its output until it fails.
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

/// Steps by index; the indices of what a node waits for are smaller than its own.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    /// A graph without steps.
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

    /// The node of index `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The node of this key.
    pub fn find(&self, key: &StepKey) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.key == *key)
    }

    /// Changes nodes that are in the graph already.
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut()
    }

    /// All nodes, in an order in which they could run.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes that `roots` need in any case: those reached without an `on_miss` edge.
    pub fn demanded(&self, roots: &[NodeId]) -> BTreeSet<NodeId> {
        self.reach(roots, false)
    }

    /// The nodes that `roots` need if everything runs.
    pub fn reachable(&self, roots: &[NodeId]) -> BTreeSet<NodeId> {
        self.reach(roots, true)
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
