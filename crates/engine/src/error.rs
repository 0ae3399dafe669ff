//! `UserError`, the one failure shown to people, and `StepError`: why a step has no result.
//!
//! Libraries below keep small typed errors; the caller that knows the purpose makes a `UserError` of them. Neither
//! knows how it is shown.

use std::io;
use std::ops::Range;
use std::path::Path;

use rondel_process::ProcessError;

use crate::ownership::write_hint;

/// Placeholder for the command that people type, in hints and warnings: libraries know no command. The command line
/// replaces it on display. The space keeps it apart from every variable of build.ron.
pub const PROGRAM: &str = "{this program}";

/// Category of a failure; the exit code follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// build.ron or the command line asks for something impossible.
    Input,
    /// This machine lacks something: a tool, a daemon, the network, room on the disk.
    Environment,
    /// The step itself failed.
    Step,
}

/// A failure for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    /// What failed, and on what: lower case, names in backticks, no full stop.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The bytes of build.ron that it is about, if any.
    pub span: Option<Range<usize>>,
    /// Category of the failure.
    pub category: Category,
}

impl UserError {
    fn new(category: Category, message: impl Into<String>) -> UserError {
        UserError { message: message.into(), hint: None, span: None, category }
    }

    /// Returns an error in build.ron or on the command line.
    pub fn input(message: impl Into<String>) -> UserError {
        UserError::new(Category::Input, message)
    }

    /// Returns an error of this machine.
    pub fn environment(message: impl Into<String>) -> UserError {
        UserError::new(Category::Environment, message)
    }

    /// Adds a place in build.ron, unless there is one.
    pub fn at(mut self, span: impl Into<Range<usize>>) -> UserError {
        self.span.get_or_insert(span.into());
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> UserError {
        self.hint = Some(hint.into());
        self
    }
}

/// Returns what follows the name of a program: how it ended, or why it was given up, which is a sentence of its own.
pub fn how_it_ended(status: &str) -> String {
    let is_status = ["exit ", "signal ", "an unknown "].iter().any(|begin| status.starts_with(begin));
    if is_status { format!("ended with {status}") } else { format!("failed: {status}") }
}

/// Why a step has no result.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A command ended badly. What it printed has been shown as it came.
    #[error("`{summary}` {}", how_it_ended(status))]
    Command {
        /// Short form of the command.
        summary: String,
        /// Exit status in words.
        status: String,
        /// The last lines of its output.
        output: Vec<String>,
        /// Number of these lines, from the first, already emitted as `Event::Output`.
        told: usize,
        /// What to do next.
        hint: Option<String>,
    },
    /// A program that had the terminal ended badly. What it printed is on the screen.
    #[error("`{summary}` {}", how_it_ended(status))]
    Foreground {
        /// Short form of the command.
        summary: String,
        /// Exit status in words.
        status: String,
        /// Exit code as a shell has it.
        code: u8,
    },
    /// Any other error for people.
    #[error("{0}")]
    User(#[from] UserError),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl StepError {
    /// Returns a failure of the step itself.
    pub fn failed(message: impl Into<String>) -> StepError {
        StepError::User(UserError::new(Category::Step, message))
    }

    /// Returns an error of this machine.
    pub fn environment(message: impl Into<String>) -> StepError {
        StepError::User(UserError::environment(message))
    }

    /// Returns an error in build.ron or on the command line.
    pub fn input(message: impl Into<String>) -> StepError {
        StepError::User(UserError::input(message))
    }

    /// Returns an error for an input or a directory that can't be read.
    pub fn unreadable(path: &Path, source: &io::Error) -> StepError {
        StepError::failed(format!("failed to read `{}`: {source}", path.display()))
    }

    /// Returns an error for a path that can't be written.
    pub fn unwritable(path: &Path, source: &io::Error) -> StepError {
        let error = StepError::environment(format!("failed to write `{}`: {source}", path.display()));
        if source.kind() == io::ErrorKind::StorageFull {
            return error
                .hint(format!("free some space (`{PROGRAM} cache clean` empties Rondel's cache), then run again"));
        }
        if source.kind() == io::ErrorKind::PermissionDenied {
            return error.hint(write_hint(path));
        }
        error
    }

    /// Adds a hint.
    pub fn hint(self, text: impl Into<String>) -> StepError {
        match self {
            StepError::Command { summary, status, output, told, .. } => {
                StepError::Command { summary, status, output, told, hint: Some(text.into()) }
            }
            StepError::User(error) => StepError::User(error.hint(text)),
            other @ (StepError::Foreground { .. } | StepError::Interrupted) => other,
        }
    }

    /// Returns the hint, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        match self {
            StepError::Command { hint, .. } => hint.as_deref(),
            StepError::User(error) => error.hint.as_deref(),
            StepError::Foreground { .. } | StepError::Interrupted => None,
        }
    }

    /// Returns the category; `None` for an interruption.
    pub fn category(&self) -> Option<Category> {
        match self {
            StepError::Command { .. } | StepError::Foreground { .. } => Some(Category::Step),
            StepError::User(error) => Some(error.category),
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
