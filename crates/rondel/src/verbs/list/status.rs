//! Which targets are up to date, as `plan` finds out. Nothing is started, nothing written, no registry asked.

use std::collections::BTreeMap;

use rondel_buildfile::{Platform, Target};
use rondel_engine::{Asks, NodeId, Planned, Reason, Workspace, plan};
use rondel_targets::{Analysis, Request};

use crate::asked::Asked;
use crate::cli::groups::AnalysisOptions;
use crate::exit::Failure;
use crate::session::Session;
use crate::ui::reason_text;

/// The state of a target with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing would run.
    UpToDate,
    /// Results would be put in their places.
    Stored,
    /// Steps would run; the first reason.
    OutOfDate(String),
    /// Steps without a key would run, and no others.
    Always,
    /// Nobody knows; why.
    Unknown(String),
    /// Parameters have no value.
    NeedsValues(String),
    /// It is for other machines.
    NotHere,
}

impl Status {
    /// Returns the word for people.
    pub fn word(&self) -> &'static str {
        match self {
            Status::UpToDate => "up to date",
            Status::Stored => "stored",
            Status::OutOfDate(_) => "out of date",
            Status::Always => "runs always",
            Status::Unknown(_) => "unknown",
            Status::NeedsValues(_) => "needs values",
            Status::NotHere => "not here",
        }
    }

    /// Returns the word for programs.
    pub fn key(&self) -> &'static str {
        match self {
            Status::UpToDate => "up_to_date",
            Status::Stored => "stored",
            Status::OutOfDate(_) => "out_of_date",
            Status::Always => "always",
            Status::Unknown(_) => "unknown",
            Status::NeedsValues(_) => "needs_values",
            Status::NotHere => "not_here",
        }
    }

    /// Returns why, where there is more to say.
    pub fn why(&self) -> Option<&str> {
        match self {
            Status::OutOfDate(why) | Status::Unknown(why) | Status::NeedsValues(why) => Some(why),
            Status::UpToDate | Status::Stored | Status::Always | Status::NotHere => None,
        }
    }

    /// Returns the colour of the word, as in an escape sequence.
    pub fn color(&self) -> Option<&'static str> {
        match self {
            Status::UpToDate | Status::Stored => Some("32"),
            Status::OutOfDate(_) => Some("33"),
            Status::Always | Status::Unknown(_) | Status::NeedsValues(_) | Status::NotHere => None,
        }
    }
}

/// Returns the status of each target.
pub(super) fn statuses(session: &Session<'_>, targets: &[&Target]) -> Vec<Status> {
    let workspace = session.workspace();
    let host = Platform::host();
    let is_free = |target: &&Target| target.required_params().next().is_none() && target.runs_on(&host);
    let free: Vec<&Target> = targets.iter().copied().filter(is_free).collect();
    // One graph for all finds shared steps once. If one target can't be analyzed, each is asked alone.
    let together = of_analysis(session, &free, &workspace);
    let alone = |target: &Target| match of_analysis(session, &[target], &workspace) {
        Ok(mut statuses) => statuses.remove(target.name.value.as_str()),
        Err(failure) => Some(Status::Unknown(failure.message())),
    };
    let of = |target: &&Target| {
        if !target.runs_on(&host) {
            return Status::NotHere;
        }
        let missing: Vec<&str> = target.required_params().collect();
        if !missing.is_empty() {
            return Status::NeedsValues(format!("it needs a value for {}", missing.join(", ")));
        }
        let status = match &together {
            Ok(statuses) => statuses.get(target.name.value.as_str()).cloned(),
            Err(_) => alone(target),
        };
        status.unwrap_or_else(|| Status::Unknown("it has no steps".to_owned()))
    };
    targets.iter().map(of).collect()
}

/// Plans these targets in one graph, and returns the status of each by name.
fn of_analysis(
    session: &Session<'_>,
    targets: &[&Target],
    workspace: &Workspace,
) -> Result<BTreeMap<String, Status>, Failure> {
    let options = AnalysisOptions { offline: true, ..AnalysisOptions::default() };
    let names = targets.iter().map(|target| target.name.value.clone()).collect();
    let request = Request { is_ordered: false, ..session.request(&options, Asked::of(names)) };
    let analyzed = session.analyze_request(&request)?;
    let planned = plan(&analyzed.graph, &analyzed.roots, workspace, Asks::Nothing, &|_| {});
    Ok(analyzed.ends.iter().map(|(name, ends)| (name.to_string(), of_steps(&analyzed, ends, &planned))).collect())
}

/// Returns the status of what ends with the steps `ends`.
fn of_steps(analyzed: &Analysis, ends: &[NodeId], planned: &BTreeMap<NodeId, Planned>) -> Status {
    let mut status = Status::UpToDate;
    for id in analyzed.graph.demanded(ends) {
        let title = &analyzed.graph.node(id).title;
        let other = match planned.get(&id) {
            Some(Planned::Run(reasons)) if Reason::are_undecided(reasons) => {
                Status::Unknown(format!("{title}: {}", reasons.first().map(reason_text).unwrap_or_default()))
            }
            Some(Planned::Run(reasons)) if reasons.iter().all(|reason| matches!(reason, Reason::Always { .. })) => {
                Status::Always
            }
            Some(Planned::Run(reasons)) => {
                Status::OutOfDate(format!("{title}: {}", reasons.first().map(reason_text).unwrap_or_default()))
            }
            Some(Planned::Unknown(error)) => Status::Unknown(format!("{title}: {error}")),
            Some(Planned::Restore) => Status::Stored,
            // What it reads is not there yet, or is something else now.
            Some(Planned::Depends(on)) if on.iter().all(|id| matches!(planned.get(id), Some(Planned::Restore))) => {
                let first: Vec<&str> = on.iter().map(|id| analyzed.graph.node(*id).title.as_str()).collect();
                Status::Unknown(format!("{title}: {} is put back in place first", first.join(", ")))
            }
            Some(Planned::UpToDate | Planned::Skip(_) | Planned::OnDemand | Planned::Depends(_)) | None => continue,
        };
        if weight(&other) > weight(&status) {
            status = other;
        }
    }
    status
}

/// The heavier status of two steps is that of both.
fn weight(status: &Status) -> u8 {
    match status {
        Status::UpToDate => 0,
        Status::Stored => 1,
        Status::Always => 2,
        Status::Unknown(_) | Status::NeedsValues(_) | Status::NotHere => 3,
        Status::OutOfDate(_) => 4,
    }
}
