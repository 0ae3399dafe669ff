//! `rebuild`: builds again what somebody published, from this checkout and the provenance beside it, and compares.

mod attest;
mod bundled;
mod image;
mod plan;
mod published_files;
mod reference;
mod release;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rondel_process::Cancellation;
use rondel_targets::PlatformChoice;

use crate::asked::Asked;
use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::runner::{Runner, exit_of};
use crate::second_build::{SecondBuild, check_kinds, planned_sources};
use crate::session::Session;
use crate::signals;
use crate::ui::{RebuildSummary, Shown, Sink, Verified, sink};
use plan::Plan;
use reference::Reference;

options! {
    /// Options of `rebuild`.
    struct Options {
        /// read the provenance from this file
        provenance: Option<String> = option("provenance").value("PATH"),
        /// go on although the checkout is not the commit of the provenance
        other_sources: bool = option("other-sources"),
        /// if all is the same, sign a verification summary and put it beside the release or attach it to the image
        attest: bool = option("attest"),
        /// the private key for --attest (default: the text in COSIGN_PRIVATE_KEY)
        key: Option<String> = option("key").value("PATH"),
        ..analysis: AnalysisOptions,
        ..build: BuildOptions,
    }
}

/// Builds again what was published.
pub(crate) struct Rebuild;

impl Verb for Rebuild {
    const NAME: &'static str = "rebuild";
    const ABOUT: &'static str = "build a published release or image again from this checkout, and compare";
    const ARGUMENTS: Arguments = Arguments {
        holds: Holds::TargetsOrPaths,
        least: 1,
        most: 1,
        forms: &["PATH", "REFERENCE"],
        needed: "a release or an image",
        docs: &[
            ("PATH", "the directory of a release, one of its files, or a bundle"),
            ("REFERENCE", "an image in a registry: `registry.example/team/app:1`"),
        ],
    };
    const EXAMPLE: &'static str = "rebuild downloads/app-1.2.3";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        if let Some(path) = bundled::bundle_of(call) {
            return bundled::run(call, &path);
        }
        let session = session?;
        session.require_cache()?;
        if call.options.analysis.platforms() != PlatformChoice::Own {
            let failure = Failure::usage("`rebuild` takes the platforms of the provenance");
            return Err(failure.hint("leave out `--platform` and `--all-platforms`"));
        }
        let begun = Instant::now();
        let cancellation = Cancellation::new();
        let run = Run {
            session: &session,
            call,
            sink: sink(call.context, call.global, &call.options.build, Shown::AsUsual),
            cancellation: &cancellation,
            begun,
        };
        let reference = Reference::read(call.context, call.words.first().map_or("", String::as_str))?;
        let exit = match &reference {
            Reference::Release(directory) => release::rebuild_directory(&run, directory)?,
            Reference::File(path) => release::rebuild_file(&run, path)?,
            Reference::Image(reference) => image::rebuild(&run, reference)?,
            Reference::Layout(path) => {
                let message = format!("`{}` is an image without the documents about it", path.display());
                return Err(Failure::usage(message)
                    .hint("`verify PATH TARGET` builds the target and compares it with an OCI layout"));
            }
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

/// What became of each file.
#[derive(Debug, Default)]
struct Outcome {
    compared: Vec<Verified>,
    /// Name and SHA-256 of the artefacts that are the same, in hexadecimal.
    same: BTreeSet<(String, String)>,
    /// What nothing can be said of, each with why.
    unproven: Vec<(String, String)>,
}

impl Run<'_> {
    /// Returns the file of the provenance that the command line names.
    fn provenance_path(&self) -> Option<PathBuf> {
        self.call.options.provenance.as_ref().map(|path| self.call.context.directory.join(path))
    }

    /// Builds in other surroundings, compares what `compare` finds there, and reports.
    fn rebuild(
        &self,
        plan: &Plan,
        signatures: Option<&Path>,
        compare: &dyn Fn(&SecondBuild) -> Result<Outcome, Failure>,
    ) -> Result<(Exit, BTreeSet<(String, String)>), Failure> {
        let session = self.session;
        check_kinds(session, std::slice::from_ref(&plan.target))?;
        let options = AnalysisOptions { set: plan.set.clone(), ..self.call.options.analysis.clone() };
        let platforms = match plan.platforms.is_empty() {
            true => PlatformChoice::Own,
            false => PlatformChoice::Some(plan.platforms.clone()),
        };
        let asked = Asked::of(vec![plan.target.clone()]);
        // Sources outside the tree are known once the inputs are, which needs no build.
        let sources = planned_sources(session, &options, asked.clone(), &platforms, signatures)?;
        signals::forward_to(self.cancellation);
        self.sink.started(&session.file.project.value, self.call.words);
        self.sink.rebuilding(&plan.start());
        let (context, build) = (self.call.context, &self.call.options.build);
        let runner = Runner { context, options: build, cancellation: self.cancellation, session, recorder: None };
        let known = (&sources, &session.own_paths().collect());
        let second =
            SecondBuild::run_with(&runner, (self.call.global, &options), &asked, platforms, known, signatures)?;
        if exit_of(&second.summary) != Exit::Done {
            return Ok((exit_of(&second.summary), BTreeSet::new()));
        }
        let Outcome { compared, same, unproven } = compare(&second)?;
        compared.iter().for_each(|one| self.sink.verified(one));
        let different = compared.iter().filter(|one| one.difference.is_some()).count();
        self.sink.rebuilt(&RebuildSummary {
            start: plan.start(),
            same: compared.len() - different,
            different,
            unproven: &unproven,
            variations: &second.place.variations,
            took: self.begun.elapsed(),
        });
        let is_proven = different == 0 && !compared.is_empty();
        Ok((if is_proven { Exit::Done } else { Exit::Different }, same))
    }
}
