//! `StepError`: why a step has no result.

use std::io;
use std::path::Path;

use rondel_process::ProcessError;

/// Stands for the command that people type, in hints and warnings: libraries know no command. The command line replaces
/// it where it shows them. The space keeps it apart from every variable of build.ron.
pub const PROGRAM: &str = "{this program}";

/// A failure for people: what, a hint, and what kind of trouble it is.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A command ended badly. What it printed has been shown as it came.
    #[error("`{summary}` ended with {status}")]
    Command {
        /// The command, short.
        summary: String,
        /// How it ended, in words.
        status: String,
        /// The last lines of its output.
        output: Vec<String>,
        /// How many of them, from the first, were told as `Event::Output` already.
        told: usize,
        /// What to do.
        hint: Option<String>,
    },
    /// The step itself failed.
    #[error("{message}")]
    Failed {
        /// What failed, on what.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// This machine lacks something: a tool, a daemon, the network.
    #[error("{message}")]
    Environment {
        /// What is missing.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// build.ron or the command line asks for something that can't be.
    #[error("{message}")]
    Configuration {
        /// What can't be.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl StepError {
    /// The step itself failed.
    pub fn failed(message: impl Into<String>) -> StepError {
        StepError::Failed { message: message.into(), hint: None }
    }

    /// This machine lacks something.
    pub fn environment(message: impl Into<String>) -> StepError {
        StepError::Environment { message: message.into(), hint: None }
    }

    /// build.ron or the command line is wrong.
    pub fn configuration(message: impl Into<String>) -> StepError {
        StepError::Configuration { message: message.into(), hint: None }
    }

    /// An input or a directory can't be read.
    pub fn unreadable(path: &Path, source: &io::Error) -> StepError {
        StepError::failed(format!("failed to read `{}`: {source}", path.display()))
    }

    /// Something can't be written.
    pub fn unwritable(path: &Path, source: &io::Error) -> StepError {
        let error = StepError::environment(format!("failed to write `{}`: {source}", path.display()));
        if source.kind() == io::ErrorKind::StorageFull {
            return error
                .hint(format!("free some space (`{PROGRAM} cache clean` empties Rondel's cache), then run again"));
        }
        error
    }

    /// The same with a hint.
    pub fn hint(mut self, text: impl Into<String>) -> StepError {
        match &mut self {
            StepError::Command { hint, .. }
            | StepError::Failed { hint, .. }
            | StepError::Environment { hint, .. }
            | StepError::Configuration { hint, .. } => *hint = Some(text.into()),
            StepError::Interrupted => {}
        }
        self
    }

    /// The hint, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        match self {
            StepError::Command { hint, .. }
            | StepError::Failed { hint, .. }
            | StepError::Environment { hint, .. }
            | StepError::Configuration { hint, .. } => hint.as_deref(),
            StepError::Interrupted => None,
        }
    }
}

impl From<ProcessError> for StepError {
    fn from(error: ProcessError) -> StepError {
        match error {
            ProcessError::Interrupted => StepError::Interrupted,
            ProcessError::Start { ref program, ref source } => {
                StepError::environment(format!("failed to start `{program}`: {source}"))
            }
            other @ (ProcessError::TooMuchOutput { .. } | ProcessError::TimedOut { .. }) => {
                StepError::failed(other.to_string())
            }
        }
    }
}
