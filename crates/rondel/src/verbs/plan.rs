//! `plan`: the steps that would run, and why. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use rondel_buildfile::{Platform, Target, TargetName};
use rondel_engine::{Asks, Event, Forecast, Graph, NodeId, Planned, Reason, Shown, audit_mark, plan as plan_graph};
use rondel_process::Cancellation;

use crate::before_build::for_other_machines;
use crate::cli::groups::AnalysisOptions;
use crate::cli::option::options;
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::needs::missing;
use crate::program::with_program;
use crate::session::Session;
use crate::signals;
use crate::ui::{duration_text, highlight, print_data, print_line, reason_text, without_control_sequences};
use crate::verbs::show::as_text;

options! {
    /// Options of `plan`.
    struct Options {
        ..analysis: AnalysisOptions,
    }
}

/// Prints one line a step.
pub(crate) struct Plan;

impl Verb for Plan {
    const NAME: &'static str = "plan";
    const ABOUT: &'static str = "what would run and why; changes nothing";
    const ARGUMENTS: Arguments = Arguments::TARGETS;
    const TAKES_REST: bool = true;
    const EXAMPLE: &'static str = "plan image";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        plan(&session?, call)
    }
}

fn plan(session: &Session<'_>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
    let targets = session.asked(call.words)?;
    let elsewhere = for_other_machines(session, &targets.targets);
    let analyzed = session.analyze(&call.options.analysis, call.rest, targets)?;
    let workspace = session.workspace();
    let color = call.context.wants_color(call.global.color);
    let notes: Mutex<Vec<(NodeId, String)>> = Mutex::default();
    let cancellation = Cancellation::new();
    signals::forward_to(&cancellation);
    let planned =
        plan_graph(&analyzed.graph, &analyzed.roots, &workspace, Asks::Programs(&cancellation), &|event| match event {
            Event::Warning { text } => print_line(&highlight(&format!("warning: {}", with_program(&text)), color)),
            Event::Note { node, text } => notes.lock().expect("no panic while locked").push((node, text)),
            _ => {}
        });
    if cancellation.is_raised() {
        return Ok(Exit::Interrupted);
    }
    let notes = notes.into_inner().expect("no panic while locked");
    let forecast = Forecast::of(&analyzed.graph, &analyzed.roots, &workspace.state, 1);
    let mut text = String::new();
    for (id, state) in &planned {
        let node = analyzed.graph.node(*id);
        // A hidden step that can't be judged is why the others are not.
        let is_unknown = matches!(state, Planned::Unknown(_));
        if node.shown == Shown::Never && !call.global.verbose && !is_unknown {
            continue;
        }
        let (word, detail) = words_for(state, &analyzed.graph, &planned);
        let detail = without_control_sequences(&detail.replace('\n', "\\n"));
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        let unchecked =
            unchecked(session, node.key.target.as_ref()).map(|what| format!(" ({what})")).unwrap_or_default();
        let would_run = matches!(state, Planned::Run(_) | Planned::Depends(_));
        let last = forecast.last(*id).filter(|_| would_run);
        let last = last.map(|last| format!(" (last {})", duration_text(last))).unwrap_or_default();
        let mark = audit_mark(&workspace.state, &node.key).map_or("", |_| " (not reproducible)");
        text.push_str(&format!("{word:<11} {}{last}{unchecked}{mark}{detail}\n", node.title));
        for (_, note) in notes.iter().filter(|(node, _)| call.global.verbose && node == id) {
            text.push_str(&format!("{:<11}   {}\n", "", without_control_sequences(&note.replace('\n', "\\n"))));
        }
    }
    for name in &analyzed.left_out {
        text.push_str(&format!("{:<11} {name}: not on {}\n", "skip", Platform::host()));
    }
    // The needs of targets that would not run are not checked.
    let runs = |target: &&Target| {
        planned.iter().any(|(id, state)| {
            matches!(state, Planned::Run(_) | Planned::Depends(_))
                && analyzed.graph.node(*id).key.target.as_ref() == Some(&target.name.value)
        })
    };
    if let Err(failure) = session.require_cache() {
        text.push_str(&format!("{:<11} {}\n", "missing", failure.message()));
    }
    for line in elsewhere {
        text.push_str(&format!("{:<11} {line}\n", "missing"));
    }
    for line in missing(session, session.file.targets.iter().filter(runs)) {
        text.push_str(&format!("{:<11} {line}\n", "missing"));
    }
    if call.global.verbose {
        for line in as_text(&analyzed.variables).lines() {
            text.push_str(&format!("{:<11} {line}\n", "variable"));
        }
    }
    print_data(&text);
    Ok(Exit::Done)
}

/// Returns the word for a state, and what there is to say of it.
fn words_for(state: &Planned, graph: &Graph, all: &BTreeMap<NodeId, Planned>) -> (&'static str, String) {
    match state {
        Planned::UpToDate => ("up to date", String::new()),
        Planned::Restore => ("restore", "its stored result is put back in place".to_owned()),
        Planned::Run(reasons) if Reason::are_undecided(reasons) => ("unknown", words_of(reasons) + UNDECIDED),
        Planned::Run(reasons) => ("run", words_of(reasons)),
        Planned::Depends(on) => {
            let causes: BTreeSet<String> = on.iter().flat_map(|id| causes(*id, graph, all)).collect();
            let causes: Vec<String> = causes.into_iter().collect();
            ("depends", format!("on the outputs of {}", causes.join(", ")))
        }
        Planned::Skip(why) => ("skip", why.clone()),
        Planned::OnDemand => ("on demand", "only if a step that needs it runs".to_owned()),
        Planned::Unknown(error) => ("unknown", error.to_string()),
    }
}

/// What is added to the reason of a step that may be up to date, or be found in the store.
const UNDECIDED: &str = ", and it runs unless it is up to date or stored then";

/// Returns the title of a step that others depend on. One that has no line of its own comes with why it would run, or is left out for what it depends on.
fn causes(id: NodeId, graph: &Graph, all: &BTreeMap<NodeId, Planned>) -> Vec<String> {
    let node = graph.node(id);
    match all.get(&id).filter(|_| node.shown == Shown::Never) {
        Some(Planned::Run(reasons)) => vec![format!("{} ({})", node.title, words_of(reasons))],
        Some(Planned::Depends(on)) => on.iter().flat_map(|other| causes(*other, graph, all)).collect(),
        _ => vec![node.title.clone()],
    }
}

fn words_of(reasons: &[Reason]) -> String {
    reasons.iter().map(reason_text).collect::<Vec<_>>().join(", ")
}

/// Returns what is not checked for a target, as build.ron says it.
fn unchecked(session: &Session<'_>, name: Option<&TargetName>) -> Option<&'static str> {
    let target = session.file.targets.iter().find(|target| Some(&target.name.value) == name)?;
    target.kind().unchecked()
}
