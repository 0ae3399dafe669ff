//! Duration of each step's last run, so that the critical path of a graph starts first.
//!
//! `.rondel/durations` has a line for each step: milliseconds, a tabulator, the file name of its key. Losing it costs
//! order, nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

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

/// What is known before a build of how long its steps take.
#[derive(Debug, Default)]
pub struct Forecast {
    /// The steps that the build always needs, each with those that it waits for.
    steps: BTreeMap<NodeId, Vec<NodeId>>,
    /// Duration of the last run of each step that ran here, needed or not.
    last: BTreeMap<NodeId, Duration>,
    jobs: usize,
}

impl Forecast {
    /// Returns the forecast of a build of `roots`, with `jobs` steps at once.
    pub fn of(graph: &Graph, roots: &[NodeId], state: &Path, jobs: usize) -> Forecast {
        let known = read(state);
        let last = |(id, node): (NodeId, &crate::graph::Node)| {
            Some((id, Duration::from_millis(*known.get(&node.key.file_name())?)))
        };
        let demanded = graph.demanded(roots);
        let waits_for = |id: &NodeId| {
            let node = graph.node(*id);
            let before = node.inputs.iter().chain(&node.after).chain(&node.on_miss);
            before.filter(|other| demanded.contains(other)).copied().collect()
        };
        let steps = demanded.iter().map(|id| (*id, waits_for(id))).collect();
        Forecast { steps, last: graph.nodes().filter_map(last).collect(), jobs: jobs.max(1) }
    }

    /// Returns the steps that the build always needs.
    pub fn steps(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.steps.keys().copied()
    }

    /// Returns what the step took when it ran the last time.
    pub fn last(&self, id: NodeId) -> Option<Duration> {
        self.last.get(&id).copied()
    }

    /// Returns the time until all has ended, as if every step that is left ran: the longest chain of them, or the work for
    /// all jobs if that is longer. `running` says since when steps run. `None` if nothing is known of those that are left.
    pub fn rest(&self, ended: &BTreeSet<NodeId>, running: &BTreeMap<NodeId, Duration>) -> Option<Duration> {
        let left: Vec<NodeId> = self.steps().filter(|id| !ended.contains(id)).collect();
        let known: Vec<Duration> = left.iter().filter_map(|id| self.last(*id)).collect();
        let mean = known.iter().sum::<Duration>().checked_div(u32::try_from(known.len()).ok()?)?;
        let mut ends: BTreeMap<NodeId, Duration> = BTreeMap::new();
        let mut work = Duration::ZERO;
        // Dependencies have smaller numbers than the node.
        for id in left {
            let begin = self.steps[&id].iter().filter_map(|before| ends.get(before)).max().copied().unwrap_or_default();
            let own = self.last(id).unwrap_or(mean).saturating_sub(running.get(&id).copied().unwrap_or_default());
            work += own;
            ends.insert(id, begin + own);
        }
        let path = ends.values().max().copied().unwrap_or_default();
        Some(path.max(work / u32::try_from(self.jobs).unwrap_or(u32::MAX)))
    }
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
    fn the_rest_is_the_longest_chain_or_all_the_work() {
        let graph = chain();
        let state = std::env::temp_dir().join(format!("rondel-forecast-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        let roots: Vec<NodeId> = (0..graph.len()).collect();
        let seconds =
            |seconds: &[f64]| seconds.iter().map(|seconds| Duration::from_secs_f64(*seconds)).sum::<Duration>();
        let (nothing, none) = (BTreeSet::new(), BTreeMap::new());
        assert_eq!(Forecast::of(&graph, &roots, &state, 8).rest(&nothing, &none), None, "nothing ever ran");
        let durations =
            [("short", 1000), ("middle", 2000), ("head", 500), ("tail", 6000), ("more", 9000), ("last", 500)];
        add(&state, &known(&durations)).unwrap();
        let of = |jobs| Forecast::of(&graph, &roots, &state, jobs);
        assert_eq!(of(8).rest(&nothing, &none), Some(seconds(&[0.5, 9.0, 0.5])));
        assert_eq!(of(1).rest(&nothing, &none), Some(seconds(&[1.0, 2.0, 0.5, 6.0, 9.0, 0.5])));
        // `short`, `middle` and `head` have ended, and `more` has run for 4 s of its 9.
        let (ended, running) = (BTreeSet::from([0, 1, 2]), BTreeMap::from([(4, Duration::from_secs(4))]));
        assert_eq!(of(8).rest(&ended, &running), Some(seconds(&[6.0, 0.5])));
        assert_eq!(of(1).rest(&ended, &running), Some(seconds(&[6.0, 5.0, 0.5])));
        // What takes longer than the last time has no time left that anybody knows of.
        let late = BTreeMap::from([(3, Duration::from_secs(60)), (4, Duration::from_secs(60))]);
        assert_eq!(of(8).rest(&ended, &late), Some(seconds(&[0.5])));
        assert_eq!(of(8).rest(&roots.iter().copied().collect(), &none), None);
        // A step that nobody knows takes the mean of the others that are left.
        fs::write(state.join("durations"), format!("4000\t{}\n", key("last").file_name())).unwrap();
        assert_eq!(of(8).rest(&ended, &none), Some(seconds(&[4.0, 4.0])));
        assert_eq!((of(8).last(5), of(8).last(0)), (Some(Duration::from_secs(4)), None));
        fs::remove_dir_all(state).unwrap();
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
