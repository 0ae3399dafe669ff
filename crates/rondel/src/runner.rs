//! `Runner`: runs a graph and shows it, with its errors at the end. It does not know what the graph is for.

use std::time::Instant;

use rondel_buildfile::{Span, render_place};
use rondel_engine::{BuildOptions as EngineOptions, Event, StepError, Summary, Workspace, build as run_build};
use rondel_process::{Cancellation, Redactor};
use rondel_targets::Analysis;

use crate::background_gc::{BackgroundGc, limit};
use crate::cli::groups::BuildOptions;
use crate::exit::{Exit, Failure};
use crate::members::unfinished_groups;
use crate::session::{ProcessContext, Session};
use crate::ui::Sink;

/// Runs graphs: the one way, for builds and for `verify`.
pub(crate) struct Runner<'a> {
    pub context: &'a ProcessContext,
    pub options: &'a BuildOptions,
    pub cancellation: &'a Cancellation,
    /// For the places of errors.
    pub session: &'a Session<'a>,
}

impl Runner<'_> {
    /// Runs a graph and shows it, with its errors at the end.
    pub fn run(&self, analyzed: &Analysis, workspace: &Workspace, sink: &dyn Sink) -> Result<Summary, Failure> {
        let begun = Instant::now();
        prepare(workspace)?;
        let redactor = Redactor::new(analyzed.secrets.iter().cloned());
        let background_gc = BackgroundGc::new(&workspace.cache, limit(self.context)?);
        let emit = |event: Event| {
            if matches!(event, Event::Started { .. }) {
                background_gc.step_began();
            }
            sink.event(&analyzed.graph, &event);
        };
        analyzed.warnings.iter().for_each(|text| emit(Event::Warning { text: text.clone() }));
        let options = EngineOptions {
            jobs: self.options.jobs.number(),
            keep_going: self.options.keep_going,
            force: self.options.force,
        };
        let _running = workspace.store.begin_build();
        let _alive = workspace.keep_alive();
        let summary =
            run_build(&analyzed.graph, &analyzed.roots, workspace, options, self.cancellation, &redactor, &emit);
        for (node, error) in &summary.failures {
            let span = match error {
                StepError::User(error) => error.span.as_ref().map(|span| Span { start: span.start, end: span.end }),
                StepError::Command { .. } | StepError::Foreground { .. } | StepError::Interrupted => None,
            };
            let (name, text) = (&self.session.name, &self.session.text);
            let place = span.map(|span| render_place(name, text, span)).unwrap_or_default();
            sink.failure(&analyzed.graph, *node, error, &place);
        }
        if !summary.failures.is_empty() || summary.interrupted {
            let file = &self.session.file;
            for (group, members) in unfinished_groups(file, &analyzed.graph, &analyzed.ends, &summary) {
                sink.members(group, &members);
            }
        }
        sink.built(&analyzed.graph, exit_of(&summary), begun.elapsed(), &analyzed.notes);
        Ok(summary)
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
