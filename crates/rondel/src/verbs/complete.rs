//! `complete`: hidden; the scripts of `completions` call it at each press of the tabulator. `:complete -- WORDS…`
//! prints one line a candidate for the last word.

use rondel_buildfile::{Param, Target};

use crate::cli::complete::{ParamLine, TargetLine, candidates};
use crate::cli::option::options;
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_data;
use crate::verbs::VERBS;
use crate::verbs::list::described;

options! {
    /// No options.
    struct Options {}
}

/// Prints candidates.
pub(crate) struct Complete;

impl Verb for Complete {
    const NAME: &'static str = "complete";
    const ABOUT: &'static str = "the words that may come next, for scripts";
    const TAKES_REST: bool = true;
    const EXAMPLE: &'static str = ":complete -- pl";
    const IS_HIDDEN: bool = true;
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        // `--file` among the words names the build.ron with the targets.
        let named = call.rest.windows(2).find(|pair| pair[0] == "--file").map(|pair| pair[1].as_str());
        let session = match named {
            Some(file) => Session::open(call.context, Some(file)),
            None => session,
        };
        let targets: Vec<TargetLine> = session.map(|session| public_targets(&session)).unwrap_or_default();
        let lines = candidates(&VERBS, call.rest, &targets);
        print_data(&lines.into_iter().map(|line| format!("{line}\n")).collect::<String>());
        Ok(Exit::Done)
    }
}

fn public_targets(session: &Session<'_>) -> Vec<TargetLine> {
    let targets = session.file.targets.iter().filter(|target| !target.common.private);
    let line = |target: &Target| TargetLine {
        name: target.name.value.to_string(),
        doc: described(target),
        aliases: target.common.aliases.iter().map(|alias| alias.value.to_string()).collect(),
        params: target.common.params.iter().map(|(name, param)| param_line(&name.value, param)).collect(),
    };
    targets.map(line).collect()
}

/// A value that a shell would read otherwise is not offered.
fn param_line(name: &str, param: &Param) -> ParamLine {
    let is_plain = |value: &&str| {
        let is_safe = |character: char| character.is_alphanumeric() || "-_./:,+@%".contains(character);
        !value.is_empty() && value.chars().all(is_safe)
    };
    let mut values: Vec<&str> = param.allowed().collect();
    if values.is_empty() {
        values.extend(param.default_value());
    }
    let values = values.into_iter().filter(is_plain).map(str::to_owned).collect();
    ParamLine { name: name.to_owned(), doc: crate::asked::described(param), values }
}
