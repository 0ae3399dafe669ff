//! Analysis: each target of build.ron becomes engine steps; the only place that names `docker`.
//!
//! It takes a read and checked `BuildFile` and the caller's environment as values, and returns a graph. The engine
//! decides what runs and when; `rondel` shows it to people.

mod analysis;
mod analyzer;
mod base;
mod base_programs;
mod checkout;
mod closed;
mod created;
mod declared_inputs;
mod dirty;
mod docker;
mod env_file;
mod evidence;
mod file_template;
mod generate;
mod git;
mod go;
mod go_choice;
mod go_variables;
mod go_version;
mod held_address;
mod image;
mod image_attestation;
mod image_signature;
mod kinds;
mod known_modules;
mod late_texts;
mod modules;
mod nodes;
mod orders;
mod outputs;
mod parameters;
mod policy;
mod publish;
mod published_image;
mod published_layout;
mod published_signatures;
mod push;
mod refusals;
mod registries;
mod release;
mod request;
mod resolve;
mod running;
mod running_targets;
mod shown_variables;
mod signing;
mod source_files;
mod tag_texts;
mod tool_fields;
mod tools;
mod variables;
mod variant;
mod vulnerability_database;
mod working_tree;

#[cfg(all(test, unix))]
mod tests;

pub use analysis::{Analysis, analyze};
pub use base::{BaseRequest, Bases, declared_bases};
pub use checkout::Checkout;
pub use docker::dockerfile::{Dockerfile, Instruction};
pub use docker::{Docker, DockerSocket};
pub use git::GitNotes;
pub use go_choice::WantedGo;
pub use go_version::{all_go_of_file, newest_pinned, resolve_go_version, unpinned_go};
pub use image::metadata::{ContainerMetadata, ImageMetadata, LayerMetadata, ServicesMetadata};
pub use modules::module_directory;
pub use nodes::HeldStep;
pub use publish::{PublishedMetadata, check_publish, publish, publishable};
pub use published_image::{PublishedDocument, PublishedImage, PublishedPlatform};
pub use published_signatures::{KnownKeys, SignedBy};
pub use push::PushMetadata;
pub use registries::Registries;
pub use request::{ParameterValues, PlatformChoice, Request, VersionMode};
pub use running::{LogQuery, Running, RunningPart, SeeLine};
pub use running_targets::{RunningTarget, running_targets, undeclared_targets};
pub use shown_variables::{ShownVariable, show_variables};
