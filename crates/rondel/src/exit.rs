//! The end of a run: exit codes, and failures for people.

use rondel_buildfile::{Diagnostic, Span};
use rondel_engine::{Category, StepError, UserError};

/// The exit codes of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    StepFailed,
    Configuration,
    Environment,
    /// `verify`, `rebuild` or `cache audit` found a difference.
    Different,
    Interrupted,
    /// A program that had the terminal failed with this code, which is Rondel's own then.
    Program(u8),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::StepFailed => 1,
            Exit::Configuration => 2,
            Exit::Environment => 3,
            Exit::Different => 4,
            Exit::Interrupted => 130,
            Exit::Program(code) => code,
        }
    }

    pub fn of(error: &StepError) -> Exit {
        match error {
            StepError::Foreground { code, .. } => Exit::Program(*code),
            StepError::Command { .. } | StepError::User(_) | StepError::Interrupted => {
                error.category().map_or(Exit::Interrupted, Exit::of_category)
            }
        }
    }

    fn of_category(category: Category) -> Exit {
        match category {
            Category::Input => Exit::Configuration,
            Category::Environment => Exit::Environment,
            Category::Step => Exit::StepFailed,
        }
    }
}

/// Why nothing was built at all.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A failure with a text for people.
    User(UserError),
    /// build.ron is wrong, at these places.
    BuildFile { name: String, text: String, diagnostics: Vec<Diagnostic> },
    /// Any other error, with its causes.
    Other(anyhow::Error),
}

impl Failure {
    /// Returns an error on the command line.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::User(UserError::input(message))
    }

    /// Returns an error of this machine.
    pub fn environment(message: impl Into<String>) -> Failure {
        Failure::User(UserError::environment(message))
    }

    /// Adds a hint.
    pub fn hint(self, text: impl Into<String>) -> Failure {
        match self {
            Failure::User(error) => Failure::User(error.hint(text)),
            other @ (Failure::BuildFile { .. } | Failure::Other(_)) => other,
        }
    }

    /// Returns what failed, in one line.
    pub fn message(&self) -> String {
        match self {
            Failure::User(error) => error.message.clone(),
            Failure::BuildFile { name, .. } => format!("`{name}` has errors"),
            Failure::Other(error) => error.to_string(),
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Failure::User(error) => Exit::of_category(error.category),
            Failure::BuildFile { .. } => Exit::Configuration,
            Failure::Other(_) => Exit::StepFailed,
        }
    }

    /// Returns an error that may have a place in the build.ron `name`, whose text is `text`.
    pub fn in_build_file(error: UserError, name: &str, text: &str) -> Failure {
        match (&error.span, error.category) {
            (Some(span), Category::Input) => {
                let span = Span { start: span.start, end: span.end };
                let diagnostic = Diagnostic { message: error.message, span, hint: error.hint };
                Failure::BuildFile { name: name.to_owned(), text: text.to_owned(), diagnostics: vec![diagnostic] }
            }
            _ => Failure::User(error),
        }
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Failure {
        Failure::User(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}
