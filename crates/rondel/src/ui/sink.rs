//! `Sink`: receiver of the events of builds. There are two: `human` on standard error and `json` on standard
//! output.

use std::time::Duration;

use rondel_buildfile::TargetName;
use rondel_diff::Difference;
use rondel_engine::{Event, Graph, NodeId, StepError};

use crate::exit::Exit;

/// How much of a build is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As the options ask.
    AsUsual,
    /// Only warnings and errors.
    FailuresOnly,
}

/// The comparison of one step's two results.
#[derive(Debug)]
pub(crate) struct Verified {
    pub label: String,
    pub is_hidden: bool,
    /// The digest of the result, or the number of its files.
    pub summary: String,
    pub difference: Option<Difference>,
}

/// How a member of a group ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// A step of it ran, and none failed.
    Ran,
    /// Nothing had to run.
    UpToDate,
    /// A step of it failed.
    Failed,
    /// Some steps ended well, and the others did not begin.
    Unfinished,
    /// No step of it began.
    DidNotRun,
}

/// The end of `verify`.
#[derive(Debug)]
pub(crate) struct VerifySummary<'a> {
    pub steps: usize,
    pub different: usize,
    /// Variations of the second build.
    pub variations: &'a [String],
    pub took: Duration,
}

/// Shows builds. Methods are called in the order of this list; `event` from several threads.
pub(crate) trait Sink: Sync {
    /// A build of these targets starts.
    fn started(&self, project: &str, targets: &[String]);

    /// An event in a build of `graph`.
    fn event(&self, graph: &Graph, event: &Event);

    /// A step's error, after all events of the build. `place` shows its place in build.ron, in lines; empty if it has none.
    fn failure(&self, graph: &Graph, node: NodeId, error: &StepError, place: &str);

    /// The members of a group, of which some did not end well. After the errors.
    fn members(&self, group: &TargetName, members: &[(TargetName, MemberState)]);

    /// The end of a build. `notes` are remarks of the analysis.
    fn built(&self, graph: &Graph, exit: Exit, took: Duration, notes: &[String]);

    /// `verify` starts its second build.
    fn verifying(&self);

    /// These releases were verified before, by the same keys.
    fn proven(&self, releases: &[TargetName]);

    /// The second build failed, and the first did not.
    fn second_build_failed(&self);

    /// `verify` compared one step.
    fn verified(&self, step: &Verified);

    /// `verify` compared all steps.
    fn verify_summary(&self, summary: &VerifySummary<'_>);

    /// The end of the verb.
    fn finished(&self, exit: Exit, took: Duration);
}
