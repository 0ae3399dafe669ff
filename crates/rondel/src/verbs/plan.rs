//! `plan`: what would run and why. Writes nothing.

use rondel_engine::{Planned, plan as plan_graph};

use crate::cli::Invocation;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{highlight, print_data, print_line, without_control_sequences};

/// Prints one line a step.
pub(crate) fn plan(session: &Session<'_>, invocation: &Invocation, words: &[String]) -> Result<Exit, Failure> {
    let targets = session.target_names(words)?;
    if targets.is_empty() {
        return Err(Failure::usage("`plan` needs a target").hint("`cargo xtask plan image`"));
    }
    let lowered = session.lower(invocation, targets)?;
    let workspace = session.workspace();
    let color = session.caller.wants_color(invocation.color);
    let planned = plan_graph(&lowered.graph, &lowered.roots, &workspace, &|event| {
        if let rondel_engine::Event::Warning { text } = event {
            print_line(&highlight(&format!("warning: {text}"), color));
        }
    });
    let mut text = String::new();
    for (id, state) in &planned {
        let node = lowered.graph.node(*id);
        if node.hidden && !invocation.verbose {
            continue;
        }
        let title = |id: &usize| lowered.graph.node(*id).title.clone();
        let (word, detail) = match state {
            Planned::UpToDate => ("up to date", String::new()),
            Planned::Restore => ("restore", "its stored result is put back in place".to_owned()),
            Planned::Run(reasons) => ("run", reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            Planned::Depends(on) => {
                ("depends", format!("on what {} makes", on.iter().map(title).collect::<Vec<_>>().join(", ")))
            }
            Planned::Skip(why) => ("skip", why.clone()),
            Planned::OnDemand => ("on demand", "only if a step that needs it runs".to_owned()),
            Planned::Unknown(error) => ("unknown", error.to_string()),
        };
        let detail = without_control_sequences(&detail.replace('\n', "\\n"));
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        text.push_str(&format!("{word:<11} {}{detail}\n", node.title));
    }
    print_data(&text);
    Ok(Exit::Done)
}
