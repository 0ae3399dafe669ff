//! The gate of a release: before it counts as done, all that it is made of is built a second time in other surroundings, and
//! compared. What was proven before for the same keys and results needs no second proof, unless an audit has found it to
//! differ.
//!
//! A proof is a result without outputs in the store, under a key of its own: so it is shared by all checkouts of a user,
//! and collected with the rest.

use std::collections::BTreeSet;
use std::time::Instant;

use rondel_buildfile::TargetName;
use rondel_cas::{ActionResult, Digest};
use rondel_engine::{Graph, NodeId, StepKey, Summary, Workspace, audit_mark, entry_text};
use rondel_targets::Analysis;

use crate::asked::Asked;
use crate::cli::groups::{AnalysisOptions, GlobalOptions};
use crate::exit::{Exit, Failure};
use crate::runner::{Runner, exit_of};
use crate::second_build::{SecondBuild, artefacts_of, check_kinds, sources_of};
use crate::ui::{Sink, VerifySummary};

/// What a proof means. A change of that changes the text.
const FORMAT: &str = "rondel-proof-1";

/// A run whose first build has ended well.
pub(crate) struct Gate<'a> {
    pub runner: &'a Runner<'a>,
    pub options: (&'a GlobalOptions, &'a AnalysisOptions),
    pub asked: &'a Asked,
    pub sink: &'a dyn Sink,
}

impl Gate<'_> {
    /// Returns `Done` if each release of the run is the same when it is built again, or was before, or asks for no proof.
    pub fn pass(&self, analyzed: &Analysis, first: &Summary, workspace: &Workspace) -> Result<Exit, Failure> {
        let releases = self.releases(&analyzed.graph);
        if releases.is_empty() {
            return Ok(Exit::Done);
        }
        let nodes = made_of(&analyzed.graph, &releases, first);
        let is_marked = |node: &NodeId| audit_mark(&workspace.state, &analyzed.graph.node(*node).key).is_some();
        if nodes.iter().all(|node| !is_marked(node) && is_proven(*node, first, workspace)) {
            self.sink.proven(&releases);
            return Ok(Exit::Done);
        }
        check_kinds(self.runner.session, &releases)?;
        let exit = self.prove(analyzed, first, &releases, &nodes)?;
        if exit == Exit::Done {
            nodes.iter().for_each(|node| remember(*node, first, workspace));
        }
        Ok(exit)
    }

    /// Returns the releases of this run that want a proof.
    fn releases(&self, graph: &Graph) -> Vec<TargetName> {
        let names: BTreeSet<&TargetName> = graph.nodes().filter_map(|(_, node)| node.key.target.as_ref()).collect();
        let targets = self.runner.session.file.targets.iter();
        let gated = targets.filter(|target| target.kind().is_gated() && names.contains(&target.name.value));
        gated.map(|target| target.name.value.clone()).collect()
    }

    fn prove(
        &self,
        analyzed: &Analysis,
        first: &Summary,
        releases: &[TargetName],
        nodes: &[NodeId],
    ) -> Result<Exit, Failure> {
        let begun = Instant::now();
        let session = self.runner.session;
        self.sink.verifying();
        let asked = Asked { targets: releases.to_vec(), parameters: self.asked.parameters.clone() };
        let (sources, mut made) = (sources_of(first), artefacts_of(first));
        made.extend(session.own_paths());
        let platforms = self.options.1.platforms();
        let second = SecondBuild::run(self.runner, self.options, &asked, platforms, (&sources, &made))?;
        match exit_of(&second.summary) {
            Exit::Done => {}
            Exit::StepFailed => {
                self.sink.second_build_failed();
                return Ok(Exit::Different);
            }
            other => return Ok(other),
        }
        let steps = second.compare(session, (&analyzed.graph, first))?;
        let different = steps.iter().filter(|step| step.difference.is_some()).count();
        steps.iter().filter(|step| step.difference.is_some()).for_each(|step| self.sink.verified(step));
        let (variations, took) = (&second.place.variations, begun.elapsed());
        self.sink.verify_summary(&VerifySummary { steps: steps.len(), different, variations, took });
        if different > 0 {
            return Ok(Exit::Different);
        }
        let again = |key: &StepKey| {
            let twin = second.analysis.graph.find(key);
            twin.is_some_and(|twin| second.summary.results.contains_key(&twin))
        };
        // What has no twin was not compared.
        if let Some(node) = nodes.iter().find(|node| !again(&analyzed.graph.node(**node).key)) {
            let step = &analyzed.graph.node(*node).key;
            return Err(Failure::environment(format!(
                "`{step}` was not made a second time, so the release is not proven"
            ))
            .hint("run again; if it stays so, report it, or write `gate: Off`"));
        }
        Ok(Exit::Done)
    }
}

/// Returns the steps that make these targets, and all that those are made from, as far as they have made files.
fn made_of(graph: &Graph, targets: &[TargetName], summary: &Summary) -> Vec<NodeId> {
    let is_of = |name: Option<&TargetName>| name.is_some_and(|name| targets.contains(name));
    let mut open: Vec<NodeId> =
        graph.nodes().filter(|(_, node)| is_of(node.key.target.as_ref())).map(|(id, _)| id).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(&graph.node(id).inputs);
        }
    }
    let has_files = |id: &NodeId| summary.results.get(id).is_some_and(|result| !result.artefacts.is_empty());
    found.into_iter().filter(has_files).collect()
}

/// Returns the key of the proof that a step gives these files; `None` if its result is not stored, so that it can't be
/// known again.
fn proof_of(node: NodeId, summary: &Summary) -> Option<Digest> {
    let result = summary.results.get(&node)?;
    let action = result.action?;
    let mut text = format!("{FORMAT}\n{action}\n");
    for artefact in &result.artefacts {
        text.push_str(&format!("{} {}\n", artefact.name, entry_text(&artefact.entry)));
    }
    Some(Digest::of(text.as_bytes()))
}

fn is_proven(node: NodeId, summary: &Summary, workspace: &Workspace) -> bool {
    let proof = proof_of(node, summary);
    proof.is_some_and(|proof| workspace.results.get_action_result(&proof).is_ok_and(|found| found.is_some()))
}

/// Stores the proof of a step. A trouble of the store costs a second proof next time.
fn remember(node: NodeId, summary: &Summary, workspace: &Workspace) {
    if let Some(proof) = proof_of(node, summary) {
        let found = ActionResult { kind: "proof".to_owned(), ..ActionResult::default() };
        let _ = workspace.results.update_action_result(&proof, &found);
    }
}
