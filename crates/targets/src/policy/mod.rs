//! `policy` of a `Push` or a `Release`: steps that have to end well before something is sent, or counts as done.

mod clean_tree;

use std::collections::BTreeSet;

use rondel_buildfile::{Policy, Span, Spanned, Target};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, StepKey};

use crate::analyzer::{Analyzed, Analyzer};
use crate::git::WorkTrees;
use crate::request::VersionMode;
use clean_tree::CleanTreeStep;

/// What a policy is about.
pub(crate) struct Subject<'a> {
    pub target: &'a Target,
    /// The steps that make it.
    pub made: Vec<NodeId>,
    /// Files that it is made of and that no step reads, relative to the project.
    pub files: Vec<RelativePath>,
}

/// Adds the steps of a policy, which what comes after waits for.
pub(crate) fn add_policy(
    analyzer: &mut Analyzer<'_>,
    policy: Option<&Spanned<Policy>>,
    subject: &Subject<'_>,
) -> Analyzed<Vec<NodeId>> {
    let Some(policy) = policy else { return Ok(Vec::new()) };
    let mut nodes = Vec::new();
    if policy.value.clean_tree {
        nodes.extend(add_clean_tree(analyzer, policy.span, subject));
    }
    Ok(nodes)
}

/// Adds the step that compares the sources with their commit.
fn add_clean_tree(analyzer: &mut Analyzer<'_>, span: Span, subject: &Subject<'_>) -> Option<NodeId> {
    let name = &subject.target.name.value;
    if analyzer.request.version_mode == VersionMode::Snapshot {
        let note = format!("`clean_tree` of `{name}` is not asked for with --snapshot");
        analyzer.notes.push(note);
        return None;
    }
    // What a target of this run makes is not read from the tree. What nothing of this run makes is.
    let wanted: BTreeSet<_> = analyzer.wanted().into_iter().cloned().collect();
    let request = analyzer.request;
    let makers = request.file.targets.iter().filter(|target| wanted.contains(&target.name.value));
    let outputs = makers.flat_map(|target| request.file.outputs_of(target));
    let derived = outputs.map(|output| request.root.join(&output.path)).collect();
    let step = CleanTreeStep {
        target: name.clone(),
        trees: WorkTrees::new(request, derived),
        root: request.root.clone(),
        files: subject.files.iter().map(|file| file.below(&analyzer.root)).collect(),
        span,
    };
    let key = StepKey::of(name, "clean tree");
    Some(analyzer.add_hidden(key, subject.made.clone(), Vec::new(), Box::new(step)))
}
