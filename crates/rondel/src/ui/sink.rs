//! `Sink`: receiver of the events of builds. There are two: `human` on standard error and `json` on standard
//! output.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rondel_buildfile::TargetName;
use rondel_cas::Digest;
use rondel_diff::Difference;
use rondel_engine::{Event, Forecast, Graph, NodeId, StepError};

use crate::exit::Exit;
use crate::ui::paths::Paths;

/// How much of a build is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As the options ask.
    AsUsual,
    /// Only warnings and errors.
    FailuresOnly,
    /// What has changed since the last build, of many one after the other.
    Watching {
        /// True for the first.
        is_first: bool,
    },
}

/// The beginning of a build.
pub(crate) struct BuildStart<'a> {
    pub graph: &'a Graph,
    pub forecast: Forecast,
    pub paths: Paths,
}

/// The end of a build.
#[derive(Debug)]
pub(crate) struct BuildEnd<'a> {
    pub exit: Exit,
    pub took: Duration,
    /// Remarks of the analysis.
    pub notes: &'a [String],
    /// Number of containers that were removed since the build was stopped.
    pub removed_containers: usize,
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

/// The beginning of a rebuild.
#[derive(Debug)]
pub(crate) struct RebuildStart<'a> {
    pub target: &'a TargetName,
    /// The commit of the sources, if it is known to be that of the provenance.
    pub commit: Option<&'a str>,
    /// Variables that have the value that the provenance gives them.
    pub taken: &'a BTreeMap<String, String>,
}

/// The end of a rebuild.
#[derive(Debug)]
pub(crate) struct RebuildSummary<'a> {
    pub start: RebuildStart<'a>,
    pub same: usize,
    pub different: usize,
    /// What nothing was said of, each with why.
    pub unproven: &'a [(String, String)],
    pub variations: &'a [String],
    pub took: Duration,
}

/// The beginning of an audit.
#[derive(Debug)]
pub(crate) struct AuditStart {
    pub chosen: usize,
    /// Number of stored results to choose from.
    pub stored: usize,
    /// The share that was asked for; `None` for all.
    pub rate: Option<String>,
    pub seed: u64,
}

/// What became of one stored result in an audit.
#[derive(Debug)]
pub(crate) enum AuditOutcome {
    /// The same was made again: the digest of the result, or the number of its files.
    Same(String),
    Different(Difference),
    /// It was not compared; why.
    NotChecked(String),
}

/// One stored result of an audit.
#[derive(Debug)]
pub(crate) struct Audited {
    pub label: String,
    /// The key of the result.
    pub key: Digest,
    pub is_hidden: bool,
    pub outcome: AuditOutcome,
}

/// The end of an audit.
#[derive(Debug)]
pub(crate) struct AuditSummary {
    pub checked: u64,
    pub differed: u64,
    pub not_checked: u64,
    /// Number of chosen results that there was no time for.
    pub not_reached: u64,
    pub took: Duration,
}

/// A bundle that was written.
#[derive(Debug)]
pub(crate) struct Bundled<'a> {
    pub path: &'a Path,
    pub digest: &'a Digest,
    /// Number of its files.
    pub files: usize,
}

/// Shows builds. Methods are called in the order of this list; `event` from several threads.
pub(crate) trait Sink: Sync {
    /// A build of these targets starts.
    fn started(&self, project: &str, targets: &[String]);

    /// The steps of a build are known, and none has begun.
    fn building(&self, start: BuildStart<'_>);

    /// An event in a build of `graph`.
    fn event(&self, graph: &Graph, event: &Event);

    /// A step's error, after all events of the build. `place` shows its place in build.ron, in lines; empty if it has none.
    fn failure(&self, graph: &Graph, node: NodeId, error: &StepError, place: &str);

    /// The members of a group, of which some did not end well. After the errors.
    fn members(&self, group: &TargetName, members: &[(TargetName, MemberState)]);

    /// The end of a build.
    fn built(&self, graph: &Graph, end: &BuildEnd<'_>);

    /// These releases go somewhere with `--publish`, and it was not given.
    fn unpublished(&self, releases: &[TargetName]);

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

    /// `rebuild` starts its build.
    fn rebuilding(&self, start: &RebuildStart<'_>);

    /// `rebuild` compared all files.
    fn rebuilt(&self, summary: &RebuildSummary<'_>);

    /// A bundle was written.
    fn bundled(&self, bundle: &Bundled<'_>);

    /// A verification summary is at this place; so many bytes of it were written or sent.
    fn attested(&self, place: &str, bytes: u64);

    /// An audit of stored results begins.
    fn auditing(&self, start: &AuditStart);

    /// One stored result was audited.
    fn audited(&self, audited: &Audited);

    /// The audit has ended.
    fn audit_summary(&self, summary: &AuditSummary);

    /// The end of the verb.
    fn finished(&self, exit: Exit, took: Duration);
}
