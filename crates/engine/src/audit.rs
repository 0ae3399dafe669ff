//! Audit: runs steps again whose results are stored, in a copy of the tree, and compares what they make with what is
//! stored. It works in the copy alone: it stores nothing and removes nothing, and does not know what a difference means.
//!
//! Each step gets the stored results of the steps before it, so that a difference is that of one step. A step whose key is
//! another one in the copy is not compared: what is stored is not about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Instant;

use rondel_cas::{ActionResult, Metadata, OutputEntry, remove_tree};
use rondel_process::{Cancellation, Redactor};

use crate::action::ActionSpec;
use crate::context::{Artefact, Purpose, StepContext, UpstreamResult};
use crate::entries::exact_entry;
use crate::error::{Category, StepError};
use crate::event::{Event, NodeId};
use crate::execute::artefacts;
use crate::former::with_former;
use crate::graph::{Graph, Node};
use crate::locks::acquire_pool_slot;
use crate::materialize::{self, RestoreError};
use crate::plan::{Hit, Known, with_question};
use crate::reason::differences;
use crate::record::read_record;
use crate::retry::{attempt, empty};
use crate::scheduler::{BuildOptions, build};
use crate::step::{Freshness, PreparedAction, Query, TreeAccess};
use crate::workspace::Workspace;

/// Names the difference of a stored result and the same step's result now. Their files are there while it is called.
pub type Explain<'a, D> = &'a (dyn Fn(NodeId, &UpstreamResult, &UpstreamResult) -> D + Sync);

/// The audit of steps in a copy of their tree.
pub struct Audit<'a, D> {
    /// The graph of the copy.
    pub graph: &'a Graph,
    /// The copy, which has the store of the tree.
    pub workspace: &'a Workspace,
    /// What is known of the steps of `graph`, with places in the copy (see [`Known::in_copy`]).
    pub known: &'a Known,
    /// `.rondel` of the tree itself: its records say how a key differs.
    pub state: &'a Path,
    /// Number of steps at once; at least 1.
    pub jobs: usize,
    /// No step begins after this.
    pub until: Option<Instant>,
    /// Raised to stop everything.
    pub cancellation: &'a Cancellation,
    /// Hides secrets.
    pub redactor: &'a Redactor,
    /// Receives the events of the steps.
    pub emit: &'a (dyn Fn(Event) + Sync),
    /// Names differences.
    pub explain: Explain<'a, D>,
}

/// The outcome for one stored result.
#[derive(Debug)]
pub enum Verdict<D> {
    /// The step made the same again.
    Same,
    /// It made something else.
    Different(D),
    /// It failed, and the stored result says that it succeeded.
    Failed(StepError),
    /// It was not compared; why.
    NotCompared(String),
}

impl Known {
    /// Returns the same knowledge of the graph `to`, whose tree `copy` is a copy of that of `from` in `root`.
    pub fn in_copy(&self, from: &Graph, to: &Graph, root: &Path, copy: &Path) -> Known {
        let twin = |id: &NodeId| to.find(&from.node(*id).key);
        let place = |path: &PathBuf| path.strip_prefix(root).map_or_else(|_| path.clone(), |rest| copy.join(rest));
        let moved = |result: &UpstreamResult| UpstreamResult {
            artefacts: result
                .artefacts
                .iter()
                .map(|artefact| Artefact { path: place(&artefact.path), ..artefact.clone() })
                .collect(),
            ..result.clone()
        };
        let results = self.results.iter().filter_map(|(id, result)| Some((twin(id)?, moved(result))));
        let hits = self.hits.iter().filter_map(|(id, hit)| Some((twin(id)?, hit.clone())));
        Known { results: results.collect(), hits: hits.collect(), ..Known::default() }
    }
}

/// What the workers of an audit share.
struct Shared {
    /// The stored results: all are read first, since those that differ go at once.
    stored: BTreeMap<NodeId, ActionResult>,
    /// Held for reading by a step that reads the tree, for writing by one that may write in it.
    tree: RwLock<()>,
    /// The steps whose stored outputs stand in the copy.
    restored: Mutex<BTreeSet<NodeId>>,
    /// The steps that had to be done before others, and are.
    done: Mutex<BTreeSet<NodeId>>,
}

/// What a step made.
struct Made {
    outputs: Vec<OutputEntry>,
    metadata: Metadata,
}

impl<D: Send> Audit<'_, D> {
    /// Audits the steps in this order, as far as time permits, and calls `report` for each of them, one at a time.
    pub fn run(&self, steps: &[NodeId], report: &(dyn Fn(NodeId, Verdict<D>) + Sync)) {
        let (next, reporting) = (AtomicUsize::new(0), Mutex::new(()));
        let shared = Shared {
            stored: self.stored(steps),
            tree: RwLock::default(),
            restored: Mutex::default(),
            done: Mutex::default(),
        };
        let is_over = || self.cancellation.is_raised() || self.until.is_some_and(|until| Instant::now() >= until);
        let work = || {
            while !is_over() {
                let Some(&id) = steps.get(next.fetch_add(1, Ordering::SeqCst)) else { return };
                match self.audit(id, &shared) {
                    Ok(verdict) => {
                        let _one = reporting.lock().expect("no panic while locked");
                        report(id, verdict);
                    }
                    Err(StepError::Interrupted) => return,
                    Err(error) => {
                        let _one = reporting.lock().expect("no panic while locked");
                        report(id, Verdict::NotCompared(error.to_string()));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, steps.len().max(1)) {
                scope.spawn(work);
            }
        });
    }

    /// Audits one step. An error is a reason why it can't be compared.
    fn audit(&self, id: NodeId, shared: &Shared) -> Result<Verdict<D>, StepError> {
        let (node, hit) = (self.graph.node(id), &self.known.hits[&id]);
        // A step that works in the tree takes its outputs away there, which others read.
        let (mut _reads, mut _writes) = (None, None);
        match node.step.tree_access() {
            TreeAccess::Reads => _reads = Some(shared.tree.read().expect("no panic while locked")),
            TreeAccess::MayWrite | TreeAccess::MakesOutputs => {
                _writes = Some(shared.tree.write().expect("no panic while locked"));
            }
        }
        let stored = shared.stored.get(&id);
        if stored.is_none() && !hit.is_kept_by_step {
            return Ok(Verdict::NotCompared("its stored result is gone".to_owned()));
        }
        let prerequisites = || self.prerequisites(node, shared);
        let context = self.context(id, &prerequisites);
        self.restore_upstream(id, &context, shared)?;
        let prepared = node.step.prepare(&Query { context: &context })?;
        if let Some(stored) = stored {
            if let Some(why) = self.is_another(node, hit, &*prepared) {
                return Ok(Verdict::NotCompared(why));
            }
            if !materialize::fits(prepared.spec(), stored) {
                return Ok(Verdict::NotCompared("its stored result is damaged".to_owned()));
            }
        } else if !matches!(prepared.freshness(), Freshness::Run(_)) {
            return Ok(Verdict::NotCompared("it does not run in a copy of the tree".to_owned()));
        }
        context.prerequisites()?;
        let _slot = node.pool.as_ref().map(|pool| acquire_pool_slot(pool, &context)).transpose()?;
        (self.emit)(Event::Started { node: id, reasons: Vec::new() });
        let staging = self.workspace.new_staging();
        let staging = staging.map_err(|source| StepError::unwritable(&self.workspace.state, &source))?;
        let verdict = match stored {
            Some(stored) => self.compare(id, &context, &*prepared, stored, &staging),
            None => succeeds_again(node, &context, &*prepared, &staging),
        };
        remove_tree(&staging);
        verdict
    }

    /// Reads the stored results of the steps and of all that they need.
    fn stored(&self, steps: &[NodeId]) -> BTreeMap<NodeId, ActionResult> {
        let mut stored = BTreeMap::new();
        for id in self.graph.demanded(steps) {
            let hit = self.known.hits.get(&id).filter(|hit| !hit.is_kept_by_step);
            let found = hit.and_then(|hit| self.workspace.results.get_action_result(&hit.action).ok().flatten());
            stored.extend(found.map(|found| (id, found)));
        }
        stored
    }

    fn context<'c>(
        &'c self,
        id: NodeId,
        prerequisites: &'c (dyn Fn() -> Result<(), StepError> + Sync),
    ) -> StepContext<'c> {
        let node = self.graph.node(id);
        let result_of = |other: &NodeId| self.known.results.get(other).cloned().unwrap_or_default();
        StepContext {
            workspace: self.workspace,
            cancellation: self.cancellation,
            upstream: node.inputs.iter().map(result_of).collect(),
            sources: node.inputs.iter().chain(&node.after).map(|other| result_of(other).sources).collect(),
            purpose: Purpose::Build,
            own_writes: self.workspace.own_writes.count(),
            deadline: None,
            node: id,
            is_wanted: false,
            // What a step keeps by itself is not to answer for it.
            is_forced: self.known.hits.get(&id).is_some_and(|hit| hit.is_kept_by_step),
            redactor: self.redactor,
            emit: self.emit,
            prerequisites,
        }
    }

    /// Puts the stored outputs of all steps before `id` into their places in the copy.
    fn restore_upstream(&self, id: NodeId, context: &StepContext<'_>, shared: &Shared) -> Result<(), StepError> {
        let mut restored = shared.restored.lock().expect("no panic while locked");
        for other in self.graph.demanded(&[id]).into_iter().filter(|other| *other != id) {
            let hit = self.known.hits.get(&other).filter(|hit| !hit.is_kept_by_step && !restored.contains(&other));
            let Some(hit) = hit else { continue };
            let node = self.graph.node(other);
            let lacks = |why: String| StepError::environment(format!("the result of `{}` {why}", node.key));
            let stored = shared.stored.get(&other).ok_or_else(|| lacks("is gone".to_owned()))?;
            let spec = ActionSpec { outputs: hit.outputs.clone(), ..ActionSpec::default() };
            if !materialize::fits(&spec, stored) {
                return Err(lacks("is damaged".to_owned()));
            }
            materialize::restore(node, context, &spec, stored, &hit.action).map_err(|error| match error {
                RestoreError::Blob(error) => lacks(format!("is incomplete: {error}")),
                RestoreError::Step(error) => error,
            })?;
            restored.insert(other);
        }
        Ok(())
    }

    /// Does the steps that `node` needs only if it runs, once each.
    fn prerequisites(&self, node: &Node, shared: &Shared) -> Result<(), StepError> {
        let mut done = shared.done.lock().expect("no panic while locked");
        let open: Vec<NodeId> = node.on_miss.iter().filter(|other| !done.contains(other)).copied().collect();
        if open.is_empty() {
            return Ok(());
        }
        let options = BuildOptions { jobs: self.jobs, keep_going: false, force: false };
        let (graph, workspace) = (self.graph, self.workspace);
        let summary = build(graph, &open, workspace, options, self.cancellation, self.redactor, self.emit);
        if summary.interrupted {
            return Err(StepError::Interrupted);
        }
        if let Some((id, error)) = summary.failures.first() {
            let (before, error) = (&graph.node(*id).key, self.redactor.apply(&error.to_string()));
            return Err(StepError::environment(format!("`{before}`, which it needs, failed: {error}")));
        }
        done.extend(open);
        Ok(())
    }

    /// Returns why the stored result is not that of the step in the copy.
    fn is_another(&self, node: &Node, hit: &Hit, prepared: &dyn PreparedAction) -> Option<String> {
        let why = match prepared.freshness() {
            Freshness::ByKey => None,
            Freshness::UpToDate(_) => Some(String::new()),
            Freshness::Run(reasons) => Some(reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default()),
            Freshness::Skip(why) => Some(format!(": {why}")),
        };
        if let Some(why) = why {
            return Some(format!("it has no key in a copy of the tree{why}"));
        }
        if prepared.spec().digest().is_ok_and(|key| key == hit.action) {
            return None;
        }
        let record = read_record(self.state, &node.key);
        let first = differences(&record.members, &prepared.spec().members());
        let first = first.first().filter(|_| record.action == Some(hit.action));
        let cause = first.map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(format!("its key is another one in a copy of the tree{cause}"))
    }

    fn compare(
        &self,
        id: NodeId,
        context: &StepContext<'_>,
        prepared: &dyn PreparedAction,
        stored: &ActionResult,
        staging: &Path,
    ) -> Result<Verdict<D>, StepError> {
        let (node, spec) = (self.graph.node(id), prepared.spec());
        let mut made = None;
        // What stood in the copy is put back after a failure: other steps read the stored result.
        let ended = with_former(node, context, spec, |former| -> Result<(), StepError> {
            made = Some(attempt(node, context, prepared, staging, former.as_deref()).and_then(|(report, _)| {
                materialize::normalise_all(node, context, spec, staging)?;
                Ok(Made { outputs: staged_entries(self.workspace, spec, staging)?, metadata: report.metadata })
            }));
            Err(StepError::Interrupted)
        });
        let made = match (made, ended) {
            (Some(Ok(made)), _) => made,
            (Some(Err(error)), _) if error.category() == Some(Category::Step) => return Ok(Verdict::Failed(error)),
            (Some(Err(error)), _) | (None, Err(error)) => return Err(error),
            (None, Ok(())) => unreachable!("the work ends with an error"),
        };
        if made.outputs == stored.outputs && made.metadata == stored.metadata {
            return Ok(Verdict::Same);
        }
        let shown = self.workspace.new_staging();
        let shown = shown.map_err(|source| StepError::unwritable(&self.workspace.state, &source))?;
        let verdict = match materialize::fill(self.workspace, spec, stored, &shown) {
            Ok(()) => {
                let result = |outputs: &[OutputEntry], metadata: &Metadata, directory: &Path| {
                    let mut artefacts = artefacts(context, spec, outputs);
                    artefacts.iter_mut().for_each(|artefact| artefact.path = artefact.name.below(directory));
                    UpstreamResult { artefacts, metadata: metadata.clone(), ..UpstreamResult::default() }
                };
                let (first, second) =
                    (result(&stored.outputs, &stored.metadata, &shown), result(&made.outputs, &made.metadata, staging));
                Ok(Verdict::Different((self.explain)(id, &first, &second)))
            }
            Err(RestoreError::Blob(error)) => {
                Ok(Verdict::NotCompared(format!("its stored result is incomplete: {error}")))
            }
            Err(RestoreError::Step(error)) => Err(error),
        };
        remove_tree(&shown);
        verdict
    }
}

/// Runs a step that keeps its results by itself: that it succeeded is all that there is to compare. Such results may hold
/// for the place of the tree only, so that a failure in the copy says something only if the same succeeds there too.
fn succeeds_again<D>(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    staging: &Path,
) -> Result<Verdict<D>, StepError> {
    let run = || match attempt(node, context, prepared, staging, None) {
        Ok(_) => Ok(None),
        Err(error) if error.category() == Some(Category::Step) => Ok(Some(error)),
        Err(error) => Err(error),
    };
    let Some(first) = run()? else { return Ok(Verdict::Same) };
    empty(staging);
    Ok(match run()? {
        None => Verdict::Failed(first),
        Some(second) => Verdict::NotCompared(format!("in a copy of the tree it fails each time: {second}")),
    })
}

/// Removes the stored result of a step of `graph`, which `known` knows, so that the next build runs it.
pub fn forget_result(graph: &Graph, id: NodeId, workspace: &Workspace, known: &Known) -> Result<(), StepError> {
    let (node, hit) = (graph.node(id), &known.hits[&id]);
    if !hit.is_kept_by_step {
        let removed = workspace.results.remove_action_result(&hit.action);
        return removed.map_err(|error| StepError::environment(error.to_string()));
    }
    let upstream = node.inputs.iter().map(|other| known.results.get(other).cloned().unwrap_or_default()).collect();
    with_question(workspace, upstream, |query| node.step.forget(query))
}

/// Returns the entries of the staged outputs, sorted by name.
fn staged_entries(workspace: &Workspace, spec: &ActionSpec, staging: &Path) -> Result<Vec<OutputEntry>, StepError> {
    let mut outputs = Vec::new();
    for (path, absolute) in materialize::staged_outputs(spec, staging)? {
        let entry = exact_entry(&absolute, &workspace.snapshot);
        let entry = entry.map_err(|source| StepError::unreadable(&absolute, &source))?;
        outputs.push(OutputEntry { path, entry });
    }
    Ok(outputs)
}
