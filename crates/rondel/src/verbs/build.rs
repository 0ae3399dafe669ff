//! Building targets: the main job. A target's name takes the place of a verb's.

use std::time::Instant;

use rondel_buildfile::{Span, render_place};
use rondel_engine::{
    BuildOptions as EngineOptions, Event, Shown as StepShown, StepError, Summary, Workspace, build as run_build,
};
use rondel_process::{Cancellation, Redactor};
use rondel_targets::Analysis;

use crate::background_gc::{BackgroundGc, limit};
use crate::before_build::settle;
use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::members::unfinished_groups;
use crate::publication::Publication;
use crate::session::{ProcessContext, Session};
use crate::signals;
use crate::ui::{Shown, Sink, sink};

options! {
    /// Options of builds.
    struct Options {
        /// publish releases where their `publish` says, once all of them is made
        publish: bool = option("publish"),
        ..analysis: AnalysisOptions,
        ..build: BuildOptions,
    }
}

/// Builds the targets named on the command line.
pub(crate) struct Build;

impl Verb for Build {
    const NAME: &'static str = "TARGET";
    const ABOUT: &'static str = "builds targets";
    const ARGUMENTS: Arguments = Arguments::TARGETS;
    const TAKES_REST: bool = true;
    const EXAMPLE: &'static str = "image";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let begun = Instant::now();
        let session = session?;
        session.require_cache()?;
        let asked = session.asked(call.words)?;
        settle(&session, &asked.targets, call.options.build.yes)?;
        let names: Vec<String> = asked.targets.iter().map(ToString::to_string).collect();
        session.prepare_seal()?;
        let analyzed = session.analyze(&call.options.analysis, call.rest, asked.clone())?;
        let publication = Publication::of(&session, &call.options.analysis, asked, &analyzed);
        if call.options.publish {
            publication.check(&analyzed)?;
        }
        if call.options.build.events.is_some() {
            refuse_interactive(&analyzed)?;
        }
        let workspace = session.workspace();
        let cancellation = Cancellation::new();
        signals::forward_to(&cancellation);
        prepare(&workspace)?;
        let sink = sink(call.context, call.global, &call.options.build, Shown::AsUsual);
        sink.started(&session.file.project.value, &names);
        let runner = Runner {
            context: call.context,
            options: &call.options.build,
            cancellation: &cancellation,
            session: &session,
        };
        let summary = runner.run(&analyzed, &workspace, sink.as_ref())?;
        let mut exit = exit_of(&summary);
        if exit == Exit::Done && call.options.publish {
            let analyzed = publication.graph(&analyzed, &summary)?;
            // Its steps are others than those that the first sink knows by their numbers.
            let sink = self::sink(call.context, call.global, &call.options.build, Shown::AsUsual);
            exit = exit_of(&runner.run(&analyzed, &workspace, sink.as_ref())?);
        } else if exit == Exit::Done && !publication.releases.is_empty() {
            sink.unpublished(&publication.releases);
        }
        sink.finished(exit, begun.elapsed());
        Ok(exit)
    }
}

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

/// Refuses steps that have the terminal where standard output is for events.
fn refuse_interactive(analyzed: &Analysis) -> Result<(), Failure> {
    match analyzed.graph.nodes().find(|(_, node)| node.shown == StepShown::Foreground) {
        Some((_, node)) => {
            let message = format!("`{}` is interactive, and standard output is for events", node.title);
            Err(Failure::usage(message).hint("leave out `--events`"))
        }
        None => Ok(()),
    }
}

fn prepare(workspace: &Workspace) -> Result<(), Failure> {
    Ok(workspace.prepare()?)
}

/// Returns the exit code: interruption first, else the first failure decides.
pub(crate) fn exit_of(summary: &Summary) -> Exit {
    if summary.interrupted {
        return Exit::Interrupted;
    }
    summary.failures.first().map_or(Exit::Done, |(_, error)| Exit::of(error))
}
