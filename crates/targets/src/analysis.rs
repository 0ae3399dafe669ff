//! Analysis: the wanted targets of build.ron become a graph of steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rondel_buildfile::{TargetName, suggest};
use rondel_engine::{Graph, NodeId, Pool, UserError};
use rondel_golang::GoSupport;

use crate::analyzer::Analyzer;
use crate::kinds;
use crate::nodes::HeldStep;
use crate::orders;
use crate::request::Request;
use crate::shown_variables::{ShownVariable, used_variables};

/// A graph, ready to be built.
pub struct Analysis {
    /// All steps that the wanted targets may need.
    pub graph: Graph,
    /// What was asked for.
    pub roots: Vec<NodeId>,
    /// The variables that were used.
    pub variables: Vec<ShownVariable>,
    /// The last steps of each target that was asked for, and of each that these need as a whole.
    pub ends: BTreeMap<TargetName, Vec<NodeId>>,
    /// Steps that send something, and begin only when what they send is proven by a second build.
    pub held: Vec<HeldStep>,
    /// Steps of policies, which look whether something may go out. Where it is built a second time they are not there.
    pub rules: BTreeSet<NodeId>,
    /// Members of groups that are left out, as they are for other machines.
    pub left_out: Vec<TargetName>,
    /// The Go of each module that has steps.
    pub go: Vec<Arc<GoSupport>>,
    /// Values that must never be shown.
    pub secrets: Vec<String>,
    /// One-line remarks for people: which platforms are left out.
    pub notes: Vec<String>,
    /// What is odd but no error.
    pub warnings: Vec<String>,
    /// Files that values came from, and those that were missing. A name `*` stands for all in its directory.
    pub seen: BTreeSet<PathBuf>,
}

/// Analyzes the wanted targets and all that they need.
pub fn analyze(request: &Request<'_>) -> Result<Analysis, UserError> {
    let mut analyzer = Analyzer::new(request, kinds::behaviour);
    for name in request.overrides.keys() {
        if !request.file.vars.keys().any(|variable| variable.as_str() == name) {
            let near = suggest(name, request.file.vars.keys().map(rondel_buildfile::VariableName::as_str));
            let error = UserError::input(format!("--set: there is no variable `{name}`"));
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
    }
    analyzer.check_parameters()?;
    analyzer.find_whole();
    for name in &request.targets {
        analyzer.target(name, true)?;
    }
    if !request.arguments.is_empty() && !analyzer.arguments_used {
        return Err(UserError::input("none of the targets takes arguments after `--`")
            .hint("`GoTest`, `DockerRun` and `Exec` do"));
    }
    if let Some(option) = request.version_mode.option()
        && !analyzer.variables.repository().uses_mode()
    {
        return Err(UserError::input(format!("`{option}` changes nothing here: no version is `Git(Version)`"))
            .hint("write `\"version\": Git(Version)` in `vars`, or leave the option out"));
    }
    limit(&mut analyzer);
    let mut ends = analyzer.ends();
    if request.is_ordered && !(analyzer.orders.is_empty() && analyzer.cleanings.is_empty()) {
        let places = orders::apply(&analyzer.orders, &analyzer.cleanings, &mut analyzer.graph)?;
        ends.values_mut().flatten().for_each(|id| *id = places[*id]);
        for held in &mut analyzer.held {
            held.made.iter_mut().chain([&mut held.step]).for_each(|id| *id = places[*id]);
        }
        analyzer.rules = analyzer.rules.iter().map(|id| places[*id]).collect();
    }
    let roots = request.targets.iter().flat_map(|name| ends[name].iter().copied()).collect();
    Ok(Analysis {
        variables: used_variables(&analyzer.variables, request),
        secrets: analyzer.variables.secrets(),
        seen: analyzer.variables.files_seen(),
        warnings: [analyzer.variables.warnings(), analyzer.warnings].concat(),
        go: analyzer.modules.goes.into_values().collect(),
        graph: analyzer.graph,
        roots,
        ends,
        held: analyzer.held,
        rules: analyzer.rules,
        left_out: analyzer.left_out,
        notes: analyzer.notes,
    })
}

/// Gives the nodes of each target its pool, its retries and its timeout.
fn limit(analyzer: &mut Analyzer<'_>) {
    let file = analyzer.request.file;
    for node in analyzer.graph.nodes_mut() {
        let Some(target) = file.targets.iter().find(|target| Some(&target.name.value) == node.key.target.as_ref())
        else {
            continue;
        };
        node.pool = target.limits.pool.as_ref().map(|pool| {
            let declared = file.pools.iter().find(|(name, _)| name.value == pool.value);
            Pool { name: pool.value.clone(), depth: declared.map_or(1, |(_, depth)| depth.get()) }
        });
        node.retries = target.limits.retries.get();
        node.timeout = target.limits.timeout_s.map(|seconds| Duration::from_secs(seconds.get()));
    }
}
