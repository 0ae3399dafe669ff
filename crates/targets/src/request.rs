//! What is asked of the lowering, and how it says no.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_buildfile::{BuildFile, LockFile, Platform, TargetName};

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
