//! Planning: finds what a build would do, without running or writing anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use rondel_cas::ActionResult;
use rondel_process::{Cancellation, Redactor};

use crate::context::{Purpose, Sources, StepContext, UpstreamResult};
use crate::error::StepError;
use crate::event::{Event, NodeId};
use crate::execute::{Lookup, artefacts, lookup};
use crate::graph::{Graph, Node};
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

/// Returns what would happen to each node that `roots` may need.
pub fn plan(
    graph: &Graph,
    roots: &[NodeId],
    workspace: &Workspace,
    warn: &(dyn Fn(Event) + Sync),
) -> BTreeMap<NodeId, Planned> {
    plan_with_results(graph, roots, workspace, warn).0
}

/// Returns the source files that `roots` are made from, as far as they are known without running anything.
pub fn planned_sources(graph: &Graph, roots: &[NodeId], workspace: &Workspace) -> BTreeSet<PathBuf> {
    let (_, results) = plan_with_results(graph, roots, workspace, &|_| {});
    let mut sources = BTreeSet::new();
    for result in results.values() {
        result.sources.each(&mut |path| {
            sources.insert(path.to_owned());
        });
    }
    sources
}

fn plan_with_results(
    graph: &Graph,
    roots: &[NodeId],
    workspace: &Workspace,
    warn: &(dyn Fn(Event) + Sync),
) -> (BTreeMap<NodeId, Planned>, BTreeMap<NodeId, UpstreamResult>) {
    let mut planned: BTreeMap<NodeId, Planned> = BTreeMap::new();
    let mut results: BTreeMap<NodeId, UpstreamResult> = BTreeMap::new();
    let demanded = graph.demanded(roots);
    let (cancellation, redactor) = (Cancellation::new(), Redactor::default());
    for id in graph.reachable(roots) {
        let node = graph.node(id);
        if !demanded.contains(&id) {
            planned.insert(id, Planned::OnDemand);
            continue;
        }
        let unfinished = |other: &&NodeId| {
            !matches!(planned.get(other), Some(Planned::UpToDate | Planned::Restore | Planned::Skip(_)))
        };
        let pending: Vec<NodeId> = node.inputs.iter().chain(&node.after).filter(unfinished).copied().collect();
        if !pending.is_empty() {
            planned.insert(id, Planned::Depends(pending));
            continue;
        }
        let result_of = |other: &NodeId| results.get(other).cloned().unwrap_or_default();
        let context = StepContext {
            workspace,
            cancellation: &cancellation,
            upstream: node.inputs.iter().map(result_of).collect(),
            sources: node.inputs.iter().chain(&node.after).map(|other| result_of(other).sources).collect(),
            purpose: Purpose::Question,
            own_writes: workspace.own_writes.count(),
            deadline: None,
            node: id,
            is_wanted: false,
            is_forced: false,
            redactor: &redactor,
            emit: warn,
            prerequisites: &|| Ok(()),
        };
        let (state, result) = plan_one(graph, id, &context);
        planned.insert(id, state);
        results.insert(id, result);
    }
    (planned, results)
}

fn plan_one(graph: &Graph, id: NodeId, context: &StepContext<'_>) -> (Planned, UpstreamResult) {
    let node = graph.node(id);
    let query = Query { context };
    let nothing = UpstreamResult::default();
    let mut prepared = match node.step.prepare(&query) {
        Ok(prepared) => prepared,
        Err(error) => return (Planned::Unknown(error), nothing),
    };
    let key = match prepared.freshness() {
        Freshness::ByKey => prepared.spec().digest(),
        Freshness::UpToDate(metadata) => {
            return (Planned::UpToDate, UpstreamResult { metadata: metadata.clone(), ..nothing });
        }
        Freshness::Run(reasons) => return (Planned::Run(reasons.clone()), nothing),
        Freshness::Skip(why) => return (Planned::Skip(why.clone()), nothing),
    };
    let key = match key {
        Ok(key) => key,
        Err(error) => return (Planned::Unknown(StepError::failed(error.to_string())), nothing),
    };
    let found = lookup(node, &query, &*prepared, &key);
    let stored = |result: &ActionResult| {
        let artefacts = artefacts(context, prepared.spec(), &result.outputs);
        let metadata = result.metadata.clone();
        UpstreamResult { artefacts, metadata, action: Some(key), ..UpstreamResult::default() }
    };
    let (state, mut result) = match found {
        Lookup::InPlace(result) => (Planned::UpToDate, stored(&result)),
        Lookup::Cached(result) => (Planned::Restore, stored(&result)),
        Lookup::Miss(reasons, _) => (Planned::Run(reasons), nothing),
    };
    result.sources = Arc::new(Sources { inputs: prepared.take_inputs(), upstream: context.sources.clone() });
    (state, result)
}

/// Prepares one step, given the upstream results. Starts and writes nothing.
pub fn question(
    node: &Node,
    workspace: &Workspace,
    upstream: Vec<UpstreamResult>,
) -> Result<Box<dyn PreparedAction>, StepError> {
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
    node.step.prepare(&Query { context: &context })
}
