//! `watch`: builds targets again whenever something that they are made from changes.

use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::options;
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::watch;

options! {
    /// Options of `watch`.
    struct Options {
        ..analysis: AnalysisOptions,
        ..build: BuildOptions,
    }
}

/// Builds targets again and again.
pub(crate) struct Watch;

impl Verb for Watch {
    const NAME: &'static str = "watch";
    const ABOUT: &'static str = "builds targets again whenever something that they are made from changes";
    const ARGUMENTS: Arguments = Arguments::TARGETS;
    const TAKES_REST: bool = true;
    const EXAMPLE: &'static str = "watch serve test";
    const DETAILS: &'static str = "Processes and containers among the targets go on until what replaces them is made.\n\
        Keys: r builds again, q ends it and what it has started.";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let watch = watch::Watch {
            context: call.context,
            global: call.global,
            analysis: &call.options.analysis,
            build: &call.options.build,
            words: call.words,
            rest: call.rest,
        };
        watch.run(session?)
    }
}
