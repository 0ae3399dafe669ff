//! Bundles: one file with all that a target is made of, and the digests that come out. It is written only after a second build,
//! from nothing but its contents, has given the same; and it is rebuilt without a network.

mod archive;
mod closed_build;
mod contents;
mod description;
mod scope;
mod scratch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use rondel_buildfile::Platform;
use rondel_cas::Digest;
use rondel_golang::SdkPlace;
use rondel_targets::{Analysis, GitNotes, Request};

use crate::VERSION;
use crate::asked::Asked;
use crate::cli::groups::AnalysisOptions;
use crate::exit::{Exit, Failure};
use crate::runner::{Runner, exit_of};
use crate::second_build::{summarise, unfinished};
use crate::session::Session;
use crate::ui::Bundled;
use closed_build::ClosedBuild;
use contents::{Declared, Parts, Sources};
use description::{BundleRequest, BundledGo, Description, FORMAT};
use scratch::Scratch;

pub(crate) use archive::is_bundle;
pub(crate) use closed_build::Caller;

/// Builds the targets, proves the result, and writes the bundle to `path`.
pub(crate) fn make(
    caller: &Caller<'_>,
    session: &Session<'_>,
    asked: Asked,
    (words, options): (&[String], &AnalysisOptions),
    path: &Path,
) -> Result<Exit, Failure> {
    check_place(path)?;
    scope::check_targets(session, &asked.targets)?;
    let notes = GitNotes::taken();
    let request = Request {
        notes: notes.clone(),
        platforms: options.platforms(),
        asks_policies: false,
        ..session.request(options, asked)
    };
    let analysis = session.analyze_request(&request)?;
    scope::check_analysis(session, &analysis)?;
    let declared = Declared::of(session, &analysis)?;
    caller.start(&session.file.project.value, words);
    let (context, options_of_build) = (caller.context, caller.options);
    let runner =
        Runner { context, options: options_of_build, cancellation: caller.cancellation, session, recorder: None };
    let first = runner.run(&analysis, &session.workspace(), caller.sink)?;
    if exit_of(&first) != Exit::Done {
        return Ok(exit_of(&first));
    }
    let begun = Instant::now();
    let scratch = Scratch::make(&session.cache)?;
    let sources = Sources::of(session, &declared, &analysis, &first);
    let mut parts = sources.copy(&scratch)?;
    parts.extend(contents::copy_images(session, &analysis, &scratch)?);
    contents::share_toolchains(session, &scratch)?;
    let mut description = Description {
        format: FORMAT.to_owned(),
        rondel: VERSION.to_owned(),
        project: session.file.project.value.clone(),
        request: BundleRequest::of(words, options),
        build_file: sources.name(&context.directory.join(&session.name))?,
        environment: declared.environment,
        variables: shown(&analysis),
        git: notes.answers(),
        toolchains: BTreeMap::new(),
        expected: description::made_by(&analysis.graph, &first),
        files: BTreeMap::new(),
    };
    caller.sink.verifying();
    let mut environment = description.environment.clone();
    environment.extend(contents::way_to_modules(session));
    let quiet = caller.quiet_sink();
    let inner = scratch.context(context, &environment);
    let second = ClosedBuild::run(caller, &inner, &description, options.offline, quiet.as_ref())?;
    let exit = report(caller, &description, &second, begun)?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    parts.extend(contents::modules(&scratch)?);
    add_toolchains(&analysis, &mut description, &mut parts)?;
    description.files = parts.iter().map(|(name, (_, part))| (name.to_string(), part.to_string())).collect();
    check_place(path)?;
    let digest = archive::write(path, &description, &parts, options_of_build.jobs.number())
        .map_err(|error| Failure::environment(format!("failed to write `{}`: {error}", path.display())))?;
    caller.sink.bundled(&Bundled { path, digest: &digest, files: parts.len() });
    Ok(Exit::Done)
}

/// Unpacks the bundle at `path`, builds what it is of from nothing else, and compares.
pub(crate) fn rebuild(caller: &Caller<'_>, path: &Path) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let scratch = Scratch::make(&caller.context.cache_directory()?)?;
    let description = archive::read(path, &|name| scratch.place_of(name))?;
    check_toolchains(&description, &scratch)?;
    contents::fill_store(&scratch)?;
    caller.start(&description.project, &description.request.targets);
    let inner = scratch.context(caller.context, &description.environment);
    let built = ClosedBuild::run(caller, &inner, &description, true, caller.sink)?;
    report(caller, &description, &built, begun)
}

/// Compares a build with what is expected, and shows it.
fn report(
    caller: &Caller<'_>,
    description: &Description,
    built: &ClosedBuild,
    begun: Instant,
) -> Result<Exit, Failure> {
    if let Some(exit) = unfinished(&built.summary, caller.sink) {
        return Ok(exit);
    }
    let steps = built.compare(&description.expected);
    steps.iter().for_each(|step| caller.sink.verified(step));
    let variations =
        ["no cache", "no network", "no program of this machine", "another directory, HOME, umask and locale"];
    let variations = variations.map(str::to_owned);
    Ok(summarise(&steps, &variations, begun.elapsed(), caller.sink))
}

/// Refuses a place where something else stands.
fn check_place(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_err() || (path.is_file() && !path.is_symlink() && is_bundle(path)) {
        return Ok(());
    }
    Err(Failure::usage(format!("`{}` is there, and is no bundle", path.display()))
        .hint("move it away, or name another file with `-o`"))
}

fn shown(analysis: &Analysis) -> BTreeMap<String, Vec<String>> {
    let value = |variable: &rondel_targets::ShownVariable| {
        Some((variable.name.to_string(), variable.values.as_ref().ok()?.clone()))
    };
    analysis.variables.iter().filter_map(value).collect()
}

/// Adds the toolchains of a build, each as build.lock pins it.
fn add_toolchains(analysis: &Analysis, description: &mut Description, parts: &mut Parts) -> Result<(), Failure> {
    let places: BTreeSet<SdkPlace> = analysis.go.iter().filter_map(|go| go.sdk_place()).collect();
    for sdk in places.iter().filter(|sdk| sdk.root().is_dir()) {
        let (files, identity) = contents::toolchain(sdk)?;
        parts.extend(files);
        let (version, host) = (sdk.version.clone(), sdk.host.to_string());
        description.toolchains.insert(sdk.name(), BundledGo { version, host, identity });
    }
    Ok(())
}

/// Checks the toolchains of a bundle, before anything of them runs, and declares them installed.
fn check_toolchains(description: &Description, scratch: &Scratch) -> Result<(), Failure> {
    for (name, go) in &description.toolchains {
        let wrong = |why: String| Failure::usage(format!("the bundle's toolchain `{}`: {why}", name.escape_debug()));
        let host = Platform::new(&go.host).map_err(|error| wrong(error.to_string()))?;
        let sdk = SdkPlace { toolchains: scratch.go().toolchains, version: go.version.clone(), host };
        if sdk.name() != *name || name.contains('/') {
            return Err(wrong("it has another name than its version".to_owned()));
        }
        let identity = identity_of(&sdk)?;
        if identity != go.identity {
            return Err(wrong(format!("it is {identity}, and the description says {}", go.identity)));
        }
        sdk.record(&identity).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(())
}

fn identity_of(sdk: &SdkPlace) -> Result<Digest, Failure> {
    let unreadable = |error| Failure::environment(format!("failed to read `{}`: {error}", sdk.root().display()));
    sdk.identity().map_err(unreadable)
}
