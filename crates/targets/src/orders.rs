//! Groups in order: each member begins when the ones before it have ended well. The edges are added to the whole graph,
//! since a member and what it needs can be in it for other reasons too.

use std::collections::BTreeSet;

use rondel_buildfile::{Span, TargetName};
use rondel_engine::{Graph, NodeId, UserError};

/// The members of a group, in order.
pub(crate) struct Order {
    /// The group.
    pub group: TargetName,
    /// Each member with its place in build.ron and its last steps.
    pub members: Vec<(TargetName, Span, Vec<NodeId>)>,
}

/// Adds the edges of all groups. Returns the new place of each step, by its former one.
pub(crate) fn apply(orders: &[Order], graph: &mut Graph) -> Result<Vec<NodeId>, UserError> {
    for order in orders {
        let mut ended: Vec<NodeId> = Vec::new();
        for (name, span, ends) in &order.members {
            let before = graph.reachable(&ended);
            if !ends.is_empty() && ends.iter().all(|end| before.contains(end) && !ended.contains(end)) {
                let message = format!("`{}` puts `{name}` after members that wait for it", order.group);
                return Err(UserError::input(message).at(*span).hint("put it first, or leave out `parallel: false`"));
            }
            for first in first_steps(graph, ends, &before) {
                graph.add_order(&ended, first);
            }
            ended.extend(ends);
        }
    }
    Ok(graph.sort())
}

/// Returns the steps of targets that `ends` need and `before` does not hold, without those that wait for another of them.
/// Rondel's own steps, a toolchain for example, belong to no member: they may run at any time.
fn first_steps(graph: &Graph, ends: &[NodeId], before: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let is_own = |id: &NodeId| !before.contains(id) && graph.node(*id).key.target.is_some();
    let own: BTreeSet<NodeId> = graph.reachable(ends).into_iter().filter(is_own).collect();
    let waits = |id: &&NodeId| {
        let node = graph.node(**id);
        node.inputs.iter().chain(&node.after).any(|other| own.contains(other))
    };
    own.iter().filter(|id| !waits(id)).copied().collect()
}
