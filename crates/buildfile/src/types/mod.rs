//! Types of fields that have a rule: each knows its reader, its allowed values and its contents.

mod archives;
mod artifact_names;
mod attachments;
mod bases;
mod bills;
mod by_platform;
mod capabilities;
mod changelogs;
mod choices;
mod databases;
mod defaults;
mod env_files;
mod executables;
mod file_sources;
mod formulas;
mod git_queries;
mod host_platforms;
mod lists;
mod maps;
mod numbers;
mod outputs;
mod package_parts;
mod packages;
mod parameters;
mod policy;
mod publishing;
mod readiness;
mod references;
mod secret_files;
mod signing;
mod signing_keys;
mod stamps;
mod strings;
mod texts;
mod tools;
mod url_templates;
mod variables;

pub use archives::{ArchiveFormat, Archives, FormatByOs, OperatingSystem};
pub use artifact_names::{ArtifactName, NamePiece, NameValue, is_sound};
pub use attachments::{Attachment, DocumentName, DocumentSource, MediaType};
pub use bases::{Base, MirrorHost, RegistryAccess};
pub use bills::{BillForm, Bills};
pub use by_platform::{ByPlatform, PatternOfPlatforms, PlatformSettings};
pub use capabilities::Capability;
pub use changelogs::{Changelog, CommitGroups, CommitType, GroupTitle};
pub use choices::{BuildMode, Compression, Created, Flag, Gate, GoChoice, Sandbox, Scan, Shuffle};
pub use databases::VulnerabilityDatabase;
pub use defaults::Defaults;
pub use env_files::EnvFile;
pub use executables::{ExecutableName, ExecutableNames, MainPackage};
pub use file_sources::{Attributes, FileMode, FileOptions, FileSource, Origin, Owner, UserNumbers};
pub use formulas::{FormulaName, Homebrew, OneLine, WebAddress};
pub use git_queries::{CommitTimeOptions, DescribeOptions, Digits, TagPattern, TimeForm};
pub use host_platforms::{HostPlatform, HostPlatforms};
pub use lists::{Command, Destinations, Globs, Images, Packages, Platforms, Tags, wrong_tag};
pub use maps::{
    AnyKey, CommandEnvironment, ConditionScript, Environment, Files, ImagePath, Map, Pool, Pools, Preconditions,
    ProcessEnvironment, Programs, Registries, RegistryHost, RequiredPrograms, Service, ServiceImages, SetName, Sets,
    TextMap, ToolName, UserName, Users, VariableOfEnvironment,
};
pub use numbers::{
    Percent, PidsLimit, PoolDepth, PortNumber, Retries, Seconds, ShuffleSeed, TestCount, TestParallel, ZstdLevel,
};
pub use outputs::InputSource;
pub use package_parts::{InstalledDirectory, InstalledPath, OwnerName, PackageScript, PackageSource};
pub use packages::{
    DebPackage, DebScripts, PackageDirectory, PackageFields, PackageFile, PackageFileFields, PackageFiles,
    ReleasePackage, RpmPackage, RpmScripts,
};
pub use parameters::{Param, ParameterName, Params};
pub use policy::{AcceptedVulnerabilities, NoKnownVulnerability, Policy, VulnerabilityName};
pub use publishing::{ForgeRelease, ForgeToken, GitHubRelease, GiteaRelease, Prerelease, PublishTo};
pub use readiness::{HeldAddress, Ready, Restart};
pub use references::{Alias, CleanedTarget, DigestReference, ExecutablesReference, ImageReference, LayoutReference};
pub use secret_files::{SecretFileName, SecretFiles};
pub use signing::Sign;
pub use signing_keys::{KeyPassword, SigningKey};
pub use stamps::{StampedVariable, Stamps};
pub use strings::{
    EnvironmentName, Glob, Heading, LayerName, ModuleDirectory, OutPath, ParameterValue, Pattern, PoolName, Port,
    ProjectName, Signal, SourcePath, UrlPath, VolumePath,
};
pub(crate) use texts::late_fact;
pub use url_templates::{ArchiveUrl, CommitUrl, IssueUrl, UrlPlaces, UrlTemplate};
pub(crate) use variables::variable_shape;
