//! The targets that `status`, `logs`, `stop` and `restart` are about.

use rondel_targets::{Request, RunningTarget, running_targets, undeclared_targets};

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
    // Those that build.ron no longer has, which `asked` does not know.
    let mut gone = undeclared_targets(&session.file, &session.root);
    let is_gone = |word: &String| gone.iter().any(|target| target.name.as_str() == word.as_str());
    let (gone_words, known_words): (Vec<String>, Vec<String>) = words.iter().cloned().partition(is_gone);
    gone.retain(|target| words.is_empty() || gone_words.iter().any(|word| word == target.name.as_str()));
    let asked = match (words, known_words.as_slice()) {
        ([], _) => everything(session),
        (_, []) => Asked::of(Vec::new()),
        (_, known) => session.asked(known)?,
    };
    let request: Request<'_> = session.request(&analysis, asked);
    let mut found = running_targets(&request);
    found.extend(gone);
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
