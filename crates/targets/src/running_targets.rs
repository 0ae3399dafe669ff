//! The targets that start something which goes on, and what each has started.

use std::path::Path;

use rondel_buildfile::{BuildFile, Target, TargetName};
use rondel_engine::UserError;
use rondel_supervise::{Place, Record};

use crate::analyzer::Analyzer;
use crate::kinds;
use crate::request::Request;
use crate::running::{Processes, Running};

/// A target that starts something.
pub struct RunningTarget {
    /// Its name.
    pub name: TargetName,
    /// Its kind, as build.ron has it.
    pub kind: &'static str,
    /// What it has started; an error if that can't be found out here.
    pub running: Result<Box<dyn Running>, UserError>,
}

/// Returns those of the targets that start something, the members of groups among them, in the order of build.ron.
pub fn running_targets(request: &Request<'_>) -> Vec<RunningTarget> {
    let analyzer = Analyzer::new(request, kinds::behaviour);
    let wanted = with_members(request);
    let one = |target: &Target| {
        let running = kinds::behaviour(&target.kind).running(&analyzer, target).transpose()?;
        Some(RunningTarget { name: target.name.value.clone(), kind: target.kind.word(), running })
    };
    let targets = request.file.targets.iter().filter(|target| wanted.contains(&&target.name.value));
    targets.filter_map(one).collect()
}

/// Returns what runs of `Process` targets that build.ron no longer has: renamed ones, for example.
pub fn undeclared_targets(file: &BuildFile, root: &Path) -> Vec<RunningTarget> {
    let kind = "Process";
    let state = root.join(".rondel");
    let is_declared =
        |name: &str| file.targets.iter().any(|target| target.name.value.as_str() == name && target.kind.word() == kind);
    let records = Record::all(&state).into_iter();
    let gone = records.filter(|record| record.is_running() && !is_declared(&record.name));
    let one = |record: Record| {
        let name = TargetName::new(&record.name).ok()?;
        let place = Place::new(&state, &record.name);
        let running = Processes { place, name: record.name, is_declared: false };
        Some(RunningTarget { name, kind, running: Ok(Box::new(running)) })
    };
    gone.filter_map(one).collect()
}

/// Returns the targets asked for, and the members of groups.
fn with_members<'a>(request: &'a Request<'_>) -> Vec<&'a TargetName> {
    let mut found: Vec<&TargetName> = Vec::new();
    let mut open: Vec<&TargetName> = request.targets.iter().collect();
    while let Some(name) = open.pop() {
        let target = request.file.targets.iter().find(|target| target.name.value == *name);
        if let Some(target) = target.filter(|_| !found.contains(&name)) {
            found.push(name);
            open.extend(target.kind().members().iter().map(|member| &member.value));
        }
    }
    found
}
