//! What is asked of the lowering, and how it says no.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_buildfile::{BuildFile, LockFile, Platform, Span, TargetName};

/// Where Go's archives are when no module proxy is known.
pub const DEFAULT_DOWNLOAD_PAGE: &str = "https://go.dev/dl";

/// Everything that targets are lowered from.
pub struct Request<'a> {
    /// What build.ron says.
    pub file: &'a BuildFile,
    /// What build.lock pins.
    pub lock: &'a LockFile,
    /// Directory of build.ron.
    pub root: PathBuf,
    /// Where git is asked: the same, but for a copy of the tree.
    pub repository: PathBuf,
    /// The user's cache directory.
    pub cache: PathBuf,
    /// The caller's environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Variables set on the command line.
    pub overrides: &'a BTreeMap<String, String>,
    /// What is wanted.
    pub targets: Vec<TargetName>,
    /// For which platforms.
    pub platforms: PlatformChoice,
    /// What stands after `--`.
    pub arguments: Vec<String>,
    /// Never ask the network?
    pub offline: bool,
    /// Refuse what build.lock does not pin?
    pub locked: bool,
    /// Threads for work inside a step.
    pub threads: usize,
}

/// `--platform`, `--all-platforms`, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformChoice {
    /// The machine's own, if it is declared; else all.
    Own,
    /// All that are declared.
    All,
    /// These.
    Some(Vec<Platform>),
}

/// Why something can't be lowered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LowerError {
    /// What is wrong.
    pub message: String,
    /// Where in build.ron, if there.
    pub span: Option<Span>,
    /// What to do.
    pub hint: Option<String>,
    /// Does this machine lack something (exit code 3), or is the file or command line wrong (2)?
    pub is_environment: bool,
}

impl LowerError {
    /// The file or the command line is wrong.
    pub fn configuration(message: impl Into<String>) -> LowerError {
        LowerError { message: message.into(), span: None, hint: None, is_environment: false }
    }

    /// This machine lacks something.
    pub fn environment(message: impl Into<String>) -> LowerError {
        LowerError { is_environment: true, ..LowerError::configuration(message) }
    }

    /// The same with a place.
    pub fn at(mut self, span: Span) -> LowerError {
        self.span = Some(span);
        self
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> LowerError {
        self.hint = Some(hint.into());
        self
    }
}
