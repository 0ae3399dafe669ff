//! `Recorder`: what happens in a run of targets, as a record for `report`. It sees the events that a sink sees, and writes
//! once, at the end.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rondel_engine::{Event, Graph, Metadata, NodeId, Outcome, OutputReport, Reason, Shown, StepError};
use rondel_golang::TestsMetadata;
use rondel_process::Redactor;
use rondel_report::{End, Log, Output, Run, Step, StepError as RecordedError, Tested, write_run};

use crate::exit::Exit;
use crate::program::with_program;
use crate::ui::{print_line, reason_text};

/// Maximum number of outputs that are named of a step.
const OUTPUTS_MAX: usize = 24;

/// A run that is recorded.
pub(crate) struct Recorder {
    begun: Instant,
    state: Mutex<State>,
}

struct State {
    run: Run,
    /// `.rondel`; `None` until a graph has run: then there is nothing to record.
    directory: Option<PathBuf>,
}

/// The run of one graph.
pub(crate) struct Recording<'a> {
    recorder: &'a Recorder,
    graph: &'a Graph,
    redactor: &'a Redactor,
    begun: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By node.
    steps: Vec<SeenStep>,
    warnings: Vec<String>,
}

/// What was seen of one step.
#[derive(Default)]
struct SeenStep {
    started: Option<Instant>,
    reasons: Vec<Reason>,
    ended: Option<(Outcome, Instant)>,
    duration: Duration,
    kept: Option<Duration>,
    outputs: Vec<OutputReport>,
    metadata: Metadata,
    tested: Vec<Tested>,
    log: Log,
    error: Option<RecordedError>,
}

impl Recorder {
    /// Begins the record of a run.
    pub fn new(project: &str, words: &[String], jobs: usize) -> Recorder {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = Run {
            project: project.to_owned(),
            words: words.to_vec(),
            started_ms: started.as_millis() as u64,
            jobs: jobs as u32,
            ..Run::default()
        };
        Recorder { begun: Instant::now(), state: Mutex::new(State { run, directory: None }) }
    }

    /// Begins the run of a graph. `directory` is `.rondel`.
    pub fn begin<'a>(&'a self, graph: &'a Graph, redactor: &'a Redactor, directory: &Path) -> Recording<'a> {
        self.lock().directory = Some(directory.to_owned());
        let steps = std::iter::repeat_with(SeenStep::default).take(graph.len()).collect();
        let seen = Mutex::new(Seen { steps, warnings: Vec::new() });
        Recording { recorder: self, graph, redactor, begun: self.begun, seen }
    }

    /// Writes the record. What can't be written costs the record, not the run.
    pub fn save(self, exit: Exit) {
        let State { mut run, directory } = self.state.into_inner().expect("no panic while locked");
        let Some(directory) = directory else { return };
        run.exit = exit.code();
        run.duration_ms = self.begun.elapsed().as_millis() as u64;
        if let Err(error) = write_run(&directory, run) {
            print_line(&format!("warning: the run was not recorded for `report`: {error}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }
}

impl Recording<'_> {
    /// Takes an event.
    pub fn event(&self, event: Event) {
        let now = Instant::now();
        let mut seen = self.seen.lock().expect("no panic while locked");
        match event {
            Event::Started { node, reasons } => {
                let step = &mut seen.steps[node];
                step.started = Some(now);
                step.reasons = reasons;
            }
            Event::Output { node, line, .. } => seen.steps[node].log.push(&line),
            Event::Note { node, text } => seen.steps[node].log.push(&format!("note: {}", with_program(&text))),
            Event::Warning { text } => seen.warnings.push(with_program(&text).into_owned()),
            Event::Reported { node, metadata } => {
                let tests = metadata.get::<TestsMetadata>().unwrap_or_default();
                seen.steps[node].tested.extend(tests.packages.into_iter().map(|package| Tested {
                    name: package.import_path,
                    has_passed: package.has_passed,
                    elapsed_ms: package.elapsed_ms,
                    passed: package.passed as u64,
                    failed: package.failed as u64,
                    skipped: package.skipped as u64,
                    failed_tests: package.failed_tests,
                }));
            }
            Event::Finished { node, outcome, reasons, duration, saved, outputs, metadata } => {
                let step = &mut seen.steps[node];
                if !reasons.is_empty() {
                    step.reasons = reasons;
                }
                step.ended = Some((outcome, now));
                (step.duration, step.kept, step.outputs, step.metadata) =
                    (duration, Some(saved).filter(|saved| !saved.is_zero()), outputs, metadata);
            }
            // A command's line has variables of the user's, among them addresses with passwords that nobody declared.
            Event::Command { .. } | Event::Progress { .. } | Event::Parts { .. } => {}
        }
    }

    /// Takes a step's error. `place` shows its place in build.ron, in lines.
    pub fn failure(&self, node: NodeId, error: &StepError, place: &str) {
        let mut seen = self.seen.lock().expect("no panic while locked");
        let step = &mut seen.steps[node];
        if let StepError::Command { output, told, .. } = error {
            output.iter().skip(*told).for_each(|line| step.log.push(&self.redactor.apply(line)));
        }
        let text = |text: &str| self.redactor.apply(&with_program(text));
        let message = text(&format!("{error}\n{place}")).trim_end().to_owned();
        let hint = error.hint_text().map(text).unwrap_or_default();
        step.error = Some(RecordedError { message, hint });
    }

    /// Ends the run of the graph: adds its steps to the record.
    pub fn end(self, roots: &[NodeId]) {
        let Seen { steps, warnings } = self.seen.into_inner().expect("no panic while locked");
        let mut state = self.recorder.lock();
        let run = &mut state.run;
        let redact = |text: &mut String| *text = self.redactor.apply(text);
        run.warnings.extend(warnings);
        // A parameter can have the value of a secret, and so can an argument that has changed.
        run.words.iter_mut().chain(&mut run.warnings).for_each(redact);
        let wanted = self.graph.reachable(roots);
        let mut places = vec![0; self.graph.len()];
        for (id, seen) in steps.into_iter().enumerate().filter(|(id, _)| wanted.contains(id)) {
            places[id] = run.steps.len() as u32;
            let node = self.graph.node(id);
            let of = |ids: &[NodeId]| ids.iter().map(|id| places[*id]).collect::<Vec<u32>>();
            let mut step = recorded(seen, self.begun);
            step.reasons.iter_mut().chain(step.facts.values_mut()).for_each(redact);
            step.title.clone_from(&node.title);
            step.kind = node.kind.to_owned();
            step.target = node.key.target_text().to_owned();
            step.is_internal = node.shown == Shown::Never;
            step.inputs = of(&node.inputs);
            step.after = [of(&node.after), of(&node.on_miss)].concat();
            run.steps.push(step);
        }
    }
}

/// Returns what was seen of a step, as a record has it. `begun` is the start of the run.
fn recorded(seen: SeenStep, begun: Instant) -> Step {
    let (end, ended) = match seen.ended {
        Some((outcome, ended)) => (end_of(outcome), Some(ended)),
        None if seen.started.is_some() => (End::Interrupted, None),
        None => (End::Skipped, None),
    };
    let ended = ended.unwrap_or_else(Instant::now);
    let started = seen.started.or_else(|| ended.checked_sub(seen.duration)).unwrap_or(begun).max(begun);
    let mut reasons: Vec<String> = seen.reasons.iter().map(reason_text).collect();
    if seen.ended.is_none() && seen.started.is_none() {
        reasons.push("the run ended before it could begin".to_owned());
    }
    let output = |output: &OutputReport| Output { path: output.path.display().to_string(), size: output.digest.size() };
    let layout = seen.outputs.iter().find(|output| output.path.ends_with("oci-layout"));
    let (log, log_left_out) = seen.log.finish();
    Step {
        end,
        follows: matches!(seen.reasons.first(), Some(Reason::UpstreamChanged { .. })),
        reasons,
        start_us: if end == End::Skipped { 0 } else { started.duration_since(begun).as_micros() as u64 },
        duration_us: if end == End::Skipped { 0 } else { ended.duration_since(started).as_micros() as u64 },
        kept_ms: seen.kept.map(|kept| kept.as_millis() as u64),
        facts: seen.metadata.facts(),
        layout: layout.and_then(|output| Some(output.path.parent()?.display().to_string())),
        output_count: seen.outputs.len() as u32,
        // Of a result that was there, nobody asks for single files.
        outputs: if end.has_run() { seen.outputs.iter().take(OUTPUTS_MAX).map(output).collect() } else { Vec::new() },
        error: seen.error,
        log,
        log_left_out,
        tested: seen.tested,
        ..Step::default()
    }
}

fn end_of(outcome: Outcome) -> End {
    match outcome {
        Outcome::Ran => End::Ran,
        Outcome::Cached => End::UpToDate,
        Outcome::Restored => End::Restored,
        Outcome::Failed => End::Failed,
        Outcome::Interrupted => End::Interrupted,
        Outcome::Skipped | Outcome::NotRun => End::Skipped,
    }
}
