//! `Runner`: runs a graph and shows it, with its errors at the end. It does not know what the graph is for.

use std::time::Instant;

use rondel_buildfile::{Span, render_place};
use rondel_engine::{BuildOptions as EngineOptions, Event, Forecast, NodeId, Run, StepError, Summary, Workspace};
use rondel_process::{Cancellation, Redactor};
use rondel_targets::Analysis;

use crate::background_gc::{BackgroundGc, limit};
use crate::cli::groups::BuildOptions;
use crate::exit::{Exit, Failure};
use crate::members::unfinished_groups;
use crate::recorder::Recorder;
use crate::session::{ProcessContext, Session};
use crate::ui::{BuildEnd, BuildStart, Paths, Sink};

/// Runs graphs: the one way, for builds and for `verify`.
pub(crate) struct Runner<'a> {
    pub context: &'a ProcessContext,
    pub options: &'a BuildOptions,
    pub cancellation: &'a Cancellation,
    /// For the places of errors.
    pub session: &'a Session<'a>,
    /// Keeps what happens, for `report`.
    pub recorder: Option<&'a Recorder>,
}

impl Runner<'_> {
    /// Runs a graph and shows it, with its errors at the end.
    pub fn run(&self, analyzed: &Analysis, workspace: &Workspace, sink: &dyn Sink) -> Result<Summary, Failure> {
        Ok(self.run_held(analyzed, workspace, sink, &mut |_| Ok(Exit::Done))?.0)
    }

    /// Runs a graph as `run` does. What is sent only when it is proven waits for `prove`, which gets all that was made, and
    /// says how that ended.
    pub fn run_held(
        &self,
        analyzed: &Analysis,
        workspace: &Workspace,
        sink: &dyn Sink,
        prove: &mut dyn FnMut(&Summary) -> Result<Exit, Failure>,
    ) -> Result<(Summary, Exit), Failure> {
        let begun = Instant::now();
        prepare(workspace)?;
        let redactor = Redactor::new(analyzed.secrets.iter().cloned());
        let recorded = self.recorder.map(|recorder| recorder.begin(&analyzed.graph, &redactor, &workspace.state));
        let background_gc = BackgroundGc::new(&workspace.cache, limit(self.context)?);
        let emit = |event: Event| {
            if matches!(event, Event::Started { .. }) {
                background_gc.step_began();
            }
            sink.event(&analyzed.graph, &event);
            if let Some(recorded) = &recorded {
                recorded.event(event);
            }
        };
        let (graph, roots, cancellation) = (&analyzed.graph, analyzed.roots.as_slice(), self.cancellation);
        let jobs = self.options.jobs.number();
        sink.building(BuildStart {
            graph,
            forecast: Forecast::of(graph, roots, &workspace.state, jobs),
            paths: Paths::new(&self.context.directory, &workspace.root, &self.session.root),
        });
        analyzed.warnings.iter().for_each(|text| emit(Event::Warning { text: text.clone() }));
        let options = EngineOptions { jobs, keep_going: self.options.keep_going, force: self.options.force };
        let _running = workspace.store.begin_build();
        let _alive = workspace.keep_alive();
        let run = Run { graph, roots, workspace, options, cancellation, redactor: &redactor, emit: &emit };
        let held: Vec<NodeId> = analyzed.held.iter().map(|held| held.step).collect();
        let mut proven = Ok(Exit::Done);
        let summary = run.build(&held, &mut |made| {
            proven = prove(made);
            matches!(proven, Ok(Exit::Done))
        });
        for (node, error) in &summary.failures {
            let span = match error {
                StepError::User(error) => error.span.as_ref().map(|span| Span { start: span.start, end: span.end }),
                StepError::Command { .. } | StepError::Foreground { .. } | StepError::Interrupted => None,
            };
            let (name, text) = (&self.session.name, &self.session.text);
            let place = span.map(|span| render_place(name, text, span)).unwrap_or_default();
            sink.failure(&analyzed.graph, *node, error, &place);
            if let Some(recorded) = &recorded {
                recorded.failure(*node, error, &place);
            }
        }
        if !summary.failures.is_empty() || summary.interrupted {
            let file = &self.session.file;
            for (group, members) in unfinished_groups(file, &analyzed.graph, &analyzed.ends, &summary) {
                sink.members(group, &members);
            }
        }
        if let Some(recorded) = recorded {
            recorded.end(roots);
        }
        let exit = match exit_of(&summary) {
            Exit::Done => proven?,
            other => other,
        };
        let removed_containers = self.cancellation.removed_containers();
        sink.built(graph, &BuildEnd { exit, took: begun.elapsed(), notes: &analyzed.notes, removed_containers });
        Ok((summary, exit))
    }
}

/// Makes the directories of a workspace.
pub(crate) fn prepare(workspace: &Workspace) -> Result<(), Failure> {
    Ok(workspace.prepare()?)
}

/// Returns the exit code: interruption first, else the first failure decides.
pub(crate) fn exit_of(summary: &Summary) -> Exit {
    if summary.interrupted {
        return Exit::Interrupted;
    }
    summary.failures.first().map_or(Exit::Done, |(_, error)| Exit::of(error))
}
