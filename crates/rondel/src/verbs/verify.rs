//! `verify`: builds a second time in other surroundings and compares. Or builds once there and compares with a file or
//! layout.

mod artefact;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use rondel_process::Cancellation;
use rondel_targets::PlatformChoice;

use crate::asked::Asked;
use crate::before_build::settle;
use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::options;
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::perturbed_build::PerturbedBuild;
use crate::runner::{Runner, exit_of};
use crate::second_build::{
    SecondBuild, artefacts_of, check_kinds, check_publishing, sources_of, summarise, unfinished,
};
use crate::session::Session;
use crate::signals;
use crate::ui::{Shown, Sink, Verified, sink};

options! {
    /// Options of `verify`.
    struct Options {
        ..analysis: AnalysisOptions,
        ..build: BuildOptions,
    }
}

/// Builds twice and compares.
pub(crate) struct Verify;

impl Verb for Verify {
    const NAME: &'static str = "verify";
    const ABOUT: &'static str = "build again in other surroundings and compare; or compare with a file or layout";
    const ARGUMENTS: Arguments = Arguments {
        holds: Holds::TargetsOrPaths,
        least: 1,
        most: usize::MAX,
        forms: &["TARGET…", "PATH [TARGET]"],
        needed: "a target, or a file that one made",
        docs: &[
            ("TARGET", "a target of build.ron; after a path, the one that made it"),
            ("PATH", "a Go executable, or a directory with an OCI layout"),
        ],
    };
    const EXAMPLE: &'static str = "verify image";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        session.require_cache()?;
        let begun = Instant::now();
        let cancellation = Cancellation::new();
        let run = Run {
            session: &session,
            call,
            sink: sink(call.context, call.global, &call.options.build, Shown::AsUsual),
            cancellation: &cancellation,
            begun,
        };
        let first = call.words.first().map_or("", String::as_str);
        let is_target = session.target(first).is_some();
        let path = call.context.directory.join(first);
        let exit = match !is_target && path.exists() {
            true => artefact::verify(&run, &path, call.words.get(1))?,
            false => verify(&run)?,
        };
        run.sink.finished(exit, begun.elapsed());
        Ok(exit)
    }
}

/// One run of the verb.
struct Run<'a> {
    session: &'a Session<'a>,
    call: &'a Call<'a, Options>,
    sink: Box<dyn Sink>,
    cancellation: &'a Cancellation,
    begun: Instant,
}

impl Run<'_> {
    fn runner(&self) -> Runner<'_> {
        let (context, options) = (self.call.context, &self.call.options.build);
        Runner { context, options, cancellation: self.cancellation, session: self.session, recorder: None }
    }

    /// Starts the output: the command line has no errors left.
    fn start(&self) {
        signals::forward_to(self.cancellation);
        self.sink.started(&self.session.file.project.value, self.call.words);
    }

    /// Runs the second build.
    fn second_build(
        &self,
        asked: &Asked,
        platforms: PlatformChoice,
        known: (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>),
    ) -> Result<SecondBuild, Failure> {
        self.sink.verifying();
        let (global, analysis) = (self.call.global, &self.call.options.analysis);
        SecondBuild::run(&self.runner(), (global, analysis), asked, platforms, known)
    }

    fn report(&self, steps: &[Verified], place: &PerturbedBuild) -> Exit {
        steps.iter().for_each(|step| self.sink.verified(step));
        summarise(steps, &place.variations, self.begun.elapsed(), self.sink.as_ref())
    }
}

fn verify(run: &Run<'_>) -> Result<Exit, Failure> {
    let (session, analysis) = (run.session, &run.call.options.analysis);
    let asked = session.asked(run.call.words)?;
    check_kinds(session, &asked.targets)?;
    settle(session, &asked.targets, run.call.options.build.yes)?;
    session.prepare_seal()?;
    let analyzed = session.analyze(analysis, &[], asked.clone())?;
    check_publishing(session, &analyzed.graph)?;
    run.start();
    let first = run.runner().run(&analyzed, &session.workspace(), run.sink.as_ref())?;
    if exit_of(&first) != Exit::Done {
        return Ok(exit_of(&first));
    }
    let (sources, mut made) = (sources_of(&first), artefacts_of(&first));
    made.extend(session.own_paths());
    let second = run.second_build(&asked, analysis.platforms(), (&sources, &made))?;
    if let Some(exit) = unfinished(&second.summary, run.sink.as_ref()) {
        return Ok(exit);
    }
    let steps = second.compare(session, (&analyzed.graph, &first))?;
    Ok(run.report(&steps, &second.place))
}
