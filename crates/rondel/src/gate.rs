//! The gate of a release: before it counts as done, all that it is made of is built a second time in other surroundings, and
//! compared. What was proven before for the same keys and results needs no second proof, unless an audit has found it to
//! differ. An image whose `Push` has `verified: true` passes it before anything is sent.
//!
//! A proof is a result without outputs in the store, under a key of its own: so it is shared by all checkouts of a user,
//! and collected with the rest.

use std::time::Instant;

use rondel_buildfile::TargetName;
use rondel_cas::{ActionResult, Digest};
use rondel_engine::{Graph, NodeId, StepKey, Summary, Workspace, audit_mark, entry_text};
use rondel_targets::{Analysis, PlatformChoice};

use crate::asked::Asked;
use crate::cli::groups::{AnalysisOptions, GlobalOptions};
use crate::exit::{Exit, Failure};
use crate::runner::Runner;
use crate::second_build::{SecondBuild, artefacts_of, check_kinds, sources_of, summarise, unfinished};
use crate::ui::Sink;

/// What a proof means. A change of that changes the text.
const FORMAT: &str = "rondel-proof-1";

/// A run, and how it shows what it does.
pub(crate) struct Gate<'a> {
    pub runner: &'a Runner<'a>,
    pub options: (&'a GlobalOptions, &'a AnalysisOptions),
    pub asked: &'a Asked,
    pub sink: &'a dyn Sink,
}

/// What wants a proof.
struct Claim {
    /// The targets that people read of.
    shown: Vec<TargetName>,
    /// The targets that are built a second time.
    targets: Vec<TargetName>,
    /// Their steps.
    nodes: Vec<NodeId>,
    platforms: PlatformChoice,
}

impl Gate<'_> {
    /// Returns `Done` if each release of the run is the same when it is built again, or was before, or asks for no proof.
    pub fn pass(&self, analyzed: &Analysis, first: &Summary, workspace: &Workspace) -> Result<Exit, Failure> {
        let releases = self.releases(&analyzed.graph);
        if releases.is_empty() {
            return Ok(Exit::Done);
        }
        let is_of = |name: Option<&TargetName>| name.is_some_and(|name| releases.contains(name));
        let own = analyzed.graph.nodes().filter(|(_, node)| is_of(node.key.target.as_ref()));
        let own = own.filter(|(id, _)| !analyzed.rules.contains(id));
        let nodes = own.map(|(id, _)| id).collect();
        let (shown, platforms) = (releases.clone(), self.options.1.platforms());
        self.pass_claim(analyzed, first, workspace, Claim { shown, targets: releases, nodes, platforms })
    }

    /// Does the same for what is about to be sent and has to be proven before.
    pub fn pass_before_sending(
        &self,
        analyzed: &Analysis,
        first: &Summary,
        workspace: &Workspace,
    ) -> Result<Exit, Failure> {
        let mut claim = Claim {
            shown: Vec::new(),
            targets: Vec::new(),
            nodes: Vec::new(),
            // What is sent is for all platforms, and its targets are not if they are asked for by themselves.
            platforms: match self.options.1.platforms() {
                PlatformChoice::Own => PlatformChoice::All,
                other @ (PlatformChoice::All | PlatformChoice::Some(_)) => other,
            },
        };
        for held in &analyzed.held {
            let makers = held.made.iter().filter_map(|node| analyzed.graph.node(*node).key.target.clone());
            for maker in makers {
                if !claim.targets.contains(&maker) {
                    claim.targets.push(maker);
                }
            }
            claim.shown.push(held.target.clone());
            claim.nodes.extend(&held.made);
        }
        self.pass_claim(analyzed, first, workspace, claim)
    }

    fn pass_claim(
        &self,
        analyzed: &Analysis,
        first: &Summary,
        workspace: &Workspace,
        claim: Claim,
    ) -> Result<Exit, Failure> {
        let has_files = |id: &NodeId| first.results.get(id).is_some_and(|result| !result.artefacts.is_empty());
        let made = analyzed.graph.made_from(&claim.nodes);
        let claim = Claim { nodes: made.into_iter().filter(has_files).collect(), ..claim };
        let is_marked = |node: &NodeId| audit_mark(&workspace.state, &analyzed.graph.node(*node).key).is_some();
        if claim.nodes.iter().all(|node| !is_marked(node) && is_proven(*node, first, workspace)) {
            self.sink.proven(&claim.shown);
            return Ok(Exit::Done);
        }
        check_kinds(self.runner.session, &claim.targets)?;
        let exit = self.prove(analyzed, first, &claim)?;
        if exit == Exit::Done {
            claim.nodes.iter().for_each(|node| remember(*node, first, workspace));
        }
        Ok(exit)
    }

    /// Returns the releases of this run that want a proof.
    fn releases(&self, graph: &Graph) -> Vec<TargetName> {
        let names = graph.targets();
        let targets = self.runner.session.file.targets.iter();
        let gated = targets.filter(|target| target.kind().is_gated() && names.contains(&target.name.value));
        gated.map(|target| target.name.value.clone()).collect()
    }

    fn prove(&self, analyzed: &Analysis, first: &Summary, claim: &Claim) -> Result<Exit, Failure> {
        let begun = Instant::now();
        let session = self.runner.session;
        self.sink.verifying();
        let asked = Asked { targets: claim.targets.clone(), parameters: self.asked.parameters.clone() };
        let (sources, mut made) = (sources_of(first), artefacts_of(first));
        made.extend(session.own_paths());
        let platforms = claim.platforms.clone();
        let second = SecondBuild::run(self.runner, self.options, &asked, platforms, (&sources, &made))?;
        if let Some(exit) = unfinished(&second.summary, self.sink) {
            return Ok(exit);
        }
        let steps = second.compare(session, (&analyzed.graph, first))?;
        steps.iter().filter(|step| step.difference.is_some()).for_each(|step| self.sink.verified(step));
        let exit = summarise(&steps, &second.place.variations, begun.elapsed(), self.sink);
        if exit != Exit::Done {
            return Ok(exit);
        }
        let again = |key: &StepKey| {
            let twin = second.analysis.graph.find(key);
            twin.is_some_and(|twin| second.summary.results.contains_key(&twin))
        };
        // What has no twin was not compared.
        if let Some(node) = claim.nodes.iter().find(|node| !again(&analyzed.graph.node(**node).key)) {
            let step = &analyzed.graph.node(*node).key;
            return Err(Failure::environment(format!("`{step}` was not made a second time, so nothing is proven"))
                .hint("run again; if it stays so, report it, or leave the proof out: `gate: Off`, `verified: false`"));
        }
        Ok(Exit::Done)
    }
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
