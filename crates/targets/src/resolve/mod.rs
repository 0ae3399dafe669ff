//! Names of images in YAML, and the digests that they are pinned to.

mod import_paths;
mod pins;
mod step;
mod yaml;

pub(crate) use import_paths::{import_paths, literal_directory};
pub(crate) use pins::PinnedImage;
pub(crate) use step::ResolveStep;
