//! `list`, also without a verb: every target with its description, grouped, then the verbs.

use rondel_buildfile::{Group, Target};
use serde_json::{Value, json};

use crate::cli::option::{choice, option, options};
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::Session;
use crate::ui::print_data;
use crate::verbs::VERBS;

choice! {
    /// `--format`
    enum Format { Text = "text", Json = "json", Names = "names" }
}

options! {
    /// Options of `list`.
    struct Options {
        /// print the list as
        format: Format = option("format").value("FORMAT"),
    }
}

/// Prints the list.
pub(crate) struct List;

impl Verb for List {
    const NAME: &'static str = "list";
    const ABOUT: &'static str = "every target with its description";
    const EXAMPLE: &'static str = "list --format names";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        let targets: Vec<&Target> = session.file.targets.iter().filter(|target| !target.common.private).collect();
        print_data(&match call.options.format {
            Format::Text => as_text(&session.file.project.value, &targets),
            Format::Json => as_json(&session.file.project.value, &targets),
            Format::Names => targets.iter().map(|target| format!("{}\n", target.name.value)).collect(),
        });
        Ok(Exit::Done)
    }
}

fn as_text(project: &str, targets: &[&Target]) -> String {
    let verbs = || VERBS.visible();
    let names = targets.iter().map(|target| target.name.value.as_str().len());
    let width = names.chain(verbs().map(|entry| entry.name.len())).max().unwrap_or(0);
    let mut text = format!("{project}\n");
    for group in Group::ALL {
        let members: Vec<&&Target> = targets.iter().filter(|target| target.kind().group() == group).collect();
        if members.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{}\n", group.title()));
        for target in members {
            text.push_str(&format!("  {:<width$}  {}\n", target.name.value.as_str(), described(target)));
        }
    }
    text.push_str(&format!("\nverbs (`{} --help` has the options)\n", program::name()));
    for entry in verbs() {
        text.push_str(&format!("  {:<width$}  {}\n", entry.name, entry.about));
    }
    text
}

fn as_json(project: &str, targets: &[&Target]) -> String {
    let one = |target: &&Target| {
        json!({
            "target": target.name.value.as_str(), "kind": target.kind.word(), "group": target.kind().group().title(),
            "doc": target.common.doc,
        })
    };
    format!("{}\n", json!({"project": project, "targets": targets.iter().map(one).collect::<Vec<Value>>()}))
}

/// Returns the `doc` of a target, else its kind's summary.
pub(super) fn described(target: &Target) -> String {
    target.common.doc.clone().unwrap_or_else(|| target.kind().summary())
}
