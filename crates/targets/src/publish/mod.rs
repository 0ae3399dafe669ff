//! `--publish`: a graph of its own, made when everything of a release is built. It knows what was built by the results of
//! that build, so that nothing is built again between the last look at it and its publication.

mod directory_step;
mod forge_step;
mod made;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rondel_buildfile::{PublishTo, Release, Target, TargetKind, TargetName};
use rondel_engine::{Graph, NodeId, Shown, StepKey, UpstreamResult, UserError};

use crate::analysis::Analysis;
use crate::analyzer::{Analyzed, Analyzer};
use crate::kinds;
use crate::nodes::Deps;
use crate::request::Request;
use directory_step::DirectoryStep;
pub use forge_step::PublishedMetadata;
use forge_step::{ForgeStep, Forges};
use made::MadeRelease;
use places::{Goal, check, goals};

/// Returns the targets of a build that go somewhere with `--publish`.
pub fn publishable(request: &Request<'_>, built: &Analysis) -> Vec<TargetName> {
    let found = request.file.targets.iter().filter(|target| !places_of(target).is_empty());
    found.map(|target| target.name.value.clone()).filter(|name| built.ends.contains_key(name)).collect()
}

/// Fails if a place can't be reached for a reason that is known before anything is made: a secret that is not set.
pub fn check_publish(request: &Request<'_>, built: &Analysis) -> Result<(), UserError> {
    let mut analyzer = Analyzer::new(request, kinds::behaviour);
    for name in publishable(request, built) {
        let target = analyzer.find(&name)?;
        let TargetKind::Release(release) = &target.kind else { continue };
        analyzer.within(target, |analyzer, _| check(analyzer, release, target.name.span))?;
    }
    Ok(())
}

/// Returns the graph that publishes what was built, with `results` of that build.
pub fn publish(
    request: &Request<'_>,
    built: &Analysis,
    results: &BTreeMap<NodeId, UpstreamResult>,
) -> Result<Analysis, UserError> {
    let mut analyzer = Analyzer::new(request, kinds::behaviour);
    let forges = Arc::new(Forges::new(request.environment));
    let mut roots = Vec::new();
    for name in publishable(request, built) {
        let target = analyzer.find(&name)?;
        let TargetKind::Release(release) = &target.kind else { continue };
        let files = built.ends[&name].iter().filter_map(|node| results.get(node));
        let made = MadeRelease::of(files).map_err(|error| error.at(target.name.span))?;
        roots.extend(add(&mut analyzer, (target, release), &made, &forges)?);
    }
    Ok(Analysis {
        go: Vec::new(),
        variables: Vec::new(),
        secrets: analyzer.variables.secrets(),
        warnings: Vec::new(),
        graph: std::mem::replace(&mut analyzer.graph, Graph::new()),
        roots,
        ends: BTreeMap::new(),
        held: Vec::new(),
        rules: BTreeSet::new(),
        left_out: Vec::new(),
        notes: Vec::new(),
        seen: BTreeSet::new(),
    })
}

/// Adds a step for each place of a release.
fn add<'a>(
    analyzer: &mut Analyzer<'a>,
    (target, release): (&'a Target, &'a Release),
    made: &MadeRelease,
    forges: &Arc<Forges>,
) -> Analyzed<Vec<NodeId>> {
    let goals = analyzer.within(target, |analyzer, _| goals(analyzer, release, made))?;
    let mut nodes = Vec::new();
    for goal in goals {
        // Not the target's own step: a graph with one of those and not the others would show the others' files to be stale.
        let key = StepKey::shared(format!("publish {} to {}", target.name.value, goal.name()));
        let none = Deps::default();
        let assets = made.files.clone();
        let node = match goal {
            Goal::Forge { place, token, announcement } => {
                let step = ForgeStep { forges: Arc::clone(forges), place, token, announcement, assets };
                analyzer.add(target, key, none, Vec::new(), Shown::OnFailure, Box::new(step))
            }
            Goal::Directory { path, written } => {
                let step = DirectoryStep { path, written, assets };
                analyzer.add(target, key, none, Vec::new(), Shown::OnFailure, Box::new(step))
            }
        };
        nodes.push(node);
    }
    Ok(nodes)
}

fn places_of(target: &Target) -> &[PublishTo] {
    if let TargetKind::Release(release) = &target.kind { &release.publish } else { &[] }
}
