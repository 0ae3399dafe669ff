//! `Kind`: the interface of a kind of target, so that no other code needs to know kinds by heart.

use crate::field::Visitor;
use crate::places::{Output, Places};
use crate::types::{CleanedTarget, EnvFile, SigningKey};
use crate::{Diagnostic, ModuleDirectory, Platform, Platforms, Spanned, TargetName, Text};

/// Section of a target in the list, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Targets that make something.
    Build,
    /// Targets that send something elsewhere.
    Publish,
    /// Targets that start or stop something.
    Run,
    /// Targets that check something.
    Check,
    /// Targets of any other purpose.
    Other,
}

impl Group {
    /// All groups, in the order of the list.
    pub const ALL: [Group; 5] = [Group::Build, Group::Publish, Group::Run, Group::Check, Group::Other];

    /// Returns the heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Build => "build",
            Group::Publish => "publish",
            Group::Run => "run",
            Group::Check => "check",
            Group::Other => "other",
        }
    }
}

/// Products of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Nothing that is kept: a check, a download, a command without inputs.
    Nothing,
    /// Executables, one directory a platform.
    Executables,
    /// A directory with an OCI layout.
    ImageLayout,
    /// An image in the Docker daemon. It is not the same bytes each time.
    DaemonImage,
    /// Files that depend on the inputs alone.
    Files {
        /// Number of declared outputs.
        count: usize,
    },
    /// Processes that it starts or ends: containers, services.
    Processes,
}

impl Makes {
    /// Returns true for an image that can be run.
    pub fn is_image(self) -> bool {
        match self {
            Makes::ImageLayout | Makes::DaemonImage => true,
            Makes::Nothing | Makes::Executables | Makes::Files { .. } | Makes::Processes => false,
        }
    }

    /// Returns true for an image whose bytes are in a directory.
    pub fn is_layout(self) -> bool {
        match self {
            Makes::ImageLayout => true,
            Makes::Nothing | Makes::Executables | Makes::DaemonImage | Makes::Files { .. } | Makes::Processes => false,
        }
    }

    /// Returns true if `Output(…)` accepts it: executables, or one file.
    pub fn is_file(self) -> bool {
        match self {
            Makes::Executables | Makes::Files { count: 1 } => true,
            Makes::Nothing | Makes::ImageLayout | Makes::DaemonImage | Makes::Files { .. } | Makes::Processes => false,
        }
    }

    /// Returns true if `Output(…, "part")` accepts it: executables, or files.
    pub fn is_part(self) -> bool {
        match self {
            Makes::Executables | Makes::Files { .. } => true,
            Makes::Nothing | Makes::ImageLayout | Makes::DaemonImage | Makes::Processes => false,
        }
    }

    /// Returns true if a command can read its files by `Output(…)`.
    pub fn is_files(self) -> bool {
        match self {
            Makes::Executables | Makes::ImageLayout | Makes::Files { .. } => true,
            Makes::Nothing | Makes::DaemonImage | Makes::Processes => false,
        }
    }

    /// Returns true if two builds can be compared byte by byte.
    pub fn is_comparable(self) -> bool {
        match self {
            Makes::Executables | Makes::ImageLayout | Makes::Files { .. } => true,
            Makes::Nothing | Makes::DaemonImage | Makes::Processes => false,
        }
    }
}

/// A need of a target on this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The project's Go.
    Go,
    /// A C compiler.
    CCompiler {
        /// Its command, if the target names one (`CC`); else Go's own choice.
        command: Option<String>,
        /// What it makes programs for, if that may be another platform than this machine's.
        platform: Option<Platform>,
        /// The field that needs it, as written.
        because: &'static str,
    },
    /// A daemon that answers.
    DockerDaemon,
    /// The command `docker`.
    DockerCommand,
    /// Docker's buildx plugin. Without it the daemon's older builder is used.
    Buildx,
    /// Docker's compose plugin.
    Compose,
    /// A program on PATH.
    Program(String),
}

impl Need {
    /// Returns the need of a word that is a program, if PATH is searched for it.
    pub(crate) fn of_program(word: &Text) -> Option<Need> {
        word.as_literal().filter(|name| !name.contains('/')).map(|name| Need::Program(name.to_owned()))
    }

    /// Returns true if the target fails without it.
    pub fn is_required(&self) -> bool {
        match self {
            Need::Buildx => false,
            Need::Go
            | Need::CCompiler { .. }
            | Need::DockerDaemon
            | Need::DockerCommand
            | Need::Compose
            | Need::Program(_) => true,
        }
    }
}

/// The interface that the declaration of a kind implements.
pub trait Declared: std::fmt::Debug {
    /// Returns the word in build.ron.
    fn word(&self) -> &'static str;
    /// Returns the section of its targets in the list.
    fn group(&self) -> Group;
    /// Passes every text, path and reference of its fields to `visitor`.
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>);
}

/// The interface that a kind implements by itself.
pub trait Kind: Declared {
    /// Returns its products.
    fn makes(&self) -> Makes;

    /// Returns its needs on this machine.
    fn needs(&self) -> Vec<Need>;

    /// Returns true if what it starts stays when the command that started it ends.
    fn stays(&self) -> bool {
        false
    }

    /// Returns what is asked before it runs, as it destroys what nothing brings back.
    fn question(&self) -> Option<String> {
        None
    }

    /// Returns its needs on this machine for one of its platforms, beside those.
    fn needs_on(&self, _platform: &Platform) -> Vec<Need> {
        Vec::new()
    }

    /// Returns its outputs.
    fn outputs<'a>(&'a self, _places: &Places<'a>) -> Vec<Output<'a>> {
        Vec::new()
    }

    /// Returns its own list of platforms.
    fn platforms(&self) -> Option<&Platforms> {
        None
    }

    /// Returns the Go module that it is about, if it names one.
    fn module(&self) -> Option<&ModuleDirectory> {
        None
    }

    /// Reports mistakes of a target whose fields each read well. `platforms` are those of the file.
    fn check(&self, _platforms: &Platforms, _diagnostics: &mut Vec<Diagnostic>) {}

    /// Returns true if it counts as done only when a second build gives the same bytes.
    fn is_gated(&self) -> bool {
        false
    }

    /// Returns the private key that signs what it makes or sends.
    fn signing_key(&self) -> Option<&SigningKey> {
        None
    }

    /// Returns the file of the public key whose signatures it makes, relative to `root`.
    fn public_key(&self) -> Option<&str> {
        None
    }

    /// Returns true if it is made of sources, modules, Go and images alone, so that all it needs fits into one file.
    fn is_self_contained(&self) -> bool {
        false
    }

    /// Returns true if the digest of its image is known once it is made.
    fn has_digest(&self) -> bool {
        self.makes().is_layout()
    }

    /// Returns the targets that it stands for: its dependents wait for them.
    fn members(&self) -> &[Spanned<TargetName>] {
        &[]
    }

    /// Returns true if its members run in order.
    fn is_ordered(&self) -> bool {
        false
    }

    /// Returns the targets whose outputs it removes, if it removes any; an empty list means all. It does not run them.
    fn removes(&self) -> Option<&[CleanedTarget]> {
        None
    }

    /// Returns its templates that a shell reads as a script. The `script` of a `Shell` is no template.
    fn scripts(&self) -> Vec<&Text> {
        Vec::new()
    }

    /// Returns true if a file of the tree can name its parameters.
    fn names_in_files(&self) -> bool {
        false
    }

    /// Returns its files of variables.
    fn env_files(&self) -> &[EnvFile] {
        &[]
    }

    /// Returns what Rondel does not check for it, as written in build.ron. `plan` shows it.
    fn unchecked(&self) -> Option<&'static str> {
        None
    }

    /// Returns a line for the list, for targets without `doc`.
    fn summary(&self) -> String {
        self.word().to_owned()
    }

    /// Returns false if it has no step of its own, so that no limit applies.
    fn has_steps() -> bool
    where
        Self: Sized,
    {
        true
    }
}
