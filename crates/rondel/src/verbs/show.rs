//! `show`: each variable of build.ron with its value, and where that came from. Writes nothing.

use rondel_buildfile::{VariableName, suggest};
use rondel_targets::{ShownVariable, show_variables};
use serde_json::{Value, json};

use crate::asked::Asked;
use crate::cli::groups::{AnalysisOptions, TextOrJson};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{print_data, without_control_sequences};

options! {
    /// Options of `show`.
    struct Options {
        /// print the variables as
        format: TextOrJson = option("format").value("FORMAT"),
        ..analysis: AnalysisOptions,
    }
}

/// Prints a line a variable.
pub(crate) struct Show;

impl Verb for Show {
    const NAME: &'static str = "show";
    const ABOUT: &'static str = "each variable with its value and where it came from";
    const ARGUMENTS: Arguments = Arguments {
        holds: Holds::Nothing,
        least: 0,
        most: usize::MAX,
        forms: &["[VARIABLE…]"],
        needed: "a variable",
        docs: &[("VARIABLE", "a variable of build.ron; all if none is given")],
    };
    const EXAMPLE: &'static str = "show version";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        let request = session.request(&call.options.analysis, Asked::default());
        let names = call.words.iter().map(|word| known(&session, word)).collect::<Result<Vec<_>, _>>()?;
        for name in request.overrides.keys() {
            known(&session, name)?;
        }
        let variables = show_variables(&request, &names);
        print_data(&match call.options.format {
            TextOrJson::Text => as_text(&variables),
            TextOrJson::Json => as_json(&variables),
        });
        Ok(Exit::Done)
    }
}

/// Returns the variable of that name.
fn known(session: &Session<'_>, word: &str) -> Result<VariableName, Failure> {
    let names = || session.file.vars.keys();
    if let Some(name) = names().find(|name| name.as_str() == word) {
        return Ok(name.clone());
    }
    let failure = Failure::usage(format!("there is no variable `{}`", word.escape_debug()));
    Err(match suggest(word, names().map(VariableName::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`show` lists the variables of `vars`"),
    })
}

/// Returns a line a variable: name, value in quotes, source.
pub(super) fn as_text(variables: &[ShownVariable]) -> String {
    let quoted = |values: &[String]| {
        let quoted: Vec<String> = values.iter().map(|value| format!("\"{}\"", value.escape_debug())).collect();
        quoted.join(" or ")
    };
    let line = |text: &str| without_control_sequences(&text.replace('\n', "\\n"));
    let cells: Vec<(&str, String, String)> = variables
        .iter()
        .map(|variable| match &variable.values {
            Ok(values) => (variable.name.as_str(), quoted(values), line(&variable.origin)),
            Err(why) => (variable.name.as_str(), "no value".to_owned(), line(&why.message)),
        })
        .collect();
    let width = |of: &dyn Fn(&(&str, String, String)) -> usize| cells.iter().map(of).max().unwrap_or(0);
    // A long value moves no other.
    let (names, values) = (width(&|cell| cell.0.len()), width(&|cell| cell.1.chars().count()).min(40));
    let mut text = String::new();
    for (name, value, origin) in &cells {
        text.push_str(&format!("{name:<names$}  {value:<values$}  {origin}\n"));
    }
    text
}

fn as_json(variables: &[ShownVariable]) -> String {
    let one = |variable: &ShownVariable| {
        let name = variable.name.as_str();
        match &variable.values {
            Ok(values) => json!({"variable": name, "values": values, "from": variable.origin}),
            Err(why) => json!({"variable": name, "error": why.message}),
        }
    };
    format!("{}\n", json!({"variables": variables.iter().map(one).collect::<Vec<Value>>()}))
}
