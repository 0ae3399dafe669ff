//! The targets that `status`, `logs`, `stop` and `restart` are about.

use rondel_targets::{Request, RunningTarget, running_targets};

use crate::asked::Asked;
use crate::cli::groups::AnalysisOptions;
use crate::cli::verb::{Arguments, Holds};
use crate::exit::Failure;
use crate::session::Session;

/// The words of these verbs.
pub(super) const TARGETS: Arguments = Arguments {
    holds: Holds::Targets,
    least: 0,
    most: usize::MAX,
    forms: &["[TARGET…]"],
    needed: "a target",
    docs: &[("TARGET", "a target that starts something, or a group of such; all if none is given")],
};

/// Returns the targets of these words that start something; all of build.ron if there are no words.
pub(super) fn targets(session: &Session<'_>, words: &[String]) -> Result<Vec<RunningTarget>, Failure> {
    let analysis = AnalysisOptions::default();
    let asked = if words.is_empty() { everything(session) } else { session.asked(words)? };
    let request: Request<'_> = session.request(&analysis, asked);
    let found = running_targets(&request);
    if found.is_empty() {
        let names: Vec<String> = words.iter().map(|word| format!("`{}`", word.escape_debug())).collect();
        let message = match names.as_slice() {
            [] => "no target of build.ron starts something that goes on".to_owned(),
            names => format!("{} starts nothing that goes on", names.join(", ")),
        };
        return Err(Failure::usage(message).hint("`Process`, `DockerRun` and `ComposeUp` do"));
    }
    Ok(found)
}

fn everything(session: &Session<'_>) -> Asked {
    Asked::of(session.file.targets.iter().map(|target| target.name.value.clone()).collect())
}
