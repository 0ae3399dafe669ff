//! `cargo xtask` and `list`: every target with its description, grouped, then the verbs.

use rondel_buildfile::{Target, TargetKind};

use crate::cli::VERBS;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_data;

/// Groups in the order in which they are shown.
const GROUPS: &[&str] = &["build", "run", "check", "other"];

/// Prints the list.
pub(crate) fn list(session: &Session<'_>) -> Result<Exit, Failure> {
    let targets: Vec<&Target> = session.file.targets.iter().filter(|target| !target.private).collect();
    let width = targets
        .iter()
        .map(|target| target.name.value.as_str().len())
        .chain(VERBS.iter().map(|(verb, _)| verb.len()))
        .max()
        .unwrap_or(0);
    let mut text = format!("{}\n", session.file.project.value);
    for group in GROUPS {
        let members: Vec<&&Target> = targets.iter().filter(|target| group_of(&target.kind) == *group).collect();
        if members.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{group}\n"));
        for target in members {
            let doc = target.doc.clone().unwrap_or_else(|| describe(&target.kind));
            text.push_str(&format!("  {:<width$}  {doc}\n", target.name.value.as_str()));
        }
    }
    text.push_str("\nverbs (`cargo xtask --help` has the options)\n");
    for (verb, what) in VERBS {
        text.push_str(&format!("  {verb:<width$}  {what}\n"));
    }
    print_data(&text);
    Ok(Exit::Done)
}

fn group_of(kind: &TargetKind) -> &'static str {
    match kind {
        TargetKind::GoModDownload | TargetKind::GoBuild(_) | TargetKind::Image(_) | TargetKind::DockerBuild(_) => {
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
        TargetKind::Group(members) => members.iter().map(|name| name.value.to_string()).collect::<Vec<_>>().join(", "),
        other => other.word().to_owned(),
    }
}
