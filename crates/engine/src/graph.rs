//! The graph: steps and what they wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::action::ActionSpec;
use crate::context::StepContext;
use crate::error::StepError;
use crate::event::NodeId;
use crate::inputs::InputSet;
use crate::reason::Reason;

/// One kind of work. Implementations live in `rondel-targets`.
pub trait Step: Send + Sync {
    /// Enumerates what the step depends on, at this moment. Runs nothing that changes anything; where the
    /// context is a query, runs nothing at all and writes nothing.
    fn prepare(&self, context: &StepContext<'_>) -> Result<Plan, StepError>;

    /// Asked when the result is known by its key: is something outside the outputs verify_external (an image that the
    /// daemon no longer has)? Then the step runs after all.
    fn verify_external(&self, context: &StepContext<'_>, facts: &BTreeMap<String, String>) -> Option<Reason> {
        let _ = (context, facts);
        None
    }

    /// Does it make its outputs in the source tree itself? Then two of them at once would read each other's
    /// halves, so one waits for the other.
    fn works_in_tree(&self) -> bool {
        false
    }

    /// Can it write in the source tree while it runs, as a user's command can? Then names that come and go there are
    /// its own affair.
    fn may_write_in_tree(&self) -> bool {
        false
    }

    /// Makes the outputs that `spec` declares, in the directory `staging`.
    fn run(&self, context: &StepContext<'_>, spec: &ActionSpec, staging: &Path) -> Result<RunReport, StepError>;
}

/// What a step would do, and whether it has to.
#[derive(Debug)]
pub struct Plan {
    /// All that the result depends on.
    pub spec: ActionSpec,
    /// How it is decided whether the step runs.
    pub freshness: Freshness,
}

/// How it is decided whether a step runs.
#[derive(Debug)]
pub enum Freshness {
    /// By its key: content decides.
    ByKey,
    /// The step has looked and found all as it should be; the facts are for people.
    UpToDate(BTreeMap<String, String>),
    /// The step has looked and found something wanting, or runs always. Its result is not stored.
    Run(Vec<Reason>),
    /// The step can't be done here and isn't needed; the text says why.
    Skip(String),
}

impl Freshness {
    /// The step runs always; why, in words.
    pub fn always(why: impl Into<String>) -> Freshness {
        Freshness::Run(vec![Reason::Always { why: why.into() }])
    }

    /// By the key, if what can be read through these inputs is in it; else the step runs always.
    pub fn of(inputs: &InputSet) -> Freshness {
        inputs.blind_spot().map_or(Freshness::ByKey, Freshness::always)
    }
}

/// What a run tells, besides its outputs.
#[derive(Debug, Default)]
pub struct RunReport {
    /// For people and for steps downstream: `digest`, `diff_id`. Derived from the outputs, never from time.
    pub facts: BTreeMap<String, String>,
}

/// A step and its place.
pub struct Node {
    /// Unique: `server`, `server (linux/arm64)`, `image: layer 2`.
    pub label: String,
    /// What people call it: the label without what goes without saying.
    pub title: String,
    /// The target that it belongs to.
    pub target: String,
    /// What kind of target that is: `GoBuild`.
    pub kind: &'static str,
    /// Shown only when something goes wrong with it, or at high verbosity.
    pub hidden: bool,
    /// Is its output shown as it comes? Otherwise it is shown if the step fails.
    pub streams: bool,
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
    pub step: Box<dyn Step>,
}

/// Steps of which only so many may run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How many; at least 1.
    pub depth: usize,
}

impl Node {
    /// A node that waits for nothing, is shown, and keeps its output until it fails.
    pub fn new(label: String, target: String, kind: &'static str, step: Box<dyn Step>) -> Node {
        Node {
            title: label.clone(),
            label,
            target,
            kind,
            hidden: false,
            streams: false,
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
        self.nodes.push(node);
        id
    }

    /// The node of index `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
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
