//! What a `build.ron` says, typed. Names are not yet resolved and variables not yet evaluated.

use crate::{Platform, Span, Spanned, TargetName, Template, VariableName};
use std::collections::BTreeMap;

/// A whole file.
#[derive(Clone, Debug)]
pub struct BuildFile {
    /// Name of the project: used in container labels and default names.
    pub project: Spanned<String>,
    /// Where the paths below start, relative to the file; `None` is the file's own directory.
    pub root: Option<Spanned<String>>,
    /// Which Go.
    pub go: Spanned<GoChoice>,
    /// The go.work that the module is built with, relative to the root; none is used if it is left out.
    pub go_work: Option<Spanned<String>>,
    /// Platforms of everything that is built per platform.
    pub platforms: Vec<Spanned<Platform>>,
    /// Variables by name.
    pub vars: BTreeMap<VariableName, Variable>,
    /// How many steps of a pool may run at once, by its name; 1 for those that are not here.
    pub pools: Vec<(Spanned<String>, usize)>,
    /// Targets in the order of the file.
    pub targets: Vec<Target>,
}

/// `go:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoChoice {
    /// Exactly this release.
    Version(String),
    /// What go.mod's `toolchain` or `go` line asks for.
    FromGoMod,
    /// The `go` on PATH.
    System,
}

/// A variable: where its value comes from, and where it was written.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its value.
    pub text: Text,
    /// Place of its name.
    pub span: Span,
}

/// A text: a template, or a source of one. Its place goes with it.
#[derive(Clone, Debug)]
pub struct Text {
    /// Where the text comes from.
    pub source: TextSource,
    /// Place.
    pub span: Span,
}

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// `"…{name}…"`
    Template(Template),
    /// `Env("NAME")` or `Env("NAME", "default")`
    Environment {
        /// The variable of the caller's environment.
        name: String,
        /// Used when it is not set.
        default: Option<Template>,
    },
    /// `Git(Describe)` or `Git(Describe, "default")`
    Git {
        /// What is asked.
        query: GitQuery,
        /// Used when there is no answer.
        default: Option<Template>,
    },
    /// `Tool("name")`: a command of the module's dependencies, built for this machine; only in `command`.
    Tool {
        /// Import path, or the last element of one that go.mod's `tool` lines have.
        name: String,
    },
    /// `Secret("NAME")`: from the caller's environment; only into the environment of a process.
    Secret {
        /// The variable of the caller's environment.
        name: String,
    },
}

/// What `Git(…)` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GitQuery {
    /// `git describe --tags --always --abbrev=12`
    Describe,
    /// The commit, 40 hex digits.
    Commit,
    /// Its first twelve digits.
    ShortCommit,
    /// Committer's time, RFC 3339 in UTC.
    CommitTime,
    /// Committer's time, seconds since 1970.
    CommitTimestamp,
    /// The branch.
    Branch,
    /// `-dirty` if a source file of the step is not as it was committed, else nothing.
    Dirty,
}

/// One target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name, and where that was written.
    pub name: Spanned<TargetName>,
    /// One line for people.
    pub doc: Option<String>,
    /// Targets that run before this one; their results are not inputs.
    pub after: Vec<Spanned<TargetName>>,
    /// Left out of the list.
    pub private: bool,
    /// What bounds its steps.
    pub limits: Limits,
    /// What it is.
    pub kind: TargetKind,
}

/// What bounds the steps of a target; nothing, if it is not declared.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Steps of one pool run one after the other, or as many at once as `pools` says.
    pub pool: Option<Spanned<String>>,
    /// How often a step is tried again when it fails.
    pub retries: u32,
    /// Seconds that the commands of a step may take together, each time it is tried.
    pub timeout_s: Option<u64>,
}

/// What a target is.
#[derive(Clone, Debug)]
pub enum TargetKind {
    /// The module cache holds what the module needs.
    GoModDownload(GoModDownload),
    /// Executables.
    GoBuild(GoBuild),
    /// Tests.
    GoTest(GoTest),
    /// An OCI image, made without Docker.
    Image(Image),
    /// An image made by `docker build`.
    DockerBuild(DockerBuild),
    /// A container.
    DockerRun(DockerRun),
    /// The services of a compose file.
    ComposeUp(ComposeUp),
    /// Ends the services of a compose file.
    ComposeDown(ComposeDown),
    /// A command.
    Exec(Exec),
    /// A command of the shell.
    Shell(Shell),
    /// Several targets under one name.
    Group(GroupTargets),
}

impl TargetKind {
    /// The word in build.ron.
    pub fn word(&self) -> &'static str {
        match self {
            TargetKind::GoModDownload(_) => "GoModDownload",
            TargetKind::GoBuild(_) => "GoBuild",
            TargetKind::GoTest(_) => "GoTest",
            TargetKind::Image(_) => "Image",
            TargetKind::DockerBuild(_) => "DockerBuild",
            TargetKind::DockerRun(_) => "DockerRun",
            TargetKind::ComposeUp(_) => "ComposeUp",
            TargetKind::ComposeDown(_) => "ComposeDown",
            TargetKind::Exec(_) => "Exec",
            TargetKind::Shell(_) => "Shell",
            TargetKind::Group(_) => "Group",
        }
    }
}

/// `GoModDownload()`
#[derive(Clone, Debug)]
pub struct GoModDownload {}

/// `Shell(…)`
#[derive(Clone, Debug)]
pub struct Shell {
    /// As an `Exec`, whose command is the script.
    pub exec: Exec,
}

/// `Group(…)`
#[derive(Clone, Debug)]
pub struct GroupTargets {
    /// Members.
    pub targets: Vec<Spanned<TargetName>>,
}

/// `GoBuild(…)`
#[derive(Clone, Debug)]
pub struct GoBuild {
    /// Package patterns of main packages.
    pub packages: Vec<Text>,
    /// Build tags.
    pub tags: Vec<Text>,
    /// Linker flags; Rondel adds `-buildid=`.
    pub ldflags: Vec<Text>,
    /// `-X` values by `importpath.name`.
    pub stamp: Vec<(Spanned<String>, Text)>,
    /// Compiler flags.
    pub gcflags: Vec<Text>,
    /// `GOAMD64` and its like, `GOEXPERIMENT`, `GODEBUG`: in the key.
    pub env: Vec<(Spanned<String>, Text)>,
    /// With cgo: the C compiler's identity is in the key then.
    pub cgo: bool,
    /// `-buildmode`
    pub build_mode: BuildMode,
    /// A bill of materials beside each executable?
    pub sbom: bool,
    /// Instead of the file's platforms.
    pub platforms: Option<Vec<Spanned<Platform>>>,
    /// Directory of the outputs, instead of `dist/<target>`.
    pub out: Option<Spanned<String>>,
}

/// The build modes that make executables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildMode {
    /// Go's own choice for the platform.
    Default,
    /// `exe`
    Executable,
    /// `pie`: loaded at any address.
    PositionIndependent,
}

/// `GoTest(…)`
#[derive(Clone, Debug)]
pub struct GoTest {
    /// Package patterns.
    pub packages: Vec<Text>,
    /// With the race detector (implies cgo).
    pub race: bool,
    /// Build tags.
    pub tags: Vec<Text>,
    /// `-run`
    pub run: Option<Text>,
    /// `-short`
    pub short: bool,
    /// `-timeout`, a Go duration.
    pub timeout: Option<Text>,
    /// What the tests see besides Rondel's closed environment.
    pub env: Vec<(Spanned<String>, Text)>,
    /// Globs of what the tests may read; everything below the root if left out.
    pub inputs: Option<Vec<Spanned<String>>>,
}

/// `Image(…)`
#[derive(Clone, Debug)]
pub struct Image {
    /// `base:`
    pub base: Base,
    /// Files by absolute path in the image.
    pub files: Vec<(Spanned<String>, Spanned<FileSource>)>,
    /// `ENTRYPOINT`
    pub entrypoint: Vec<Text>,
    /// `CMD`
    pub command: Vec<Text>,
    /// `uid:gid`, or a name of the base.
    pub user: Option<Text>,
    /// `WORKDIR`
    pub directory: Option<Text>,
    /// `EXPOSE`, `8080/tcp`
    pub ports: Vec<Spanned<String>>,
    /// `ENV`
    pub env: Vec<(Spanned<String>, Text)>,
    /// `LABEL`
    pub labels: Vec<(Spanned<String>, Text)>,
    /// The health check.
    pub health: Option<Health>,
    /// Names of the image.
    pub tags: Vec<Text>,
    /// `created:`
    pub created: Created,
    /// Does the image carry the time zone data of the Go toolchain?
    pub tzdata: bool,
    /// Instead of the file's platforms.
    pub platforms: Option<Vec<Spanned<Platform>>>,
    /// Directory of the layout, instead of `dist/<target>`.
    pub out: Option<Spanned<String>>,
}

/// What an image starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// CA certificates, users, `/tmp`; nothing else.
    Static,
}

/// What a file of an image is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// The output of a target.
    Output(TargetName),
    /// A file or directory of the tree.
    File(String),
}

/// `Http(port: …, path: …)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// TCP port on the container's loopback.
    pub port: u16,
    /// Path of the request.
    pub path: String,
    /// Seconds between two checks.
    pub interval_s: u64,
    /// Seconds one check may take.
    pub timeout_s: u64,
    /// Failures in a row that make the container unhealthy.
    pub retries: u64,
    /// Seconds during which failures do not count.
    pub start_period_s: u64,
}

/// The one time that an image shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// 1970-01-01T00:00:00Z
    Epoch,
    /// The commit's time.
    CommitTime,
    /// Seconds since 1970 from the environment; the epoch if it isn't set.
    Environment(String),
}

/// `DockerBuild(…)`
#[derive(Clone, Debug)]
pub struct DockerBuild {
    /// Path of the Dockerfile.
    pub dockerfile: Spanned<String>,
    /// Directory that is the context; the root if left out.
    pub context: Option<Spanned<String>>,
    /// `--build-arg`
    pub build_args: Vec<(Spanned<String>, Text)>,
    /// `--target`
    pub stage: Option<Text>,
    /// Names of the image.
    pub tags: Vec<Text>,
}

/// `DockerRun(…)`
#[derive(Clone, Debug)]
pub struct DockerRun {
    /// The target that makes the image.
    pub image: Spanned<TargetName>,
    /// Arguments after the image.
    pub args: Vec<Text>,
    /// `--user`
    pub user: Option<Text>,
    /// `--publish`
    pub publish: Vec<Text>,
    /// `--add-host=host.docker.internal:host-gateway`
    pub host_gateway: bool,
    /// Environment of the process.
    pub env: Vec<(Spanned<String>, Text)>,
    /// `--volume`
    pub volumes: Vec<Text>,
    /// `--network`
    pub network: Option<Text>,
    /// `--read-only`
    pub read_only: bool,
    /// `--cap-add`
    pub cap_add: Vec<Text>,
    /// Instead of the image's own check, asked from the host through a published port.
    pub health: Option<Health>,
    /// Seconds that the container has to become healthy.
    pub health_timeout_s: u64,
    /// Leave it running in the background once it is healthy.
    pub detach: bool,
}

/// `ComposeUp(…)`
#[derive(Clone, Debug)]
pub struct ComposeUp {
    /// The compose file.
    pub file: Spanned<String>,
    /// Services that run an image made here.
    pub images: Vec<(Spanned<String>, Spanned<TargetName>)>,
    /// Wait until the services are healthy?
    pub wait: bool,
    /// Seconds that they have.
    pub wait_timeout_s: u64,
    /// What the compose file may interpolate.
    pub env: Vec<(Spanned<String>, Text)>,
    /// `--project-name`; the project's name if left out.
    pub project_name: Option<Text>,
}

/// `ComposeDown(…)`
#[derive(Clone, Debug)]
pub struct ComposeDown {
    /// The compose file.
    pub file: Spanned<String>,
    /// Remove its volumes too?
    pub volumes: bool,
    /// What the compose file may interpolate.
    pub env: Vec<(Spanned<String>, Text)>,
    /// `--project-name`; the project's name if left out.
    pub project_name: Option<Text>,
}

/// `Exec(…)` and `Shell(…)`
#[derive(Clone, Debug)]
pub struct Exec {
    /// Program and arguments; of a `Shell` the script alone.
    pub command: Vec<Text>,
    /// Globs; without them the step always runs.
    pub inputs: Option<Vec<Spanned<String>>>,
    /// Files or directories that the command makes, relative to the root.
    pub outputs: Vec<Spanned<String>>,
    /// Environment.
    pub env: Vec<(Spanned<String>, Text)>,
    /// Names of variables handed through unkeyed: how to reach the world, not what to make.
    pub pass_env: Vec<Spanned<String>>,
    /// Directory below the root.
    pub directory: Option<Spanned<String>>,
}
