//! `stop`: ends what targets have started, and nothing else.

use crate::cli::option::options;
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_line;
use crate::verbs::started;

options! {
    /// Options of `stop`.
    struct Options {}
}

/// Stops processes, containers and services.
pub(crate) struct Stop;

impl Verb for Stop {
    const NAME: &'static str = "stop";
    const ABOUT: &'static str = "ends processes, containers and services that targets have started";
    const ARGUMENTS: Arguments = started::TARGETS;
    const EXAMPLE: &'static str = "stop server";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        let is_quiet = call.global.quiet;
        let stopped = stop(&session, call.words, &|text| {
            if !is_quiet {
                print_line(text);
            }
        })?;
        if stopped == 0 && !is_quiet {
            print_line("     Stopped nothing: nothing of it runs");
        }
        Ok(Exit::Done)
    }
}

/// Stops what the targets of these words have started, in the reverse order of build.ron, and tells what that was. Returns the number
/// of things. What can't be stopped does not keep the rest running.
pub(super) fn stop(session: &Session<'_>, words: &[String], tell: &dyn Fn(&str)) -> Result<usize, Failure> {
    let (mut count, mut failures) = (0, Vec::new());
    for target in started::targets(session, words)?.into_iter().rev() {
        let name = target.name;
        match target.running.and_then(|running| running.stop()) {
            Ok(stopped) => {
                stopped.iter().for_each(|what| tell(&format!("     Stopped {name}: {what}")));
                count += stopped.len();
            }
            // Without Docker nothing of it runs here.
            Err(_) if words.is_empty() => {}
            Err(error) => failures.push(error),
        }
    }
    match failures.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(count),
    }
}
