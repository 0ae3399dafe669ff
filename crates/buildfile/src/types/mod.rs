//! Types of fields that have a rule: each knows its reader, its allowed values and its contents.

mod bases;
mod capabilities;
mod choices;
mod file_sources;
mod lists;
mod maps;
mod numbers;
mod outputs;
mod parameters;
mod references;
mod strings;
mod texts;

pub use bases::{Base, MirrorHost, RegistryAccess};
pub use capabilities::Capability;
pub use choices::{BuildMode, Compression, Created, GoChoice, Sandbox};
pub use file_sources::{Attributes, FileMode, FileOptions, FileSource, Origin, Owner, UserNumbers};
pub use lists::{Command, Destinations, Globs, Images, Packages, Platforms};
pub use maps::{
    AnyKey, CommandEnvironment, Environment, Files, ImagePath, Map, Pool, Pools, ProcessEnvironment, Registries,
    RegistryHost, Service, ServiceImages, TextMap, UserName, Users, VariableOfEnvironment,
};
pub use numbers::{PoolDepth, PortNumber, Retries, Seconds, ZstdLevel};
pub use outputs::InputSource;
pub use parameters::{Param, ParameterName, Params};
pub use references::{Alias, DigestReference, ImageReference, LayoutReference};
pub use strings::{
    EnvironmentName, Glob, Heading, LayerName, OutPath, ParameterValue, PoolName, Port, ProjectName, Signal,
    SourcePath, UrlPath, VolumePath,
};
pub(crate) use texts::late_fact;
