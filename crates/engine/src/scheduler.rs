//! The scheduler: topological, parallel, bounded by `-j`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use rondel_process::{Cancellation, Redactor};

use crate::context::{StepContext, UpstreamResult};
use crate::error::StepError;
use crate::event::{Event, NodeId, Outcome, OutputReport};
use crate::execute::{StepResult, execute};
use crate::graph::Graph;
use crate::reason::Reason;
use crate::workspace::Workspace;

/// How a build goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct BuildOptions {
    /// Steps at once; at least 1.
    pub jobs: usize,
    /// After a failure, go on with what does not need the failed step?
    pub keep_going: bool,
    /// Run every step, whatever is known?
    pub force: bool,
}

/// What a build came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// How each node ended; nodes that were never reached are not in it.
    pub outcomes: BTreeMap<NodeId, Outcome>,
    /// What failed, in the order of failing.
    pub failures: Vec<(NodeId, StepError)>,
    /// What each node gave that came through.
    pub results: BTreeMap<NodeId, UpstreamResult>,
    /// Was the build asked to stop?
    pub interrupted: bool,
}

struct Build<'a> {
    graph: &'a Graph,
    workspace: &'a Workspace,
    options: BuildOptions,
    cancellation: &'a Cancellation,
    redactor: &'a Redactor,
    emit: &'a (dyn Fn(Event) + Sync),
    /// One cell a node, locked while the node runs: whoever comes second waits and finds the result.
    cells: Vec<Mutex<Option<Result<StepResult, ()>>>>,
    summary: Mutex<Summary>,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<NodeId>,
    waiting: BTreeMap<NodeId, usize>,
    running: usize,
    stop: bool,
}

/// Builds `roots` and all that they need. Events come from several threads.
pub fn build(
    graph: &Graph,
    roots: &[NodeId],
    workspace: &Workspace,
    options: BuildOptions,
    cancellation: &Cancellation,
    redactor: &Redactor,
    emit: &(dyn Fn(Event) + Sync),
) -> Summary {
    let build = Build {
        graph,
        workspace,
        options,
        cancellation,
        redactor,
        emit,
        cells: (0..graph.len()).map(|_| Mutex::new(None)).collect(),
        summary: Mutex::default(),
    };
    let demanded = graph.demanded(roots);
    build.run_all(&demanded);
    for &id in graph.reachable(roots).difference(&demanded) {
        let untouched = build.cells[id].lock().expect("no panic while locked").is_none();
        if untouched {
            build.finish(id, Outcome::Skipped, vec![Reason::Always { why: "nothing that needs it runs".to_owned() }]);
        }
    }
    if let Err(error) = workspace.snapshot.save() {
        emit(Event::Warning { text: format!("the stat snapshot was not saved: {error}") });
    }
    let mut summary = build.summary.into_inner().expect("no panic while locked");
    for (id, cell) in build.cells.into_iter().enumerate() {
        if let Some(Ok(result)) = cell.into_inner().expect("no panic while locked") {
            summary.results.insert(id, result.result);
        }
    }
    summary.interrupted = cancellation.is_raised();
    summary
}

impl Build<'_> {
    fn run_all(&self, demanded: &BTreeSet<NodeId>) {
        let mut queue = Queue::default();
        for &id in demanded {
            let count = self.waits_for(id, demanded).len();
            if count == 0 {
                queue.ready.push_back(id);
            }
            queue.waiting.insert(id, count);
        }
        let workers = self.options.jobs.clamp(1, demanded.len().max(1));
        let (queue, signal) = (Mutex::new(queue), Condvar::new());
        if workers == 1 {
            return self.work(demanded, &queue, &signal);
        }
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| self.work(demanded, &queue, &signal));
            }
        });
    }

    /// The demanded nodes that must be through before `id`.
    fn waits_for(&self, id: NodeId, demanded: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let node = self.graph.node(id);
        let all = node.inputs.iter().chain(&node.after).chain(&node.on_miss);
        all.copied().filter(|other| demanded.contains(other)).collect()
    }

    fn work(&self, demanded: &BTreeSet<NodeId>, queue: &Mutex<Queue>, signal: &Condvar) {
        let mut state = queue.lock().expect("no panic while locked");
        loop {
            if state.stop || self.cancellation.is_raised() || (state.ready.is_empty() && state.running == 0) {
                signal.notify_all();
                return;
            }
            let Some(id) = state.ready.pop_front() else {
                state = signal.wait(state).expect("no panic while locked");
                continue;
            };
            state.running += 1;
            drop(state);
            let sound = self.ensure(id).is_ok();
            state = queue.lock().expect("no panic while locked");
            state.running -= 1;
            if !sound && !self.options.keep_going {
                state.stop = true;
            }
            for &other in demanded {
                if self.waits_for(other, demanded).contains(&id) {
                    let count = state.waiting.get_mut(&other).expect("every demanded node is counted");
                    *count -= 1;
                    if *count == 0 {
                        state.ready.push_back(other);
                    }
                }
            }
            signal.notify_all();
        }
    }

    /// Makes sure that `id` is through; the error itself is in the summary.
    fn ensure(&self, id: NodeId) -> Result<StepResult, ()> {
        let mut cell = self.cells[id].lock().expect("no panic while locked");
        if let Some(result) = cell.as_ref() {
            return result.clone();
        }
        let result = self.run(id);
        *cell = Some(result.clone());
        result
    }

    fn run(&self, id: NodeId) -> Result<StepResult, ()> {
        let node = self.graph.node(id);
        let mut upstream: Vec<UpstreamResult> = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            match self.ensure(input) {
                Ok(result) => upstream.push(result.result),
                Err(()) => return self.skip(id, input),
            }
        }
        let mut sources: Vec<_> = upstream.iter().map(|result| result.sources.clone()).collect();
        for &other in &node.after {
            match self.ensure(other) {
                Ok(result) => sources.push(result.result.sources),
                Err(()) => return self.skip(id, other),
            }
        }
        let failed_prerequisite = Mutex::new(None);
        let prerequisites = || {
            for &other in &node.on_miss {
                if self.ensure(other).is_err() {
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
            is_query: false,
            node: id,
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
                self.report(id, &result, begun);
                Ok(result)
            }
            Err(error) => {
                let outcome =
                    if matches!(error, StepError::Interrupted) { Outcome::Interrupted } else { Outcome::Failed };
                self.finish(id, outcome, Vec::new());
                self.summary.lock().expect("no panic while locked").failures.push((id, error));
                Err(())
            }
        }
    }

    fn skip(&self, id: NodeId, because: NodeId) -> Result<StepResult, ()> {
        let why = format!("`{}` failed", self.graph.node(because).label);
        self.finish(id, Outcome::Skipped, vec![Reason::Always { why }]);
        Err(())
    }

    fn finish(&self, id: NodeId, outcome: Outcome, reasons: Vec<Reason>) {
        self.summary.lock().expect("no panic while locked").outcomes.insert(id, outcome);
        let duration = std::time::Duration::ZERO;
        (self.emit)(Event::Finished {
            node: id,
            outcome,
            reasons,
            duration,
            outputs: Vec::new(),
            facts: BTreeMap::new(),
        });
    }

    fn report(&self, id: NodeId, result: &StepResult, begun: Instant) {
        self.summary.lock().expect("no panic while locked").outcomes.insert(id, result.outcome);
        let outputs = result.result.artefacts.iter().filter_map(|artefact| match artefact.entry {
            rondel_cas::Entry::File { digest, .. } => {
                let path = artefact.path.strip_prefix(&self.workspace.root).unwrap_or(&artefact.path);
                Some(OutputReport { path: path.to_owned(), digest })
            }
            rondel_cas::Entry::Symlink { .. } => None,
        });
        (self.emit)(Event::Finished {
            node: id,
            outcome: result.outcome,
            reasons: result.reasons.clone(),
            duration: begun.elapsed(),
            outputs: outputs.collect(),
            facts: result.result.facts.clone(),
        });
    }
}
