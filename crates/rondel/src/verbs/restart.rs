//! `restart`: ends what targets have started, and starts it again. What they are made from is built first, if it has changed.

use crate::cli::groups::{AnalysisOptions, BuildOptions};
use crate::cli::option::options;
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_line;
use crate::verbs::build::{Build, Options as BuildTargets};
use crate::verbs::started;
use crate::verbs::stop::stop;

options! {
    /// Options of `restart`.
    struct Options {
        ..analysis: AnalysisOptions,
        ..build: BuildOptions,
    }
}

/// Stops targets and runs them.
pub(crate) struct Restart;

impl Verb for Restart {
    const NAME: &'static str = "restart";
    const ABOUT: &'static str = "ends what targets have started, and starts it again";
    const ARGUMENTS: Arguments = Arguments::TARGETS;
    const TAKES_REST: bool = true;
    const EXAMPLE: &'static str = "restart server";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        // What can't be started again is not stopped.
        session.asked(call.words)?;
        require_no_holder(&session, call.words)?;
        stop(&session, call.words, &|text| {
            if !call.global.quiet {
                print_line(text);
            }
        })?;
        let Options { analysis, build } = call.options.clone();
        let options = BuildTargets { publish: false, analysis, build };
        Build::run(
            Ok(session),
            &Call { context: call.context, global: call.global, options, words: call.words, rest: call.rest },
        )
    }
}

/// Fails if another Rondel holds one of the targets: it would go on with what is stopped here, or have its address.
fn require_no_holder(session: &Session<'_>, words: &[String]) -> Result<(), Failure> {
    for target in started::targets(session, words)? {
        if let Some(pid) = target.running.ok().and_then(|running| running.other_holder()) {
            let message = format!("a watch (process {pid}) holds `{}`", target.name);
            return Err(Failure::environment(message).hint("press `r` there, or end it first"));
        }
    }
    Ok(())
}
