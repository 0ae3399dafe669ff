//! `Clean`: removes outputs that Rondel placed.

use std::collections::BTreeSet;

use rondel_buildfile::{BuildFile, Clean, Target, TargetName};
use rondel_engine::{
    Cleanable, Freshness, Job, Metadata, Prepared, Query, Report, Shown, Step, StepError, StepKey, TreeAccess,
};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};
use crate::orders::Cleaning;

impl Analyze for Clean {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let file = analyzer.request.file;
        let only =
            self.targets.as_ref().map(|names| with_members(file, names.iter().map(|name| &name.value).collect()));
        let makers = file.targets.iter().filter(|other| !file.outputs_of(other).is_empty());
        let makers = makers.map(|other| other.name.value.clone());
        let makers = makers.filter(|name| only.as_ref().is_none_or(|only| only.contains(name))).collect();
        let key = StepKey::main(&target.name.value);
        let node = analyzer.add(target, key, deps, Vec::new(), Shown::Streamed, Box::new(CleanStep { only }));
        analyzer.cleanings.push(Cleaning { name: target.name.clone(), node, makers });
        Ok(TargetNodes::end(node))
    }
}

/// Returns these targets and, of groups, all members.
fn with_members<'f>(file: &'f BuildFile, mut open: Vec<&'f TargetName>) -> BTreeSet<TargetName> {
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            let group = file.targets.iter().find(|target| target.name.value == *name);
            let members = group.map(|group| group.kind().members()).unwrap_or_default();
            open.extend(members.iter().map(|member| &member.value));
        }
    }
    found
}

struct CleanStep {
    /// The targets whose outputs are removed; `None` for all.
    only: Option<BTreeSet<TargetName>>,
}

impl CleanStep {
    fn outputs(&self, query: &Query<'_>) -> Result<Vec<Cleanable>, StepError> {
        query.workspace.cleanable(&|target| self.only.as_ref().is_none_or(|only| only.contains(target)))
    }
}

impl Step for CleanStep {
    type Findings = Vec<Cleanable>;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Vec<Cleanable>>, StepError> {
        let outputs = self.outputs(query)?;
        let freshness = if outputs.is_empty() {
            Freshness::UpToDate(Metadata::default())
        } else {
            Freshness::always(removed(&outputs))
        };
        Ok(Prepared::unkeyed(freshness).with(outputs))
    }

    fn tree_access(&self) -> TreeAccess {
        TreeAccess::MayWrite
    }

    fn run(&self, prepared: &Prepared<Vec<Cleanable>>, job: &Job<'_>) -> Result<Report, StepError> {
        for output in &prepared.findings {
            if let Some(remark) = job.workspace.clean(output)? {
                job.warn(remark);
            }
        }
        Ok(Report::default())
    }
}

/// `it removes dist/server, gen but not gen/edited.txt; out stays`
fn removed(outputs: &[Cleanable]) -> String {
    let is_whole = |output: &&Cleanable| output.edited.as_deref() == Some(output.destination.as_str());
    let (stays, goes): (Vec<&Cleanable>, Vec<&Cleanable>) = outputs.iter().partition(is_whole);
    let one = |output: &&Cleanable| match &output.edited {
        Some(edited) => format!("{} but not {edited}", output.destination),
        None => output.destination.to_string(),
    };
    let goes: Vec<String> = goes.iter().map(one).collect();
    let stays: Vec<&str> = stays.iter().map(|output| output.destination.as_str()).collect();
    match (goes.is_empty(), stays.is_empty()) {
        (_, true) => format!("it removes {}", goes.join(", ")),
        (true, false) => format!("{} was edited and stays", stays.join(", ")),
        (false, false) => format!("it removes {}; {} was edited and stays", goes.join(", "), stays.join(", ")),
    }
}
