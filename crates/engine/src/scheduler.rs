//! The scheduler: topological, parallel, bounded by `-j`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rondel_cas::{Entry, Metadata};
use rondel_process::{Cancellation, Redactor};

use crate::context::{Artefact, Purpose, StepContext, UpstreamResult};
use crate::durations::{self, Durations, critical_paths};
use crate::error::StepError;
use crate::event::{Event, NodeId, Outcome, OutputReport};
use crate::execute::{StepResult, execute};
use crate::former;
use crate::graph::{Graph, Shown};
use crate::locks::lock_abandoned;
use crate::reason::Reason;
use crate::stale;
use crate::state::{States, StepState};
use crate::workspace::Workspace;

/// Options of a build.
#[derive(Clone, Copy, Debug)]
pub struct BuildOptions {
    /// Number of steps at once; at least 1.
    pub jobs: usize,
    /// True to keep building steps that do not depend on a failed one.
    pub keep_going: bool,
    /// True to run every step, cached or not.
    pub force: bool,
}

/// Outcome of a build.
#[derive(Debug, Default)]
pub struct Summary {
    /// How each node ended, without nodes that were never reached.
    pub outcomes: BTreeMap<NodeId, Outcome>,
    /// Failures, in the order of failing.
    pub failures: Vec<(NodeId, StepError)>,
    /// Results of the nodes that succeeded.
    pub results: BTreeMap<NodeId, UpstreamResult>,
    /// True if the build was interrupted.
    pub interrupted: bool,
}

impl Summary {
    fn add(&mut self, id: NodeId, state: StepState) {
        self.outcomes.insert(id, state.outcome());
        if let StepState::Done(result) = state {
            self.results.insert(id, result.result);
        }
    }
}

/// A build that has not begun.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The steps.
    pub graph: &'a Graph,
    /// The steps that are wanted; what they need runs too.
    pub roots: &'a [NodeId],
    /// Directories and stores.
    pub workspace: &'a Workspace,
    /// Options.
    pub options: BuildOptions,
    /// Raised to stop the build.
    pub cancellation: &'a Cancellation,
    /// Hides secrets.
    pub redactor: &'a Redactor,
    /// Gets all events, from several threads.
    pub emit: &'a (dyn Fn(Event) + Sync),
}

struct Build<'a> {
    graph: &'a Graph,
    roots: &'a [NodeId],
    workspace: &'a Workspace,
    options: BuildOptions,
    cancellation: &'a Cancellation,
    redactor: &'a Redactor,
    emit: &'a (dyn Fn(Event) + Sync),
    states: States,
    failures: Mutex<Vec<(NodeId, StepError)>>,
    /// Durations of earlier runs.
    known: Durations,
    /// Durations of the steps that ran.
    durations: Mutex<Durations>,
}

/// Ready and waiting steps.
struct Queue<'a> {
    /// Ready steps: the longest path to the end first, then the order of the graph.
    ready: BinaryHeap<(u64, Reverse<NodeId>)>,
    /// Number of steps that each node still waits for.
    waiting: BTreeMap<NodeId, usize>,
    /// Number of running steps of each pool.
    busy: BTreeMap<&'a str, usize>,
    running: usize,
    /// True while a step has the terminal: nothing runs beside it.
    is_taken: bool,
    stop: bool,
}

/// The fixed part of the order.
struct Order {
    /// Dependents of each node.
    dependents: BTreeMap<NodeId, Vec<NodeId>>,
    paths: Vec<u64>,
}

/// Returns true if the step has the terminal while it runs.
fn is_foreground(graph: &Graph, id: NodeId) -> bool {
    graph.node(id).shown == Shown::Foreground
}

impl<'a> Queue<'a> {
    /// Returns the next node that may start now.
    fn take(&mut self, graph: &'a Graph) -> Option<NodeId> {
        if self.is_taken {
            return None;
        }
        let mut held = Vec::new();
        let mut found = None;
        while let Some((path, Reverse(id))) = self.ready.pop() {
            let pool = graph.node(id).pool.as_ref();
            let waits_for_all = is_foreground(graph, id) && self.running > 0;
            if !waits_for_all
                && pool.is_none_or(|pool| self.busy.get(pool.name.as_str()).is_none_or(|busy| *busy < pool.depth))
            {
                if let Some(pool) = pool {
                    *self.busy.entry(&pool.name).or_default() += 1;
                }
                self.running += 1;
                self.is_taken = is_foreground(graph, id);
                found = Some(id);
                break;
            }
            held.push((path, Reverse(id)));
        }
        self.ready.extend(held);
        found
    }

    /// Marks the node as ended, whatever its outcome.
    fn put_back(&mut self, graph: &'a Graph, id: NodeId, order: &Order) {
        self.running -= 1;
        self.is_taken = false;
        if let Some(busy) = graph.node(id).pool.as_ref().and_then(|pool| self.busy.get_mut(pool.name.as_str())) {
            *busy -= 1;
        }
        for other in order.dependents.get(&id).into_iter().flatten() {
            let count = self.waiting.get_mut(other).expect("every demanded node is counted");
            *count -= 1;
            if *count == 0 {
                self.ready.push((order.paths[*other], Reverse(*other)));
            }
        }
    }
}

/// Builds `roots` and their dependencies. Emits events from several threads.
pub fn build(
    graph: &Graph,
    roots: &[NodeId],
    workspace: &Workspace,
    options: BuildOptions,
    cancellation: &Cancellation,
    redactor: &Redactor,
    emit: &(dyn Fn(Event) + Sync),
) -> Summary {
    Run { graph, roots, workspace, options, cancellation, redactor, emit }.build(&[], &mut |_| true)
}

impl Run<'_> {
    /// Builds as [`build`] does. `held` steps, and those that wait for them, begin when everything else has ended and `go_on`
    /// allows it. It gets what has ended so far, and nothing runs beside it. After a failure or an interruption it is not
    /// asked, and they do not begin.
    pub fn build(self, held: &[NodeId], go_on: &mut dyn FnMut(&Summary) -> bool) -> Summary {
        let build = Build {
            graph: self.graph,
            roots: self.roots,
            workspace: self.workspace,
            options: self.options,
            cancellation: self.cancellation,
            redactor: self.redactor,
            emit: self.emit,
            states: States::new(self.graph.len()),
            failures: Mutex::default(),
            known: durations::read(&self.workspace.state),
            durations: Mutex::default(),
        };
        put_back_abandoned(self.workspace, self.cancellation, self.emit);
        let demanded = self.graph.demanded(self.roots);
        let held = self.graph.waiting_for(&demanded, held);
        build.run_all(&demanded.difference(&held).copied().collect());
        if !held.is_empty() && build.is_well() && go_on(&build.so_far()) {
            build.run_all(&held);
        }
        for &id in self.graph.reachable(self.roots).difference(&demanded) {
            build.states.enter(id, || {
                let reasons = vec![Reason::Always { why: "no step that needs it runs".to_owned() }];
                build.finish(id, StepState::Stopped(Outcome::Skipped), reasons, Instant::now())
            });
        }
        build.end()
    }
}

/// Puts back what killed runs have moved away, before anything reads the tree.
fn put_back_abandoned(workspace: &Workspace, cancellation: &Cancellation, emit: &(dyn Fn(Event) + Sync)) {
    let warn = |text: String| emit(Event::Warning { text });
    for (step, directory) in former::abandoned(workspace) {
        let put_back = || match lock_abandoned(workspace, &step, cancellation, &warn)? {
            Some(_lock) => former::recover(workspace, &directory, &warn),
            // A living process makes it.
            None => Ok(()),
        };
        if let Err(error) = put_back() {
            let directory = directory.display();
            warn(format!("former outputs were not put back: {error}; they are in `{directory}`"));
        }
    }
}

impl Build<'_> {
    /// Returns true if nothing has failed, and nobody wants it to stop.
    fn is_well(&self) -> bool {
        !self.cancellation.is_raised() && self.failures.lock().expect("no panic while locked").is_empty()
    }

    /// Returns what has ended well so far.
    fn so_far(&self) -> Summary {
        let mut summary = Summary::default();
        for (id, state) in self.states.finished() {
            summary.add(id, state);
        }
        summary
    }

    /// Saves what is remembered of the build, and removes what nothing makes any more.
    fn end(self) -> Summary {
        let Build { graph, roots, workspace, emit, .. } = self;
        let ran = self.durations.into_inner().expect("no panic while locked");
        if let Err(error) = durations::add(&workspace.state, &ran) {
            emit(Event::Warning { text: format!("the durations of the steps were not saved: {error}") });
        }
        if let Err(error) = workspace.snapshot.save() {
            emit(Event::Warning { text: format!("the stat snapshot was not saved: {error}") });
        }
        let mut summary = Summary {
            failures: self.failures.into_inner().expect("no panic while locked"),
            interrupted: self.cancellation.is_raised(),
            ..Summary::default()
        };
        let finished: Vec<(NodeId, StepState)> = self.states.into_finished().collect();
        if !summary.interrupted {
            let places = finished.iter().filter_map(|(id, state)| match state {
                StepState::Done(result) => Some((*id, result.places.as_deref()?)),
                StepState::Stopped(_) => None,
            });
            stale::clean(workspace, graph, roots, &places.collect(), &|text| emit(Event::Warning { text }));
        }
        for (id, state) in finished {
            summary.add(id, state);
        }
        summary
    }

    fn run_all(&self, demanded: &BTreeSet<NodeId>) {
        let paths = critical_paths(self.graph, &self.known);
        let mut order = Order { dependents: BTreeMap::new(), paths };
        let mut queue = Queue {
            ready: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            busy: BTreeMap::new(),
            running: 0,
            is_taken: false,
            stop: false,
        };
        for &id in demanded {
            let node = self.graph.node(id);
            let all = node.inputs.iter().chain(&node.after).chain(&node.on_miss);
            let awaited: BTreeSet<NodeId> = all.copied().filter(|other| demanded.contains(other)).collect();
            if awaited.is_empty() {
                queue.ready.push((order.paths[id], Reverse(id)));
            }
            queue.waiting.insert(id, awaited.len());
            awaited.into_iter().for_each(|other| order.dependents.entry(other).or_default().push(id));
        }
        let workers = self.options.jobs.clamp(1, demanded.len().max(1));
        let (queue, signal) = (Mutex::new(queue), Condvar::new());
        if workers == 1 {
            return self.work(&order, &queue, &signal);
        }
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| self.work(&order, &queue, &signal));
            }
        });
    }

    fn work<'a>(&'a self, order: &Order, queue: &Mutex<Queue<'a>>, signal: &Condvar) {
        let mut state = queue.lock().expect("no panic while locked");
        loop {
            if state.stop || self.cancellation.is_raised() || (state.ready.is_empty() && state.running == 0) {
                signal.notify_all();
                return;
            }
            let Some(id) = state.take(self.graph) else {
                state = signal.wait(state).expect("no panic while locked");
                continue;
            };
            drop(state);
            let outcome = catch_unwind(AssertUnwindSafe(|| self.ensure(id).is_some()));
            state = queue.lock().expect("no panic while locked");
            let is_done = match outcome {
                Ok(is_done) => is_done,
                Err(panic) => {
                    // A bug: the other workers would wait for this step for ever.
                    state.stop = true;
                    self.cancellation.cancel();
                    signal.notify_all();
                    drop(state);
                    resume_unwind(panic);
                }
            };
            state.put_back(self.graph, id, order);
            if !is_done && !self.options.keep_going {
                state.stop = true;
            }
            signal.notify_all();
        }
    }

    /// Makes sure that `id` has ended; returns `None` unless it succeeded. The error itself is in the summary.
    fn ensure(&self, id: NodeId) -> Option<StepResult> {
        match self.states.enter(id, || self.run(id)) {
            StepState::Done(result) => Some(result),
            StepState::Stopped(_) => None,
        }
    }

    fn run(&self, id: NodeId) -> StepState {
        let node = self.graph.node(id);
        let mut upstream: Vec<UpstreamResult> = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            match self.ensure(input) {
                Some(result) => upstream.push(result.result),
                None => return self.skip(id, input),
            }
        }
        let mut sources: Vec<_> = upstream.iter().map(|result| result.sources.clone()).collect();
        for &other in &node.after {
            match self.ensure(other) {
                Some(result) => sources.push(result.result.sources),
                None => return self.skip(id, other),
            }
        }
        let failed_prerequisite = Mutex::new(None);
        let prerequisites = || {
            for &other in &node.on_miss {
                if self.ensure(other).is_none() {
                    *failed_prerequisite.lock().expect("no panic while locked") = Some(other);
                    return Err(StepError::Interrupted);
                }
            }
            Ok(())
        };
        let context = StepContext {
            workspace: self.workspace,
            cancellation: self.cancellation,
            upstream,
            sources,
            purpose: Purpose::Build,
            own_writes: self.workspace.own_writes.count(),
            deadline: None,
            node: id,
            is_wanted: self.roots.contains(&id),
            is_forced: self.options.force,
            redactor: self.redactor,
            emit: self.emit,
            prerequisites: &prerequisites,
        };
        let begun = Instant::now();
        let outcome = execute(node, &context, self.options.force);
        if let Some(other) = failed_prerequisite.into_inner().expect("no panic while locked") {
            return self.skip(id, other);
        }
        match outcome {
            Ok(result) => {
                let reasons = result.reasons.clone();
                self.finish(id, StepState::Done(result), reasons, begun)
            }
            Err(error) => {
                let outcome =
                    if matches!(error, StepError::Interrupted) { Outcome::Interrupted } else { Outcome::Failed };
                let state = self.finish(id, StepState::Stopped(outcome), Vec::new(), begun);
                self.failures.lock().expect("no panic while locked").push((id, error));
                state
            }
        }
    }

    fn skip(&self, id: NodeId, because: NodeId) -> StepState {
        let why = format!("`{}` failed", self.graph.node(because).key);
        self.finish(id, StepState::Stopped(Outcome::NotRun), vec![Reason::Always { why }], Instant::now())
    }

    /// Returns what a run took whose result stands for one now. Of a step that no store has, the last run here counts.
    fn saved(&self, id: NodeId, state: &StepState) -> Duration {
        match (state, state.outcome()) {
            (StepState::Done(result), Outcome::Cached | Outcome::Restored) => result.saved.unwrap_or_else(|| {
                let last = self.known.get(&self.graph.node(id).key.file_name());
                last.copied().map_or(Duration::ZERO, Duration::from_millis)
            }),
            _ => Duration::ZERO,
        }
    }

    /// Ends a step: the one place that records and reports it.
    fn finish(&self, id: NodeId, state: StepState, reasons: Vec<Reason>, begun: Instant) -> StepState {
        let duration = begun.elapsed();
        let (outputs, metadata) = match &state {
            StepState::Done(result) => (self.output_reports(result), result.result.metadata.clone()),
            StepState::Stopped(_) => (Vec::new(), Metadata::default()),
        };
        if state.outcome() == Outcome::Ran {
            let (name, duration) = (self.graph.node(id).key.file_name(), duration.as_millis() as u64);
            self.durations.lock().expect("no panic while locked").insert(name, duration);
        }
        let (outcome, saved) = (state.outcome(), self.saved(id, &state));
        (self.emit)(Event::Finished { node: id, outcome, reasons, duration, saved, outputs, metadata });
        state
    }

    fn output_reports(&self, result: &StepResult) -> Vec<OutputReport> {
        let report = |artefact: &Artefact| match artefact.entry {
            Entry::File { digest, .. } => {
                let path = artefact.path.strip_prefix(&self.workspace.root).unwrap_or(&artefact.path);
                Some(OutputReport { path: path.to_owned(), digest })
            }
            Entry::Symlink { .. } | Entry::Directory { .. } => None,
        };
        result.result.artefacts.iter().filter_map(report).collect()
    }
}
