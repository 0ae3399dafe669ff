//! Duration of each step's last run, so that the critical path of a graph starts first.
//!
//! `.rondel/durations` has a line for each step: milliseconds, a tabulator, the file name of its key. Losing it costs
//! order, nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use rondel_cas::write_atomically;

use crate::event::NodeId;
use crate::graph::Graph;

/// Assumed duration in milliseconds of a step that never ran.
const UNKNOWN_MS: u64 = 1000;

/// Durations in milliseconds, by the file name of the step's key.
pub(crate) type Durations = BTreeMap<String, u64>;

/// Returns the stored durations, or none if no file can be read.
pub(crate) fn read(state: &Path) -> Durations {
    let text = fs::read_to_string(state.join("durations")).unwrap_or_default();
    let parse = |line: &str| {
        let (duration, label) = line.split_once('\t')?;
        Some((label.to_owned(), duration.parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}

/// Adds the measured durations to the stored ones.
pub(crate) fn add(state: &Path, measured: &Durations) -> io::Result<()> {
    if measured.is_empty() {
        return Ok(());
    }
    let mut all = read(state);
    all.extend(measured.iter().map(|(label, duration)| (label.clone(), *duration)));
    let text: String = all.iter().map(|(label, duration)| format!("{duration}\t{label}\n")).collect();
    write_atomically(&state.join("tmp"), &state.join("durations"), text.as_bytes())
}

/// Returns for each node the time from its start to the end of all its dependents, in milliseconds. The node with the
/// longest path starts first.
pub(crate) fn critical_paths(graph: &Graph, known: &Durations) -> Vec<u64> {
    let mean = known.values().sum::<u64>().checked_div(known.len() as u64).unwrap_or(UNKNOWN_MS);
    let mut paths = vec![0; graph.len()];
    // Dependents have larger numbers than the node, so a pass from the end knows all of them.
    for id in (0..graph.len()).rev() {
        let node = graph.node(id);
        let path: u64 = paths[id] + known.get(&node.key.file_name()).copied().unwrap_or(mean).max(1);
        paths[id] = path;
        for &before in node.inputs.iter().chain(&node.after).chain(&node.on_miss) {
            let before: &mut u64 = &mut paths[before as NodeId];
            *before = path.max(*before);
        }
    }
    paths
}
