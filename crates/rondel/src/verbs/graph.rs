//! `graph`: the steps and their dependencies, as Mermaid, DOT or JSON.

use rondel_engine::{Asks, Graph, NodeId, Planned, plan};
use serde_json::json;

use crate::cli::groups::AnalysisOptions;
use crate::cli::option::{choice, option, options};
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_data;

choice! {
    /// `--format`
    enum Format { Mermaid = "mermaid", Dot = "dot", Json = "json" }
}

options! {
    /// Options of `graph`.
    struct Options {
        /// print the graph as
        format: Format = option("format").value("FORMAT"),
        ..analysis: AnalysisOptions,
    }
}

/// Prints the graph of the named targets, or of all.
pub(crate) struct ShowGraph;

impl Verb for ShowGraph {
    const NAME: &'static str = "graph";
    const ABOUT: &'static str = "the steps as a graph: Mermaid, DOT or JSON";
    const ARGUMENTS: Arguments = Arguments {
        least: 0,
        forms: &["[TARGET…]"],
        docs: &[("TARGET", "a target of build.ron; all if none is named")],
        ..Arguments::TARGETS
    };
    const TAKES_REST: bool = true;
    const EXAMPLE: &'static str = "graph image --format dot";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        graph(&session?, call)
    }
}

fn graph(session: &Session<'_>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
    let targets = if call.words.is_empty() { session.all_targets() } else { session.asked(call.words)? };
    let analyzed = session.analyze(&call.options.analysis, call.rest, targets)?;
    let planned = plan(&analyzed.graph, &analyzed.roots, &session.workspace(), Asks::Nothing, &|_| {});
    let state = |id: &NodeId| match planned.get(id) {
        Some(Planned::UpToDate | Planned::Restore) => "cached",
        Some(Planned::Run(_)) => "changed",
        _ => "unknown",
    };
    let nodes: Vec<NodeId> = planned.keys().copied().collect();
    let text = match call.options.format {
        Format::Mermaid => mermaid(&analyzed.graph, &nodes, &state),
        Format::Dot => dot(&analyzed.graph, &nodes, &state),
        Format::Json => as_json(&analyzed.graph, &nodes, &state),
    };
    print_data(&text);
    Ok(Exit::Done)
}

/// Returns edges: from, to, and whether it is an input.
fn edges<'g>(graph: &'g Graph, nodes: &'g [NodeId]) -> impl Iterator<Item = (NodeId, NodeId, bool)> + 'g {
    nodes.iter().flat_map(|&id| {
        let node = graph.node(id);
        let inputs = node.inputs.iter().map(move |&other| (other, id, true));
        inputs.chain(node.after.iter().chain(&node.on_miss).map(move |&other| (other, id, false)))
    })
}

fn mermaid(graph: &Graph, nodes: &[NodeId], state: &dyn Fn(&NodeId) -> &'static str) -> String {
    let mut text = String::from("flowchart LR\n");
    for id in nodes {
        text.push_str(&format!(
            "  n{id}[\"{}\"]:::{}\n",
            graph.node(*id).key.to_string().replace('"', "#quot;"),
            state(id)
        ));
    }
    for (from, to, is_input) in edges(graph, nodes) {
        text.push_str(&format!("  n{from} {} n{to}\n", if is_input { "-->" } else { "-.->" }));
    }
    text.push_str("  classDef cached fill:#dfd\n  classDef changed fill:#fdd\n  classDef unknown fill:#eee\n");
    text
}

fn dot(graph: &Graph, nodes: &[NodeId], state: &dyn Fn(&NodeId) -> &'static str) -> String {
    let mut text = String::from("digraph rondel {\n  rankdir=LR;\n  node [shape=box, style=filled];\n");
    for id in nodes {
        let color = match state(id) {
            "cached" => "#ddffdd",
            "changed" => "#ffdddd",
            _ => "#eeeeee",
        };
        text.push_str(&format!("  n{id} [label={:?}, fillcolor=\"{color}\"];\n", graph.node(*id).key.to_string()));
    }
    for (from, to, is_input) in edges(graph, nodes) {
        text.push_str(&format!("  n{from} -> n{to}{};\n", if is_input { "" } else { " [style=dashed]" }));
    }
    text.push_str("}\n");
    text
}

fn as_json(graph: &Graph, nodes: &[NodeId], state: &dyn Fn(&NodeId) -> &'static str) -> String {
    let steps: Vec<_> = nodes
        .iter()
        .map(|id| {
            let node = graph.node(*id);
            json!({"id": id, "step": node.key.to_string(), "target": node.key.target_text(), "state": state(id)})
        })
        .collect();
    let edges: Vec<_> = edges(graph, nodes)
        .map(|(from, to, is_input)| json!({"from": from, "to": to, "kind": if is_input { "input" } else { "order" }}))
        .collect();
    format!("{}\n", json!({"steps": steps, "edges": edges}))
}
