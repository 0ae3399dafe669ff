//! `verify`: builds a second time in other surroundings and compares. Or builds once there and compares with a file or
//! layout.

mod artefact;
pub(crate) mod build_diff;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use rondel_buildfile::{Group, Makes, Platform, TargetName};
use rondel_engine::{Graph, Summary};
use rondel_process::Cancellation;
use rondel_targets::{Analysis, PlatformChoice, Request};

use crate::asked::Asked;
use crate::before_build::settle;
use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::options;
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::needs::missing;
use crate::perturbed_build::{PerturbedBuild, with_other_umask};
use crate::session::Session;
use crate::signals;
use crate::ui::{Shown, Sink, Verified, VerifySummary, sink};
use crate::verbs::build::{Runner, exit_of};

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
        Runner { context, options, cancellation: self.cancellation, session: self.session }
    }

    /// Starts the output: the command line has no errors left.
    fn start(&self) {
        signals::forward_to(self.cancellation);
        self.sink.started(&self.session.file.project.value, self.call.words);
    }

    /// Runs the second build. Its steps are not shown; its errors are.
    fn second_build(
        &self,
        asked: &Asked,
        platforms: PlatformChoice,
        (sources, made): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>),
    ) -> Result<(PerturbedBuild, Analysis, Summary), Failure> {
        self.sink.verifying();
        let place = PerturbedBuild::make(self.session, sources, made)?;
        // Git reads the original repository.
        let request = Request {
            root: place.root.clone(),
            cache: place.cache.clone(),
            environment: &place.environment,
            platforms,
            threads: 1,
            ..self.session.request(&self.call.options.analysis, asked.clone())
        };
        let analyzed = self.session.analyze_request(&request)?;
        drop(request);
        check_publishing(self.session, &analyzed.graph)?;
        let workspace = place.workspace();
        let quiet = sink(self.call.context, self.call.global, &self.call.options.build, Shown::FailuresOnly);
        let summary = with_other_umask(|| self.runner().run(&analyzed, &workspace, quiet.as_ref()))?;
        Ok((place, analyzed, summary))
    }

    /// Reports a failure in the second build only: the step depends on something undeclared.
    fn second_failed(&self, summary: &Summary) -> Exit {
        let exit = exit_of(summary);
        if exit != Exit::StepFailed {
            return exit;
        }
        self.sink.second_build_failed();
        Exit::Different
    }

    fn report(&self, steps: &[Verified], place: &PerturbedBuild) -> Exit {
        let different = steps.iter().filter(|step| step.difference.is_some()).count();
        steps.iter().for_each(|step| self.sink.verified(step));
        self.sink.verify_summary(&VerifySummary {
            steps: steps.len(),
            different,
            variations: &place.variations,
            took: self.begun.elapsed(),
        });
        if different == 0 { Exit::Done } else { Exit::Different }
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
    let (place, again, second) = run.second_build(&asked, analysis.platforms(), (&sources, &made))?;
    if exit_of(&second) != Exit::Done {
        return Ok(run.second_failed(&second));
    }
    let steps = build_diff::diff_graphs(&analyzed.graph, &first, &again.graph, &second, &place.traces(session))?;
    Ok(run.report(&steps, &place))
}

/// Returns an error if a target starts something or promises no identical bytes, or if none makes files.
fn check_kinds(session: &Session<'_>, targets: &[TargetName]) -> Result<(), Failure> {
    let mut open: Vec<&TargetName> = targets.iter().collect();
    let mut seen = BTreeSet::new();
    let mut makes = false;
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        let Some(target) = session.file.targets.iter().find(|target| target.name.value == *name) else { continue };
        let why = match target.makes() {
            Makes::DaemonImage => Some("`docker build` does not promise identical bytes"),
            Makes::Processes => Some("it runs something and makes nothing that could be compared"),
            Makes::Nothing | Makes::Executables | Makes::ImageLayout | Makes::Files { .. } => None,
        };
        if let Some(why) = why {
            return Err(Failure::usage(format!("`{name}` can't be verified: {why}")));
        }
        makes |= target.makes().is_comparable();
        open.extend(session.file.references_on(target, &Platform::host()));
    }
    if !makes {
        return Err(Failure::usage("there is nothing to verify: no target among them makes files"));
    }
    let targets = session.file.targets.iter().filter(|target| seen.contains(&target.name.value));
    match missing(session, targets).as_slice() {
        [] => Ok(()),
        lines => Err(Failure::environment(format!("this machine lacks {}", lines.join("\n  and ")))
            .hint("nothing was built; a second build would lack it too")),
    }
}

/// Returns an error if a step publishes something. Files name targets too, so the graph is asked and not build.ron.
fn check_publishing(session: &Session<'_>, graph: &Graph) -> Result<(), Failure> {
    let names: BTreeSet<&TargetName> = graph.nodes().filter_map(|(_, node)| node.key.target.as_ref()).collect();
    let mut targets = session.file.targets.iter().filter(|target| names.contains(&target.name.value));
    match targets.find(|target| target.kind().group() == Group::Publish) {
        Some(target) => {
            let message = format!("`{}` can't be verified: a second build would publish too", target.name.value);
            Err(Failure::usage(message).hint("verify the target that it publishes"))
        }
        None => Ok(()),
    }
}

fn sources_of(summary: &Summary) -> BTreeSet<PathBuf> {
    let mut sources = BTreeSet::new();
    for result in summary.results.values() {
        result.sources.each(&mut |path| {
            sources.insert(path.to_owned());
        });
    }
    sources
}

fn artefacts_of(summary: &Summary) -> BTreeSet<PathBuf> {
    let artefacts = summary.results.values().flat_map(|result| &result.artefacts);
    artefacts.map(|artefact| artefact.path.clone()).collect()
}
