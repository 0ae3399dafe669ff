//! How the members of groups ended, for the report of a build that failed. Knows no output.

use std::collections::{BTreeMap, BTreeSet};

use rondel_buildfile::{BuildFile, Platform, Target, TargetName};
use rondel_engine::{Graph, NodeId, Outcome, Summary};

use crate::ui::MemberState;

/// Returns the groups of a build, each with its members, that have one which did not end well.
pub(crate) fn unfinished_groups<'f>(
    file: &'f BuildFile,
    graph: &Graph,
    ends: &BTreeMap<TargetName, Vec<NodeId>>,
    summary: &Summary,
) -> Vec<(&'f TargetName, Vec<(TargetName, MemberState)>)> {
    let mut found = Vec::new();
    for group in file.targets.iter().filter(|target| ends.contains_key(&target.name.value)) {
        let of = |name: &TargetName| {
            let ends = ends.get(name).map(Vec::as_slice).unwrap_or_default();
            (name.clone(), state(&own_steps(file, graph, name, ends), summary))
        };
        let members: Vec<(TargetName, MemberState)> =
            file.members_on(group, &Platform::host()).0.into_iter().map(|member| of(&member.value)).collect();
        let is_well = |(_, state): &(TargetName, MemberState)| match state {
            MemberState::Ran | MemberState::UpToDate => true,
            MemberState::Failed | MemberState::Unfinished | MemberState::DidNotRun => false,
        };
        if !members.iter().all(is_well) {
            found.push((&group.name.value, members));
        }
    }
    found
}

/// Returns the steps of a target that it always needs: its own, and of a group those of its members.
fn own_steps(file: &BuildFile, graph: &Graph, name: &TargetName, ends: &[NodeId]) -> BTreeSet<NodeId> {
    let (mut names, mut open) = (BTreeSet::new(), vec![name]);
    while let Some(name) = open.pop() {
        if names.insert(name) {
            let target: Option<&Target> = file.targets.iter().find(|target| target.name.value == *name);
            let members = target.map(|target| target.kind().members()).unwrap_or_default();
            open.extend(members.iter().map(|member| &member.value));
        }
    }
    let is_own = |id: &NodeId| graph.node(*id).key.target.as_ref().is_some_and(|target| names.contains(target));
    graph.demanded(ends).into_iter().filter(is_own).collect()
}

fn state(steps: &BTreeSet<NodeId>, summary: &Summary) -> MemberState {
    // A step that another's failure kept from beginning is passed over.
    let outcome = |id: &NodeId| summary.outcomes.get(id).copied().filter(|outcome| *outcome != Outcome::NotRun);
    let ended: Vec<Outcome> = steps.iter().filter_map(outcome).collect();
    let has = |wanted: Outcome| ended.contains(&wanted);
    if has(Outcome::Failed) {
        MemberState::Failed
    } else if ended.is_empty() && !steps.is_empty() {
        MemberState::DidNotRun
    } else if ended.len() < steps.len() || has(Outcome::Interrupted) {
        MemberState::Unfinished
    } else if has(Outcome::Ran) {
        MemberState::Ran
    } else {
        MemberState::UpToDate
    }
}
