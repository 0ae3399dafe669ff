//! Planning: finds what a build would do, without running a step or writing anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{ActionResult, Digest};
use rondel_process::{Cancellation, Redactor};

use crate::action::{ActionSpec, OutputSpec};
use crate::context::{Purpose, Sources, StepContext, UpstreamResult};
use crate::error::StepError;
use crate::event::{Event, NodeId};
use crate::execute::{Lookup, artefacts, lookup};
use crate::graph::{Graph, Node};
use crate::inputs::InputSet;
use crate::reason::Reason;
use crate::step::{Freshness, PreparedAction, Query};
use crate::workspace::Workspace;

/// What would happen to one step.
#[derive(Debug)]
pub enum Planned {
    /// Nothing to do.
    UpToDate,
    /// Its result is stored and would be put back in place.
    Restore,
    /// It would run.
    Run(Vec<Reason>),
    /// It waits for steps that would run; their outputs decide whether it runs.
    Depends(Vec<NodeId>),
    /// It would be skipped.
    Skip(String),
    /// It is needed only if a dependent runs.
    OnDemand,
    /// Its inputs can't be determined.
    Unknown(StepError),
}

/// What may be done to find out what would happen.
#[derive(Clone, Copy)]
pub enum Asks<'a> {
    /// Nothing is started.
    Nothing,
    /// Programs that only list are started where they are here already, such as `go list`, until this is raised. It takes as long as
    /// they do.
    Programs(&'a Cancellation),
}

/// A stored result that a build would use.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Digest of its action. For a step that keeps its results by itself, of what it depends on.
    pub action: Digest,
    /// The outputs that the action declares.
    pub(crate) outputs: Vec<OutputSpec>,
    /// True if the step keeps the result by itself.
    pub(crate) is_kept_by_step: bool,
}

/// What is known of the steps of a graph without running any.
#[derive(Debug, Default)]
pub struct Known {
    /// What would happen to each node.
    pub planned: BTreeMap<NodeId, Planned>,
    /// Results of the nodes that would not run.
    pub results: BTreeMap<NodeId, UpstreamResult>,
    /// Those of them that are stored under a key.
    pub hits: BTreeMap<NodeId, Hit>,
    /// What those depend on that would run.
    pub specs: BTreeMap<NodeId, ActionSpec>,
}

/// Returns what would happen to each node that `roots` may need.
pub fn plan(
    graph: &Graph,
    roots: &[NodeId],
    workspace: &Workspace,
    asks: Asks<'_>,
    warn: &(dyn Fn(Event) + Sync),
) -> BTreeMap<NodeId, Planned> {
    known(graph, roots, workspace, asks, warn).planned
}

/// Returns the source files that `roots` are made from, as far as they are known without running anything.
pub fn planned_sources(graph: &Graph, roots: &[NodeId], workspace: &Workspace) -> BTreeSet<PathBuf> {
    known(graph, roots, workspace, Asks::Nothing, &|_| {}).sources()
}

impl Known {
    /// Returns the source files that the results are made from.
    pub fn sources(&self) -> BTreeSet<PathBuf> {
        let mut sources = BTreeSet::new();
        for result in self.results.values() {
            result.sources.each(&mut |path| {
                sources.insert(path.to_owned());
            });
        }
        sources
    }
}

/// Returns what is known of each node that `roots` may need.
pub fn known(
    graph: &Graph,
    roots: &[NodeId],
    workspace: &Workspace,
    asks: Asks<'_>,
    warn: &(dyn Fn(Event) + Sync),
) -> Known {
    let mut known = Known::default();
    let mut restored = Restored::default();
    let demanded = graph.demanded(roots);
    let (nobody, redactor) = (Cancellation::new(), Redactor::default());
    let (purpose, cancellation) = match asks {
        Asks::Nothing => (Purpose::Question, &nobody),
        Asks::Programs(cancellation) => (Purpose::Plan, cancellation),
    };
    for id in graph.reachable(roots) {
        let node = graph.node(id);
        if !demanded.contains(&id) {
            known.planned.insert(id, Planned::OnDemand);
            continue;
        }
        let unfinished = |other: &&NodeId| {
            !matches!(known.planned.get(other), Some(Planned::UpToDate | Planned::Restore | Planned::Skip(_)))
        };
        let pending: Vec<NodeId> = node.inputs.iter().chain(&node.after).filter(unfinished).copied().collect();
        if !pending.is_empty() {
            known.planned.insert(id, Planned::Depends(pending));
            continue;
        }
        let result_of = |other: &NodeId| known.results.get(other).cloned().unwrap_or_default();
        let context = StepContext {
            workspace,
            cancellation,
            upstream: node.inputs.iter().map(result_of).collect(),
            sources: node.inputs.iter().chain(&node.after).map(|other| result_of(other).sources).collect(),
            purpose,
            own_writes: workspace.own_writes.count(),
            deadline: None,
            node: id,
            is_wanted: false,
            is_forced: false,
            redactor: &redactor,
            emit: warn,
            prerequisites: &|| Ok(()),
        };
        let one = restored.change(id, graph, workspace, plan_one(node, &context));
        known.planned.insert(id, one.planned);
        known.results.insert(id, one.result);
        known.hits.extend(one.hit.map(|hit| (id, hit)));
        known.specs.extend(one.spec.map(|spec| (id, spec)));
    }
    known
}

/// What is known of one node.
struct One {
    planned: Planned,
    result: UpstreamResult,
    hit: Option<Hit>,
    spec: Option<ActionSpec>,
    /// True if it runs whatever lies in the tree.
    runs_always: bool,
}

impl One {
    fn of(planned: Planned) -> One {
        One { planned, result: UpstreamResult::default(), hit: None, spec: None, runs_always: false }
    }
}

/// The places where stored results would be put back, for each step that has some.
#[derive(Default)]
struct Restored(BTreeMap<NodeId, Vec<PathBuf>>);

impl Restored {
    /// Takes down what is known of a node. It is judged by what lies in the tree now: where a step that it comes after would put something there
    /// first, that says nothing.
    fn change(&mut self, id: NodeId, graph: &Graph, workspace: &Workspace, one: One) -> One {
        if let (Planned::Restore, Some(hit)) = (&one.planned, &one.hit) {
            let places = hit.outputs.iter().map(|output| output.destination.below(&workspace.root));
            self.0.insert(id, places.collect());
        }
        let after = &graph.node(id).after;
        if after.is_empty() || one.runs_always {
            return one;
        }
        let is_read = |places: &Vec<PathBuf>| {
            matches!(one.planned, Planned::Unknown(_))
                || places.iter().any(|place| may_read(&one.result.sources.inputs, place))
        };
        let on: Vec<NodeId> =
            graph.reachable(after).into_iter().filter(|other| self.0.get(other).is_some_and(is_read)).collect();
        if on.is_empty() { one } else { One::of(Planned::Depends(on)) }
    }
}

/// Returns true if what comes to be at `place` may be one of these inputs. A file that is there is one already, or matches no glob. (Of a Go file,
/// its first lines decide.)
fn may_read(inputs: &InputSet, place: &Path) -> bool {
    if place.is_file() && place.extension().is_none_or(|ending| ending != "go") {
        let mut reads = false;
        inputs.each_place(&mut |input| reads |= input == place);
        return reads;
    }
    let directory = place.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(place);
    let mut reads = false;
    inputs.each_place_to_watch(&mut |watched| reads |= watched == directory || watched.starts_with(place));
    reads
}

fn plan_one(node: &Node, context: &StepContext<'_>) -> One {
    let query = Query { context };
    let sources = |prepared: &mut dyn PreparedAction| {
        Arc::new(Sources { inputs: prepared.take_inputs(), upstream: context.sources.clone() })
    };
    let mut prepared = match node.step.prepare(&query) {
        Ok(prepared) => prepared,
        Err(error) => return One::of(Planned::Unknown(error)),
    };
    let key = match prepared.freshness() {
        Freshness::ByKey => prepared.spec().digest(),
        Freshness::UpToDate(metadata) => {
            let action = prepared.spec().digest().ok().filter(|_| node.step.keeps_results());
            let hit = action.map(|action| Hit { action, outputs: Vec::new(), is_kept_by_step: true });
            let mut result = UpstreamResult { metadata: metadata.clone(), ..UpstreamResult::default() };
            result.sources = sources(&mut *prepared);
            return One { result, hit, ..One::of(Planned::UpToDate) };
        }
        Freshness::Run(reasons) => {
            let (spec, runs_always) = (Some(prepared.spec().clone()), !Reason::are_undecided(reasons));
            return One { spec, runs_always, ..One::of(Planned::Run(reasons.clone())) };
        }
        Freshness::Skip(why) => return One::of(Planned::Skip(why.clone())),
    };
    let key = match key {
        Ok(key) => key,
        Err(error) => return One::of(Planned::Unknown(StepError::failed(error.to_string()))),
    };
    let found = lookup(node, &query, &*prepared, &key);
    let stored = |result: &ActionResult| {
        let artefacts = artefacts(context, prepared.spec(), &result.outputs);
        let metadata = result.metadata.clone();
        UpstreamResult { artefacts, metadata, action: Some(key), ..UpstreamResult::default() }
    };
    let (planned, mut result) = match found {
        Lookup::InPlace(result) => (Planned::UpToDate, stored(&result)),
        Lookup::Cached(result) => (Planned::Restore, stored(&result)),
        Lookup::Miss(reasons, _) => (Planned::Run(reasons), UpstreamResult::default()),
    };
    let is_hit = matches!(planned, Planned::UpToDate | Planned::Restore);
    let hit = is_hit.then(|| Hit { action: key, outputs: prepared.spec().outputs.clone(), is_kept_by_step: false });
    let spec = (!is_hit).then(|| prepared.spec().clone());
    result.sources = sources(&mut *prepared);
    One { result, hit, spec, ..One::of(planned) }
}

/// Prepares one step, given the upstream results. Starts and writes nothing.
pub fn question(
    node: &Node,
    workspace: &Workspace,
    upstream: Vec<UpstreamResult>,
) -> Result<Box<dyn PreparedAction>, StepError> {
    with_question(workspace, upstream, |query| node.step.prepare(query))
}

/// Asks a step something, given the upstream results.
pub(crate) fn with_question<T>(
    workspace: &Workspace,
    upstream: Vec<UpstreamResult>,
    ask: impl FnOnce(&Query<'_>) -> T,
) -> T {
    let context = StepContext {
        workspace,
        cancellation: &Cancellation::new(),
        upstream,
        sources: Vec::new(),
        purpose: Purpose::Question,
        own_writes: workspace.own_writes.count(),
        deadline: None,
        node: 0,
        is_wanted: false,
        is_forced: false,
        redactor: &Redactor::default(),
        emit: &|_| {},
        prerequisites: &|| Ok(()),
    };
    ask(&Query { context: &context })
}
