//! Building targets: the main job.

use std::io::IsTerminal;
use std::time::Instant;

use rondel_engine::{BuildOptions, Event, Summary, build as run_build};
use rondel_process::{Cancellation, Redactor};

use crate::cli::{Invocation, Progress};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::signals;
use crate::ui::{Human, Json, print_line};

/// Builds the targets named on the command line.
pub(crate) fn build(session: &Session<'_>, invocation: &Invocation) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let targets = session.target_names(&invocation.words)?;
    let lowered = session.lower(invocation, targets)?;
    let workspace = session.workspace();
    if let Err(error) = workspace.prepare() {
        let message = format!("failed to write `{}`: {error}", workspace.state.display());
        return Err(Failure::Environment {
            message,
            hint: Some("Rondel keeps its state there; make the directory writable".to_owned()),
        });
    }
    let cancellation = Cancellation::new();
    signals::forward_to(&cancellation);
    let redactor = Redactor::new(lowered.secrets.iter().cloned());
    let options = BuildOptions {
        jobs: invocation.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        keep_going: invocation.keep_going,
        force: invocation.force,
    };
    let warnings = lowered.warnings.iter().map(|text| Event::Warning { text: text.clone() });
    let go = |emit: &(dyn Fn(Event) + Sync)| {
        warnings.clone().for_each(emit);
        run_build(&lowered.graph, &lowered.roots, &workspace, options, &cancellation, &redactor, emit)
    };
    if invocation.events_json {
        let ui = Json::new(&lowered.graph, &session.file.project.value, &invocation.words);
        let summary = go(&|event| ui.show(&event));
        let exit = exit_of(&summary);
        summary.failures.iter().for_each(|(node, error)| ui.failure(*node, error));
        ui.summary(exit, begun);
        return Ok(exit);
    }
    let terminal = std::io::stderr().is_terminal();
    let verbosity = crate::ui::Verbosity {
        quiet: invocation.quiet,
        verbose: invocation.verbose,
        bars: match invocation.progress {
            Progress::Auto => terminal && !invocation.quiet,
            Progress::Bar => true,
            Progress::Plain | Progress::None => false,
        },
        steps: invocation.progress != Progress::None,
        color: session.caller.wants_color(invocation.color),
    };
    let ui = Human::new(&lowered.graph, verbosity);
    let summary = go(&|event| ui.show(&event));
    let exit = exit_of(&summary);
    for (node, error) in &summary.failures {
        if !matches!(error, rondel_engine::StepError::Interrupted) {
            ui.failure(*node, error);
        }
    }
    match exit {
        Exit::Done => ui.summary(begun, &lowered.notes),
        Exit::Interrupted => print_line("interrupted; the former outputs are untouched"),
        _ => {}
    }
    Ok(exit)
}

/// Interruption first; else the first failure decides.
fn exit_of(summary: &Summary) -> Exit {
    if summary.interrupted {
        return Exit::Interrupted;
    }
    summary.failures.first().map_or(Exit::Done, |(_, error)| Exit::of(error))
}
