//! Names of images in YAML, and the digests that they are pinned to.

mod base;
mod characters;
mod pins;
mod programs;
mod step;
mod yaml;

pub(crate) use base::literal_directory;
pub(crate) use pins::{OtherPush, PinnedImage};
pub(crate) use step::ResolveStep;
