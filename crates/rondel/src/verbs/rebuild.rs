//! `rebuild`: builds again what somebody published, from this checkout and the provenance beside it, and compares.

mod bundled;
mod reference;

use std::time::Instant;

use rondel_process::Cancellation;

use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::runner::Runner;
use crate::session::Session;
use crate::ui::{Shown, Sink, sink};
use reference::Reference;

options! {
    /// Options of `rebuild`.
    struct Options {
        /// read the provenance from this file
        provenance: Option<String> = option("provenance").value("PATH"),
        /// go on although the checkout is not the commit of the provenance
        other_sources: bool = option("other-sources"),
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
            ("PATH", "the directory of a release, one of its files, or an OCI layout, also as a tar; or a bundle"),
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
            Reference::Release(_)
            | Reference::File(_)
            | Reference::Layout(_)
            | Reference::LayoutArchive(_)
            | Reference::Image(_) => return Err(Failure::usage("not made yet")),
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
}
