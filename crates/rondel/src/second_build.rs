//! The second build of `verify` and of the gate before a release is done: in other surroundings, from an empty cache, and
//! compared with the first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rondel_buildfile::{Makes, Platform, TargetName};
use rondel_engine::{Graph, Summary};
use rondel_targets::{Analysis, PlatformChoice, Request};

use crate::asked::Asked;
use crate::build_diff::diff_graphs;
use crate::cli::groups::{AnalysisOptions, GlobalOptions};
use crate::exit::{Exit, Failure};
use crate::needs::missing;
use crate::perturbed_build::{PerturbedBuild, with_other_umask};
use crate::runner::{Runner, exit_of};
use crate::session::Session;
use crate::ui::{Shown, Sink, Verified, VerifySummary, sink};

/// A second build that has ended, well or not.
pub(crate) struct SecondBuild {
    pub place: PerturbedBuild,
    pub analysis: Analysis,
    pub summary: Summary,
}

impl SecondBuild {
    /// Runs it. Its steps are not shown; its errors are.
    pub fn run(
        runner: &Runner<'_>,
        (global, options): (&GlobalOptions, &AnalysisOptions),
        asked: &Asked,
        platforms: PlatformChoice,
        (sources, made): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>),
    ) -> Result<SecondBuild, Failure> {
        SecondBuild::run_with(runner, (global, options), asked, platforms, (sources, made), None)
    }

    /// Does the same, with signatures that others have made in a directory.
    pub fn run_with(
        runner: &Runner<'_>,
        (global, options): (&GlobalOptions, &AnalysisOptions),
        asked: &Asked,
        platforms: PlatformChoice,
        (sources, made): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>),
        signatures: Option<&Path>,
    ) -> Result<SecondBuild, Failure> {
        let session = runner.session;
        let place = PerturbedBuild::make(session, sources, made)?;
        // Git reads the original repository.
        let request = Request {
            root: place.root.clone(),
            cache: place.cache.clone(),
            environment: &place.environment,
            platforms,
            asks_policies: false,
            threads: 1,
            signatures: signatures.map(Path::to_owned),
            ..session.request(options, asked.clone())
        };
        let analysis = session.analyze_request(&request)?;
        drop(request);
        check_publishing(session, &analysis.graph)?;
        let workspace = place.workspace();
        let quiet = sink(runner.context, global, runner.options, Shown::FailuresOnly);
        let runner = Runner { recorder: None, ..*runner };
        let summary = with_other_umask(|| runner.run(&analysis, &workspace, quiet.as_ref()))?;
        Ok(SecondBuild { place, analysis, summary })
    }

    /// Compares it with the first one, step by step.
    pub fn compare(&self, session: &Session<'_>, (graph, first): (&Graph, &Summary)) -> Result<Vec<Verified>, Failure> {
        diff_graphs(graph, first, &self.analysis.graph, &self.summary, &self.place.traces(session))
    }
}

/// Returns how it ends if a second build has not ended well. A failure in it alone is a difference: the step depends on
/// something undeclared.
pub(crate) fn unfinished(summary: &Summary, sink: &dyn Sink) -> Option<Exit> {
    match exit_of(summary) {
        Exit::Done => None,
        Exit::StepFailed => {
            sink.second_build_failed();
            Some(Exit::Different)
        }
        other => Some(other),
    }
}

/// Sums up what was compared, and returns how it ends.
pub(crate) fn summarise(steps: &[Verified], variations: &[String], took: Duration, sink: &dyn Sink) -> Exit {
    let different = steps.iter().filter(|step| step.difference.is_some()).count();
    sink.verify_summary(&VerifySummary { steps: steps.len(), different, variations, took });
    if different == 0 { Exit::Done } else { Exit::Different }
}

/// Returns an error if a target starts something or promises no identical bytes, or if none makes files.
pub(crate) fn check_kinds(session: &Session<'_>, targets: &[TargetName]) -> Result<(), Failure> {
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

/// Returns an error if a step sends something elsewhere. Files name targets too, so the graph is asked and not build.ron.
pub(crate) fn check_publishing(session: &Session<'_>, graph: &Graph) -> Result<(), Failure> {
    let names = graph.targets();
    let mut targets = session.file.targets.iter().filter(|target| names.contains(&target.name.value));
    match targets.find(|target| target.only_sends()) {
        Some(target) => {
            let message = format!("`{}` can't be verified: a second build would publish too", target.name.value);
            Err(Failure::usage(message).hint("verify the target that it publishes"))
        }
        None => Ok(()),
    }
}

/// Returns the files that targets are made from, as far as they are known without a build: some lie outside of the tree.
pub(crate) fn planned_sources(
    session: &Session<'_>,
    options: &AnalysisOptions,
    asked: Asked,
    platforms: &PlatformChoice,
    signatures: Option<&Path>,
) -> Result<BTreeSet<PathBuf>, Failure> {
    let signatures = signatures.map(Path::to_owned);
    let request = Request { platforms: platforms.clone(), signatures, ..session.request(options, asked) };
    let analyzed = session.analyze_request(&request)?;
    Ok(rondel_engine::planned_sources(&analyzed.graph, &analyzed.roots, &session.workspace()))
}

/// Returns all files that a build was made from.
pub(crate) fn sources_of(summary: &Summary) -> BTreeSet<PathBuf> {
    let mut sources = BTreeSet::new();
    for result in summary.results.values() {
        result.sources.each(&mut |path| {
            sources.insert(path.to_owned());
        });
    }
    sources
}

/// Returns all files that a build made.
pub(crate) fn artefacts_of(summary: &Summary) -> BTreeSet<PathBuf> {
    let artefacts = summary.results.values().flat_map(|result| &result.artefacts);
    artefacts.map(|artefact| artefact.path.clone()).collect()
}
