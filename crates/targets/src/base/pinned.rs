//! `PinnedImage`: an image for one platform whose every byte is known, and its form in build.lock.

use std::collections::{BTreeMap, BTreeSet};

use rondel_buildfile::{Base, BuildFile, LockedBlob, LockedImage, Platform, RegistryReference, TargetKind};
use rondel_cas::Digest;
use rondel_oci::{Descriptor, DocumentError, digest_of};

/// Maximum size of an image's configuration in bytes.
pub(crate) const CONFIG_BYTES_MAX: u64 = 8 << 20;

/// The manifest of an image for one platform, and what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PinnedImage {
    /// RFC 3339, as the image says itself; empty if it says nothing.
    pub created: String,
    pub manifest: Descriptor,
    pub config: Descriptor,
    /// Lowest first.
    pub layers: Vec<Descriptor>,
}

impl PinnedImage {
    /// Reads the form of build.lock.
    pub fn of_lock(locked: &LockedImage) -> Result<PinnedImage, DocumentError> {
        let descriptor = |blob: &LockedBlob| -> Result<Descriptor, DocumentError> {
            Ok(descriptor(&blob.media_type, digest_of(&blob.digest, blob.size)?))
        };
        Ok(PinnedImage {
            created: locked.created.clone(),
            manifest: descriptor(&locked.manifest)?,
            config: descriptor(&locked.config)?,
            layers: locked.layers.iter().map(descriptor).collect::<Result<_, _>>()?,
        })
    }

    /// Returns the form of build.lock.
    pub fn to_lock(&self) -> LockedImage {
        let blob = |descriptor: &Descriptor| LockedBlob {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.oci(),
            size: descriptor.digest.size(),
        };
        LockedImage {
            created: self.created.clone(),
            manifest: blob(&self.manifest),
            config: blob(&self.config),
            layers: self.layers.iter().map(blob).collect(),
        }
    }
}

/// Returns the descriptor of something with this digest.
pub(crate) fn descriptor(media_type: &str, digest: Digest) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), digest, platform: None, is_attestation: false }
}

/// Returns the images of registries that the targets of a file lie on, each with the platforms it is needed for.
pub fn declared_bases(file: &BuildFile) -> BTreeMap<RegistryReference, BTreeSet<Platform>> {
    let mut found: BTreeMap<RegistryReference, BTreeSet<Platform>> = BTreeMap::new();
    for target in &file.targets {
        let TargetKind::Image(image) = &target.kind else { continue };
        let Base::From(reference) = &image.base else { continue };
        let platforms = image.platforms.as_ref().unwrap_or(&file.platforms);
        let mut platforms: Vec<Platform> = platforms.iter().map(|platform| platform.value.clone()).collect();
        if platforms.is_empty() {
            platforms.extend(Platform::new(&format!("linux/{}", Platform::host().architecture())));
        }
        found.entry(reference.value.clone()).or_default().extend(platforms);
    }
    found
}
