//! Events: the engine's only output to the layers above.

use std::path::PathBuf;
use std::time::Duration;

use rondel_cas::{Digest, Metadata};
use rondel_process::Stream;

use crate::reason::Reason;

/// Index of a node in its graph.
pub type NodeId = usize;

/// A part of what a step starts: a service of a compose project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// How it is, in a word or two: `starting`, `healthy`.
    pub state: String,
    /// True if that is how it should be.
    pub is_well: bool,
    /// Where it answers; empty if nowhere.
    pub place: String,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step starts to run.
    Started {
        /// The step.
        node: NodeId,
        /// Reasons, the first cause first.
        reasons: Vec<Reason>,
    },
    /// A command is started.
    Command {
        /// The step.
        node: NodeId,
        /// Command line that can be pasted into a shell; secrets are hidden.
        line: String,
        /// The directory that it runs in: paths in its output are relative to it.
        directory: PathBuf,
    },
    /// A line of a command's output, without secrets.
    Output {
        /// The step.
        node: NodeId,
        /// The stream that it was written to.
        stream: Stream,
        /// The line without its newline.
        line: String,
        /// True if an earlier run printed it, whose result is used.
        is_replayed: bool,
    },
    /// Progress of long work.
    Progress {
        /// The step.
        node: NodeId,
        /// What is in progress.
        message: String,
        /// Bytes done.
        done: u64,
        /// Bytes in total; 0 if unknown.
        total: u64,
    },
    /// How the parts of a step are, in place of what was said of them before.
    Parts {
        /// The step.
        node: NodeId,
        /// All of them, in the order to show them in.
        parts: Vec<Part>,
    },
    /// A note for people: where a server listens, that an image was loaded.
    Note {
        /// The step.
        node: NodeId,
        /// One line.
        text: String,
    },
    /// What a step says of itself before it ends, well or not: how each package of tests went.
    Reported {
        /// The step.
        node: NodeId,
        /// Typed, as `Finished` has it.
        metadata: Metadata,
    },
    /// Something is wrong but the build continues.
    Warning {
        /// What is wrong.
        text: String,
    },
    /// A step has ended.
    Finished {
        /// The step.
        node: NodeId,
        /// How it ended.
        outcome: Outcome,
        /// Why it ran.
        reasons: Vec<Reason>,
        /// Duration, with the lookup.
        duration: Duration,
        /// What a run took whose result is used now; zero if the step ran, or if nobody knows.
        saved: Duration,
        /// The outputs, made now or found in place.
        outputs: Vec<OutputReport>,
        /// Metadata that the step reported.
        metadata: Metadata,
    },
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran and succeeded.
    Ran,
    /// Its result was known and in place.
    Cached,
    /// Its result was known and was put back in place.
    Restored,
    /// It failed.
    Failed,
    /// It was stopped because the user asked to.
    Interrupted,
    /// It was not needed.
    Skipped,
    /// It could not run, because a step that it depends on did not end well.
    NotRun,
}

/// One output, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputReport {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// Digest of a file's contents.
    pub digest: Digest,
}
