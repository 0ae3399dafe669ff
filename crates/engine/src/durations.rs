//! Duration of each step's last run, so that the critical path of a graph starts first.
//!
//! `.rondel/durations` has a line for each step: milliseconds, a tabulator, the file name of its key. Losing it costs
//! order, nothing else.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rondel_cas::{MEMORY_MAX, read_text_at_most, write_atomically};

use crate::event::NodeId;
use crate::graph::Graph;

/// Assumed duration in milliseconds of a step that never ran.
const UNKNOWN_MS: u64 = 1000;

/// Durations in milliseconds, by the file name of the step's key.
pub(crate) type Durations = BTreeMap<String, u64>;

/// Returns the stored durations, or none if no file can be read.
pub(crate) fn read(state: &Path) -> Durations {
    let text = read_text_at_most(&state.join("durations"), MEMORY_MAX).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use rondel_names::TargetName;

    use std::fs;

    use super::*;
    use crate::graph::Node;
    use crate::step::{Job, Prepared, Query, Report, Step};
    use crate::step_key::StepKey;
    use crate::{Freshness, StepError};

    struct Nothing;

    impl Step for Nothing {
        type Findings = ();

        fn prepare(&self, _query: &Query<'_>) -> Result<Prepared, StepError> {
            Ok(Prepared::unkeyed(Freshness::Skip("a test".to_owned())))
        }

        fn run(&self, _prepared: &Prepared, _job: &Job<'_>) -> Result<Report, StepError> {
            unreachable!("a step of this test is never run")
        }
    }

    fn key(name: &str) -> StepKey {
        StepKey::main(&TargetName::new(name).unwrap())
    }

    fn add_node(graph: &mut Graph, name: &str, waits_for: impl FnOnce(&mut Node)) -> NodeId {
        let mut node = Node::new(key(name), "Exec", Box::new(Nothing));
        waits_for(&mut node);
        graph.add(node)
    }

    fn known(durations: &[(&str, u64)]) -> Durations {
        durations.iter().map(|(name, duration)| (key(name).file_name(), *duration)).collect()
    }

    /// `tail` waits for `head`, `last` for `tail`, each by another kind of edge.
    fn chain() -> Graph {
        let mut graph = Graph::new();
        add_node(&mut graph, "short", |_| {});
        add_node(&mut graph, "middle", |_| {});
        let head = add_node(&mut graph, "head", |_| {});
        let tail = add_node(&mut graph, "tail", |node| node.after = vec![head]);
        let more = add_node(&mut graph, "more", |node| node.on_miss = vec![head]);
        add_node(&mut graph, "last", |node| node.inputs = vec![tail, more]);
        graph
    }

    #[test]
    fn a_short_step_that_a_long_one_waits_for_has_the_longest_way() {
        let graph = chain();
        let durations =
            known(&[("short", 10), ("middle", 200), ("head", 10), ("tail", 600), ("more", 900), ("last", 0)]);
        let paths = critical_paths(&graph, &durations);
        // A step of no time at all counts as one millisecond, so that its dependencies come before it.
        assert_eq!(paths, [10, 200, 911, 601, 901, 1]);
        let mut order: Vec<NodeId> = (0..graph.len()).collect();
        order.sort_by_key(|&id| std::cmp::Reverse(paths[id]));
        let names: Vec<String> = order.iter().map(|&id| graph.node(id).key.to_string()).collect();
        assert_eq!(names, ["head", "more", "tail", "middle", "short", "last"]);
    }

    #[test]
    fn an_unknown_step_takes_as_long_as_the_others_do_on_average() {
        let graph = chain();
        assert_eq!(critical_paths(&graph, &Durations::new()), [1000, 1000, 3000, 2000, 2000, 1000]);
        let durations = known(&[("short", 100), ("middle", 300)]);
        assert_eq!(critical_paths(&graph, &durations), [100, 300, 600, 400, 400, 200]);
    }

    #[test]
    fn what_is_learned_is_added_to_what_is_known() {
        let state = std::env::temp_dir().join(format!("rondel-durations-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        assert_eq!(read(&state), Durations::new());
        add(&state, &known(&[("a", 1), ("b", 2)])).unwrap();
        add(&state, &known(&[("b", 3), ("c", 4)])).unwrap();
        assert_eq!(read(&state), known(&[("a", 1), ("b", 3), ("c", 4)]));
        // A line that says nothing is passed over.
        fs::write(state.join("durations"), "5\ta\nrubbish\nx\tb\n").unwrap();
        assert_eq!(read(&state), known(&[("a", 5)]));
        fs::remove_dir_all(state).unwrap();
    }
}
