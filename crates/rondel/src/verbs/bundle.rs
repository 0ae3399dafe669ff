//! `bundle`: writes one file from which a target can be built again without a network.

use std::path::PathBuf;
use std::time::Instant;

use rondel_process::Cancellation;

use crate::before_build::settle;
use crate::bundle::{Caller, make};
use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{Shown, sink};

options! {
    /// Options of `bundle`.
    struct Options {
        /// write the bundle to this file (default: dist/TARGET.bundle.tar.zst)
        output: Option<String> = option("output").short('o').value("FILE"),
        ..analysis: AnalysisOptions,
        ..build: BuildOptions,
    }
}

/// Writes a bundle.
pub(crate) struct Bundle;

impl Verb for Bundle {
    const NAME: &'static str = "bundle";
    const ABOUT: &'static str = "write one file from which a target can be built again without a network";
    const ARGUMENTS: Arguments = Arguments {
        holds: Holds::Targets,
        least: 1,
        most: usize::MAX,
        forms: &["TARGET…"],
        needed: "a target",
        docs: &[("TARGET", "a target of build.ron, and values of its parameters")],
    };
    const EXAMPLE: &'static str = "bundle release";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        session.require_cache()?;
        let begun = Instant::now();
        let cancellation = Cancellation::new();
        let asked = session.asked(call.words)?;
        settle(&session, &asked.targets, call.options.build.yes)?;
        session.prepare_seal()?;
        let sink = sink(call.context, call.global, &call.options.build, Shown::AsUsual);
        let caller = Caller::of(call, &call.options.build, (&cancellation, sink.as_ref()));
        let path = match (&call.options.output, asked.targets.first()) {
            (Some(path), _) => call.context.directory.join(path),
            (None, Some(first)) => session.root.join(format!("dist/{first}.bundle.tar.zst")),
            (None, None) => PathBuf::new(),
        };
        let exit = make(&caller, &session, asked, (call.words, &call.options.analysis), &path)?;
        sink.finished(exit, begun.elapsed());
        Ok(exit)
    }
}
