//! `list`, also without a verb: every target with its description, grouped, then the verbs.

use rondel_buildfile::{Target, TargetKind};
use serde_json::{Value, json};

use crate::cli::option::{choice, option, options};
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::Session;
use crate::ui::print_data;
use crate::verbs::VERBS;

/// Groups in the order in which they are shown.
const GROUPS: &[&str] = &["build", "run", "check", "other"];

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
        let targets: Vec<&Target> = session.file.targets.iter().filter(|target| !target.private).collect();
        print_data(&match call.options.format {
            Format::Text => as_text(&session.file.project.value, &targets),
            Format::Json => as_json(&session.file.project.value, &targets),
            Format::Names => targets.iter().map(|target| format!("{}\n", target.name.value)).collect(),
        });
        Ok(Exit::Done)
    }
}

fn as_text(project: &str, targets: &[&Target]) -> String {
    let verbs = || VERBS.iter().filter(|entry| !entry.is_hidden);
    let names = targets.iter().map(|target| target.name.value.as_str().len());
    let width = names.chain(verbs().map(|entry| entry.name.len())).max().unwrap_or(0);
    let mut text = format!("{project}\n");
    for group in GROUPS {
        let members: Vec<&&Target> = targets.iter().filter(|target| group_of(&target.kind) == *group).collect();
        if members.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{group}\n"));
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
            "target": target.name.value.as_str(), "kind": target.kind.word(), "group": group_of(&target.kind),
            "doc": target.doc,
        })
    };
    format!("{}\n", json!({"project": project, "targets": targets.iter().map(one).collect::<Vec<Value>>()}))
}

/// The `doc` of a target, else what its kind says.
pub(super) fn described(target: &Target) -> String {
    target.doc.clone().unwrap_or_else(|| describe(&target.kind))
}

fn group_of(kind: &TargetKind) -> &'static str {
    match kind {
        TargetKind::GoModDownload(_) | TargetKind::GoBuild(_) | TargetKind::Image(_) | TargetKind::DockerBuild(_) => {
            "build"
        }
        TargetKind::DockerRun(_) | TargetKind::ComposeUp(_) | TargetKind::ComposeDown(_) => "run",
        TargetKind::GoTest(_) => "check",
        TargetKind::Exec(_) | TargetKind::Shell(_) | TargetKind::Group(_) => "other",
    }
}

/// For targets without a `doc`.
fn describe(kind: &TargetKind) -> String {
    match kind {
        TargetKind::Group(group) => {
            group.targets.iter().map(|name| name.value.to_string()).collect::<Vec<_>>().join(", ")
        }
        other => other.word().to_owned(),
    }
}
