//! `cargo xtask` and `list`: every target with its description, grouped, then the verbs.

use rondel_buildfile::{Group, Target};

use crate::cli::VERBS;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_data;

/// Prints the list.
pub(crate) fn list(session: &Session<'_>) -> Result<Exit, Failure> {
    let targets: Vec<&Target> = session.file.targets.iter().filter(|target| !target.common.private).collect();
    let width = targets
        .iter()
        .map(|target| target.name.value.as_str().len())
        .chain(VERBS.iter().map(|(verb, _)| verb.len()))
        .max()
        .unwrap_or(0);
    let mut text = format!("{}\n", session.file.project.value);
    for group in Group::ALL {
        let members: Vec<&&Target> = targets.iter().filter(|target| target.kind().group() == group).collect();
        if members.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{}\n", group.title()));
        for target in members {
            let doc = target.common.doc.clone().unwrap_or_else(|| target.kind().summary());
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
