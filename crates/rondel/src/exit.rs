//! How Rondel ends: exit codes, and failures for people.

use rondel_buildfile::{Diagnostic, Span};
use rondel_engine::{Category, StepError, UserError};

/// The exit codes of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    StepFailed,
    Configuration,
    Environment,
    /// `verify` found a difference.
    Different,
    Interrupted,
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
        }
    }

    pub fn of(error: &StepError) -> Exit {
        error.category().map_or(Exit::Interrupted, Exit::of_category)
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
    /// The command line is wrong.
    Usage { message: String, hint: Option<String> },
    /// build.ron is wrong.
    BuildFile { name: String, text: String, diagnostics: Vec<Diagnostic> },
    /// This machine lacks something.
    Environment { message: String, hint: Option<String> },
    /// Anything else, with its causes.
    Other(anyhow::Error),
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Usage { message: message.into(), hint: None }
    }

    pub fn hint(self, text: impl Into<String>) -> Failure {
        let text = Some(text.into());
        match self {
            Failure::Usage { message, .. } => Failure::Usage { message, hint: text },
            Failure::Environment { message, .. } => Failure::Environment { message, hint: text },
            other => other,
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage { .. } | Failure::BuildFile { .. } => Exit::Configuration,
            Failure::Environment { .. } => Exit::Environment,
            Failure::Other(_) => Exit::StepFailed,
        }
    }

    /// A refusal of the lowering: it may have a place in build.ron.
    pub fn lowering(error: UserError, name: &str, text: &str) -> Failure {
        let is_environment = error.category == Category::Environment;
        if let (Some(span), false) = (error.span, is_environment) {
            let span = Span { start: span.start, end: span.end };
            let diagnostic = Diagnostic { message: error.message, span, hint: error.hint };
            return Failure::BuildFile { name: name.to_owned(), text: text.to_owned(), diagnostics: vec![diagnostic] };
        }
        if is_environment {
            return Failure::Environment { message: error.message, hint: error.hint };
        }
        Failure::Usage { message: error.message, hint: error.hint }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}
