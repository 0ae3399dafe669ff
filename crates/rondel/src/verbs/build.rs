//! Building targets: the main job. A target's name takes the place of a verb's.

use std::time::Instant;

use rondel_engine::{Shown as StepShown, Summary};
use rondel_process::Cancellation;
use rondel_targets::Analysis;

use crate::before_build::settle;
use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::gate::Gate;
use crate::publication::Publication;
use crate::recorder::Recorder;
use crate::runner::{Runner, exit_of, prepare};
use crate::session::Session;
use crate::signals;
use crate::ui::{Shown, sink};

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
        let session = session?;
        let recorder = Recorder::new(&session.file.project.value, call.words, call.options.build.jobs.number());
        let outcome = build(&session, call, &recorder);
        let exit = match &outcome {
            Ok(exit) => *exit,
            Err(failure) => failure.exit(),
        };
        recorder.save(exit);
        outcome
    }
}

fn build(session: &Session<'_>, call: &Call<'_, Options>, recorder: &Recorder) -> Result<Exit, Failure> {
    let begun = Instant::now();
    session.require_cache()?;
    let asked = session.asked(call.words)?;
    settle(session, &asked.targets, call.options.build.yes)?;
    let names: Vec<String> = asked.targets.iter().map(ToString::to_string).collect();
    session.prepare_seal()?;
    let analyzed = session.analyze(&call.options.analysis, call.rest, asked.clone())?;
    let publication = Publication::of(session, &call.options.analysis, asked.clone(), &analyzed);
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
    #[cfg(target_os = "linux")]
    if !call.options.publish {
        crate::vouch::rely_on_watch(&workspace);
    }
    let sink = sink(call.context, call.global, &call.options.build, Shown::AsUsual);
    sink.started(&session.file.project.value, &names);
    let runner = Runner {
        context: call.context,
        options: &call.options.build,
        cancellation: &cancellation,
        session,
        recorder: Some(recorder),
    };
    let options = (call.global, &call.options.analysis);
    let gate = Gate { runner: &runner, options, asked: &asked, sink: sink.as_ref() };
    let mut before_sending = |made: &Summary| gate.pass_before_sending(&analyzed, made, &workspace);
    let (summary, mut exit) = runner.run_held(&analyzed, &workspace, sink.as_ref(), &mut before_sending)?;
    if exit == Exit::Done {
        exit = gate.pass(&analyzed, &summary, &workspace)?;
    }
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
