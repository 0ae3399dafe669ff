//! Building targets: the main job.

use std::io::IsTerminal;
use std::time::Instant;

use rondel_engine::{BuildOptions, Event, Summary, Workspace, build as run_build};
use rondel_process::{Cancellation, Redactor};
use rondel_targets::Analysis;

use crate::cli::{Invocation, Progress};
use crate::exit::{Exit, Failure};
use crate::housekeeping::{Housekeeping, limit};
use crate::session::Session;
use crate::signals;
use crate::ui::{Human, Json, print_line};

/// What people see of a build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All that their options ask for.
    AsUsual,
    /// Nothing but what goes wrong.
    FailuresOnly,
}

/// Builds the targets named on the command line.
pub(crate) fn build(session: &Session<'_>, invocation: &Invocation) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let targets = session.target_names(&invocation.words)?;
    let lowered = session.lower(invocation, targets)?;
    let workspace = session.workspace();
    let cancellation = Cancellation::new();
    signals::forward_to(&cancellation);
    if invocation.events_json {
        prepare(&workspace)?;
        let ui = Json::new(&lowered.graph, &session.file.project.value, &invocation.words);
        let redactor = Redactor::new(lowered.secrets.iter().cloned());
        let housekeeping = Housekeeping::new(&workspace.cache, limit(session.caller)?);
        let emit = |event: Event| {
            if matches!(event, Event::Started { .. }) {
                housekeeping.step_began();
            }
            ui.show(&event);
        };
        warn(&lowered, &emit);
        let options = options(invocation);
        let _running = workspace.store.begin_build();
        let summary = run_build(&lowered.graph, &lowered.roots, &workspace, options, &cancellation, &redactor, &emit);
        let exit = exit_of(&summary);
        summary.failures.iter().for_each(|(node, error)| ui.failure(*node, error));
        ui.summary(exit, begun);
        return Ok(exit);
    }
    let summary = run_graph(session, invocation, &lowered, &workspace, &cancellation, Shown::AsUsual)?;
    Ok(exit_of(&summary))
}

/// Runs a graph and shows it to people, with what failed at the end.
pub(crate) fn run_graph(
    session: &Session<'_>,
    invocation: &Invocation,
    lowered: &Analysis,
    workspace: &Workspace,
    cancellation: &Cancellation,
    shown: Shown,
) -> Result<Summary, Failure> {
    let begun = Instant::now();
    prepare(workspace)?;
    let is_silent = shown == Shown::FailuresOnly || invocation.events_json;
    let terminal = std::io::stderr().is_terminal();
    let verbosity = crate::ui::Verbosity {
        quiet: invocation.quiet || is_silent,
        verbose: invocation.verbose && !is_silent,
        bars: match invocation.progress {
            _ if is_silent => false,
            Progress::Auto => terminal && !invocation.quiet,
            Progress::Bar => true,
            Progress::Plain | Progress::None => false,
        },
        steps: invocation.progress != Progress::None && !is_silent,
        color: session.caller.wants_color(invocation.color),
    };
    let ui = Human::new(&lowered.graph, verbosity);
    let redactor = Redactor::new(lowered.secrets.iter().cloned());
    let housekeeping = Housekeeping::new(&workspace.cache, limit(session.caller)?);
    let emit = |event: Event| {
        if matches!(event, Event::Started { .. }) {
            housekeeping.step_began();
        }
        ui.show(&event);
    };
    warn(lowered, &emit);
    let options = options(invocation);
    let _running = workspace.store.begin_build();
    let summary = run_build(&lowered.graph, &lowered.roots, workspace, options, cancellation, &redactor, &emit);
    for (node, error) in &summary.failures {
        if !matches!(error, rondel_engine::StepError::Interrupted) {
            ui.failure(*node, error);
        }
    }
    match exit_of(&summary) {
        Exit::Done => ui.summary(begun, &lowered.notes),
        Exit::Interrupted => print_line("interrupted; the former outputs are untouched"),
        _ => {}
    }
    Ok(summary)
}

fn prepare(workspace: &Workspace) -> Result<(), Failure> {
    workspace.prepare().map_err(|error| Failure::Environment {
        message: format!("failed to write `{}`: {error}", workspace.state.display()),
        hint: Some("Rondel keeps its state there; make the directory writable".to_owned()),
    })
}

fn options(invocation: &Invocation) -> BuildOptions {
    BuildOptions {
        jobs: invocation.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        keep_going: invocation.keep_going,
        force: invocation.force,
    }
}

fn warn(lowered: &Analysis, emit: &dyn Fn(Event)) {
    lowered.warnings.iter().for_each(|text| emit(Event::Warning { text: text.clone() }));
}

/// Interruption first; else the first failure decides.
pub(crate) fn exit_of(summary: &Summary) -> Exit {
    if summary.interrupted {
        return Exit::Interrupted;
    }
    summary.failures.first().map_or(Exit::Done, |(_, error)| Exit::of(error))
}
