//! How long each step took the last time that it ran, so that the longest way through a graph can begin first.
//!
//! `.rondel/durations`: a line for each step, milliseconds, a tabulator, the file name of its key. Losing it costs order, nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use rondel_cas::write_atomically;

use crate::event::NodeId;
use crate::graph::Graph;

/// Steps that never ran are taken to be like this where nothing else is known, in milliseconds.
const UNKNOWN_MS: u64 = 1000;

/// Durations in milliseconds, by the file name of the step's key.
pub(crate) type Durations = BTreeMap<String, u64>;

/// What is known; nothing if there is no file that can be read.
pub(crate) fn read(state: &Path) -> Durations {
    let text = fs::read_to_string(state.join("durations")).unwrap_or_default();
    let parse = |line: &str| {
        let (duration, label) = line.split_once('\t')?;
        Some((label.to_owned(), duration.parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}

/// Adds what was learned to what is known.
pub(crate) fn add(state: &Path, measured: &Durations) -> io::Result<()> {
    if measured.is_empty() {
        return Ok(());
    }
    let mut all = read(state);
    all.extend(measured.iter().map(|(label, duration)| (label.clone(), *duration)));
    let text: String = all.iter().map(|(label, duration)| format!("{duration}\t{label}\n")).collect();
    write_atomically(&state.join("tmp"), &state.join("durations"), text.as_bytes())
}

/// How long it takes from the beginning of each node to the end of all that waits for it, in milliseconds: whoever
/// has most before them begins first.
pub(crate) fn critical_paths(graph: &Graph, known: &Durations) -> Vec<u64> {
    let mean = known.values().sum::<u64>().checked_div(known.len() as u64).unwrap_or(UNKNOWN_MS);
    let mut paths = vec![0; graph.len()];
    // What waits for a node has a larger number: from the end, all of them are known already.
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
