//! Typed reports of steps on images, for people and for downstream steps.

use std::collections::BTreeMap;

use rondel_cas::Digest;
use rondel_engine::{MetadataType, StepContext};
use serde::{Deserialize, Serialize};

/// An OCI layout, or an image in a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageMetadata {
    /// Digest of the index, `sha256:…`; empty for an image that only a daemon has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// ID of the image in a Docker daemon: the digest of the configuration, `sha256:…`.
    pub image_id: String,
    /// Bytes of all blobs of the layout.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_bytes: u64,
    /// Platforms of the index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Names of the image.
    pub tags: Vec<String>,
    /// The settings that come from the base, by platform: `user`, `env PATH`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inherited: BTreeMap<String, Vec<String>>,
}

impl MetadataType for ImageMetadata {
    const NAME: &'static str = "image-1";
}

fn is_zero(size: &u64) -> bool {
    *size == 0
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerMetadata {
    /// Digest of the uncompressed layer.
    pub diff_id: Digest,
    /// Number of entries.
    pub files: usize,
}

impl MetadataType for LayerMetadata {
    const NAME: &'static str = "layer-1";
}

/// A started container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerMetadata {
    /// The first 12 digits of its ID.
    pub container: String,
}

impl MetadataType for ContainerMetadata {
    const NAME: &'static str = "container-1";
}

/// The services of a compose file and the state of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServicesMetadata(pub BTreeMap<String, String>);

impl MetadataType for ServicesMetadata {
    const NAME: &'static str = "services-1";
}

/// Returns the image of the upstream step at `index`.
pub(crate) fn image_of(context: &StepContext<'_>, index: usize) -> Option<ImageMetadata> {
    context.upstream.get(index)?.metadata.get()
}
