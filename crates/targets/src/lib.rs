//! Lowers each target of build.ron to engine steps: the only place that names `go build` and `docker`.
//!
//! It takes a read and checked `BuildFile`, the caller's environment as values, and gives back a graph. What is
//! run, and when, the engine decides; what people see of it, `rondel` does.

mod docker;
mod dockerignore;
mod git;
mod go_version;
mod image_metadata;
mod lower;
mod lower_go;
mod lower_image;
mod lower_run;
mod request;
mod steps;
mod variables;

pub use docker::{Docker, DockerSocket};
pub use go_version::{go_work_of, module_directory, resolve_go_version, unpinned_go};
pub use image_metadata::{ContainerMetadata, ImageMetadata, LayerMetadata, ServicesMetadata};
pub use lower::{Analysis, lower};
pub use request::{PlatformChoice, Request};
