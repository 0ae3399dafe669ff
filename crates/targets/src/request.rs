//! The request to the analysis, and its errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use rondel_engine::Seal;
use rondel_supervise::Proxies;

use crate::git::GitNotes;
use rondel_buildfile::{BuildFile, LockFile, Platform, TargetName, VariableName};

/// Values of parameters that the command line gives, by target.
pub type ParameterValues = BTreeMap<TargetName, BTreeMap<VariableName, String>>;

/// Everything that targets are analyzed from.
pub struct Request<'a> {
    /// The parsed build.ron.
    pub file: &'a BuildFile,
    /// The pins of build.lock.
    pub lock: &'a LockFile,
    /// Directory of build.ron.
    pub root: PathBuf,
    /// Directory for git: the root, or the original if the root is a copy.
    pub repository: PathBuf,
    /// What git answered, where it is written down or was.
    pub notes: GitNotes,
    /// The user's cache directory.
    pub cache: PathBuf,
    /// The directory in the workspace where Rondel's own program was compiled, if it is there.
    pub program: Option<PathBuf>,
    /// The caller's environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Variables set on the command line.
    pub overrides: &'a BTreeMap<String, String>,
    /// The targets asked for.
    pub targets: Vec<TargetName>,
    /// Values of their parameters; the others have their defaults.
    pub parameters: ParameterValues,
    /// False for a question about several targets at once, which the order of groups does not change.
    pub is_ordered: bool,
    /// What a version says of the commit.
    pub version_mode: VersionMode,
    /// The platforms asked for.
    pub platforms: PlatformChoice,
    /// False where something is built again to be compared: what `policy` says is about what goes out, and changes no byte of it.
    pub asks_policies: bool,
    /// Arguments after `--`.
    pub arguments: Vec<String>,
    /// A directory with signatures that others have made: those of a release are checked and taken from there, and none is
    /// made.
    pub signatures: Option<PathBuf>,
    /// What holds the addresses of services, for a Rondel that exchanges them again and again: they stay when a build ends, and who
    /// asks for this stops them.
    pub kept: Option<Proxies>,
    /// Seals values of environment files for keys.
    pub seal: Seal,
    /// True to never use the network.
    pub offline: bool,
    /// True to refuse toolchains without a pin in build.lock.
    pub locked: bool,
    /// Threads for work inside a step.
    pub threads: usize,
}

impl Request<'_> {
    /// Returns what holds the address of a service, and takes down that it is that of one.
    pub(crate) fn kept_for(&self, address: Option<SocketAddr>) -> Option<Proxies> {
        let kept = self.kept.clone()?;
        address.iter().for_each(|address| kept.want(*address));
        Some(kept)
    }
}

/// `--snapshot`, `--nightly`, or neither: what `Git(Version)` answers, and what a release asks of the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionMode {
    /// The tag of the commit.
    #[default]
    Tag,
    /// A version for trying out, of any state of the tree. Nothing is published.
    Snapshot,
    /// A version with the day of the commit.
    Nightly,
}

impl VersionMode {
    /// Returns the option that stands for it.
    pub fn option(self) -> Option<&'static str> {
        match self {
            VersionMode::Tag => None,
            VersionMode::Snapshot => Some("--snapshot"),
            VersionMode::Nightly => Some("--nightly"),
        }
    }
}

/// `--platform`, `--all-platforms`, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformChoice {
    /// The machine's own platform, if it is declared; else all.
    Own,
    /// All declared platforms.
    All,
    /// These platforms.
    Some(Vec<Platform>),
}
