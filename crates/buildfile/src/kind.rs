//! `Kind`: what a kind of target says of itself, so that nobody else needs to know kinds by heart.

use crate::field::Visitor;
use crate::{BuildFile, Diagnostic, Span, Spanned, Target, TargetName};

/// The part of the list where a target stands. The order here is the order there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// It makes something.
    Build,
    /// It starts or stops something.
    Run,
    /// It checks something.
    Check,
    /// Whatever its author wants.
    Other,
}

impl Group {
    /// All groups, in the order of the list.
    pub const ALL: [Group; 4] = [Group::Build, Group::Run, Group::Check, Group::Other];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Build => "build",
            Group::Run => "run",
            Group::Check => "check",
            Group::Other => "other",
        }
    }
}

/// What a target makes.
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
        /// Number of the places that are declared.
        count: usize,
    },
    /// Something that runs, or ends: containers, services.
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

    /// Returns true for what `Output(…)` can take: executables, or one file.
    pub fn is_file(self) -> bool {
        match self {
            Makes::Executables | Makes::Files { count: 1 } => true,
            Makes::Nothing | Makes::ImageLayout | Makes::DaemonImage | Makes::Files { .. } | Makes::Processes => false,
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

/// What a target needs of the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The project's Go.
    Go,
    /// A C compiler.
    CCompiler {
        /// Its command, if the target names one (`CC`); else Go's own choice.
        command: Option<String>,
        /// The field that asks for it, as it is written.
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

/// One place that a target writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// The place relative to the directory of build.ron, normalised: `dist/server`.
    pub path: String,
    /// The place as a field has it, relative to `root`; `None` for the default place.
    pub written: Option<&'a Spanned<String>>,
    /// Where it was written; for the default place the name of the target.
    pub span: Span,
    /// Returns true for a directory, false for a file.
    pub is_directory: bool,
}

/// Where the outputs of a target go.
pub struct Places<'a> {
    target: &'a Target,
    root: &'a str,
}

impl<'a> Places<'a> {
    /// Of `target` in `file`.
    pub(crate) fn new(target: &'a Target, file: &'a BuildFile) -> Places<'a> {
        Places { target, root: file.root.as_ref().map_or("", |root| root.value.as_str()) }
    }

    /// The directory `out`, or `dist/<target>` beside build.ron.
    pub fn directory(&self, out: Option<&'a Spanned<String>>) -> Output<'a> {
        match out {
            Some(out) => self.below_root(out, true),
            None => Output {
                path: format!("dist/{}", self.target.name.value),
                written: None,
                span: self.target.name.span,
                is_directory: true,
            },
        }
    }

    /// A path as it was written; one that ends with `/` is a directory.
    pub fn path(&self, written: &'a Spanned<String>) -> Output<'a> {
        self.below_root(written, written.value.ends_with('/'))
    }

    fn below_root(&self, written: &'a Spanned<String>, is_directory: bool) -> Output<'a> {
        let path = normal(&format!("{}/{}", self.root, written.value));
        Output { path, written: Some(written), span: written.span, is_directory }
    }
}

/// `./a//b/../c/` is `a/c`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What the declaration of a kind gives.
pub trait Declared: std::fmt::Debug {
    /// The word in build.ron.
    fn word(&self) -> &'static str;
    /// The part of the list where its targets stand.
    fn group(&self) -> Group;
    /// Hands every text, path and reference of its fields to `visitor`.
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>);
}

/// What a kind says of itself besides its fields.
pub trait Kind: Declared {
    /// What it makes.
    fn makes(&self) -> Makes;

    /// What it needs of the machine.
    fn needs(&self) -> Vec<Need>;

    /// The places that it writes.
    fn outputs<'a>(&'a self, _places: &Places<'a>) -> Vec<Output<'a>> {
        Vec::new()
    }

    /// Reports what is wrong with the target although each of its fields reads well.
    fn check(&self, _file: &BuildFile, _diagnostics: &mut Vec<Diagnostic>) {}

    /// The targets that it stands for: whoever waits for it waits for them.
    fn members(&self) -> &[Spanned<TargetName>] {
        &[]
    }

    /// A line for the list, for targets without `doc`.
    fn summary(&self) -> String {
        self.word().to_owned()
    }

    /// Returns false if it has no step of its own, so that nothing could bound it.
    fn has_steps() -> bool
    where
        Self: Sized,
    {
        true
    }
}
