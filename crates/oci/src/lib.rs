//! OCI images from files: deterministic layers, configuration, manifest, index, layout. Needs no Docker.
//!
//! It knows the OCI image specification and tar. It knows no target, no Go and no daemon.

mod archive;
mod artifact;
mod base_config;
mod base_files;
mod base_index;
mod codec;
mod compression;
mod docker_archive;
mod document;
mod gzip;
mod image;
mod image_config;
mod layer;
mod layer_programs;
mod layout;
mod media_types;
mod program_start;
mod script_line;
mod signature_tag;
mod static_base;
mod tar_extension;
mod tar_header;

pub use archive::{ImageArchive, loaded_diff_ids};
pub use artifact::{
    Artifact, ArtifactFile, ArtifactManifest, DOCUMENT_NAME, EMPTY_CONFIG, Referrer, Subject, list_with,
};
pub use base_config::{BaseConfig, BaseImage, BaseSettings, DEFAULT_PATH, ExplainedSetting};
pub use base_files::{BaseEntry, BaseFiles, BaseKind, LAYER_BYTES_MAX, NoWay, resolve};
pub use base_index::{BASE_INDEX, BaseIndex};
pub use codec::Compression;
pub use compression::decompressed;
pub use docker_archive::{DockerArchive, unpack_docker_archive};
pub use document::{
    DOCUMENT_BYTES_MAX, DOCUMENT_TYPES, Descriptor, Document, DocumentError, DocumentPlatform, choose, digest_of,
};
pub use image::{BASE_NAME, PlatformImage, created_text};
pub use image_config::{Health, ImageConfig};
pub use layer::{Layer, LayerEntry, LayerSource, add_parents, write_layer, write_tar};
pub use layer_programs::{LayerProgram, LayerPrograms, PROGRAMS_FORMAT};
pub use layout::{LayoutInput, LayoutReport, blob_path, write_layout};
pub use media_types::{INDEX, MANIFEST};
pub use program_start::ProgramStart;
pub use script_line::{EnvProgram, ScriptLine};
pub use signature_tag::{SignatureLayer, SignatureTag};
pub use static_base::{
    ROOT_BUNDLE, base_without_certificates, root_certificates, static_base, zoneinfo_environment, zoneinfo_path,
};
