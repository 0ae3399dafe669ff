//! Groups in order: each member begins when the ones before it have ended well. The edges are added to the whole graph,
//! since a member and what it needs can be in it for other reasons too. What removes outputs comes before all that could make
//! them.

use std::collections::BTreeSet;

use rondel_buildfile::{Span, Spanned, TargetName};
use rondel_engine::{Graph, NodeId, PROGRAM, UserError};

/// The members of a group, in order.
pub(crate) struct Order {
    /// The group.
    pub group: TargetName,
    /// Each member with its place in build.ron and its last steps.
    pub members: Vec<(TargetName, Span, Vec<NodeId>)>,
}

/// A target that removes outputs.
pub(crate) struct Cleaning {
    /// Its name.
    pub name: Spanned<TargetName>,
    /// Its step.
    pub node: NodeId,
    /// The targets that make the outputs.
    pub makers: BTreeSet<TargetName>,
}

/// Adds the edges of all groups, then those of targets that remove outputs. Returns the new place of each step, by its former
/// one.
pub(crate) fn apply(orders: &[Order], cleanings: &[Cleaning], graph: &mut Graph) -> Result<Vec<NodeId>, UserError> {
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
    for cleaning in cleanings {
        put_first(cleaning, graph)?;
    }
    Ok(graph.sort())
}

/// Lets all steps of targets wait that the removal itself does not wait for.
fn put_first(cleaning: &Cleaning, graph: &mut Graph) -> Result<(), UserError> {
    let before = graph.reachable(&[cleaning.node]);
    let maker = before.iter().filter_map(|id| graph.node(*id).key.target.as_ref());
    if let Some(maker) = maker.into_iter().find(|target| cleaning.makers.contains(target)) {
        let name = &cleaning.name.value;
        let message = format!("`{name}` would run after `{maker}`, and removes what that makes");
        let hint = format!("run `{PROGRAM} {name}` by itself, or put `{name}` first");
        return Err(UserError::input(message).at(cleaning.name.span).hint(hint));
    }
    let all: Vec<NodeId> = graph.nodes().map(|(id, _)| id).collect();
    for first in first_steps(graph, &all, &before) {
        graph.add_order(&[cleaning.node], first);
    }
    Ok(())
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
