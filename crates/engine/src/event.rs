//! What the engine tells: the only thing that flows up.

use std::path::PathBuf;
use std::time::Duration;

use rondel_cas::{Digest, Metadata};
use rondel_process::Stream;

use crate::reason::Reason;

/// Index of a node in its graph.
pub type NodeId = usize;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step begins to run, and why.
    Started {
        /// Which.
        node: NodeId,
        /// Why, the first cause first.
        reasons: Vec<Reason>,
    },
    /// A command is started.
    Command {
        /// For which step.
        node: NodeId,
        /// In a form that can be pasted into a shell; secrets are hidden.
        line: String,
    },
    /// A line of a command's output, secrets taken out.
    Output {
        /// Of which step.
        node: NodeId,
        /// Where it was written.
        stream: Stream,
        /// Without its newline.
        line: String,
    },
    /// Something long goes on.
    Progress {
        /// In which step.
        node: NodeId,
        /// What.
        message: String,
        /// How much is done, in bytes.
        done: u64,
        /// Of how much, in bytes; 0 if unknown.
        total: u64,
    },
    /// Something worth a line: where a server listens, that an image was loaded.
    Note {
        /// Of which step.
        node: NodeId,
        /// One line.
        text: String,
    },
    /// Something is wrong but the build goes on.
    Warning {
        /// What.
        text: String,
    },
    /// A step is through.
    Finished {
        /// Which.
        node: NodeId,
        /// How.
        outcome: Outcome,
        /// Why it ran.
        reasons: Vec<Reason>,
        /// How long it took, looking included.
        duration: Duration,
        /// What it made or what stands there.
        outputs: Vec<OutputReport>,
        /// What it reported besides.
        metadata: Metadata,
    },
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran, and well.
    Ran,
    /// Its result was known and stands in its place.
    Cached,
    /// Its result was known and was put back in its place.
    Restored,
    /// It failed.
    Failed,
    /// It was stopped because somebody asked to.
    Interrupted,
    /// It was not needed, or could not be because another one failed.
    Skipped,
}

/// One output, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputReport {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// Digest of a file's contents.
    pub digest: Digest,
}
