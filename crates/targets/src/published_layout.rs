//! An image of a registry as an OCI layout on disk, for a comparison with one that was built. Layers that the other has too are
//! left out.

use std::fs;
use std::path::Path;

use rondel_cas::Digest;
use rondel_engine::StepError;
use rondel_oci::{Descriptor, Document};
use rondel_process::Cancellation;
use rondel_registry::{FetchedDocument, Registry, Watcher};
use serde_json::json;

use crate::published_image::PublishedImage;
use crate::registries::{Registries, step_error};

/// Maximum number of manifests, and of bytes of all layers that are downloaded.
const MANIFESTS_MAX: usize = 100;
const LAYERS_MAX: u64 = 8 << 30;
const CONFIG_MAX: u64 = 4 << 20;

/// A layout that is being written.
struct Download<'a> {
    image: &'a PublishedImage,
    registry: &'a Registry,
    watcher: Watcher<'a>,
    is_known: &'a dyn Fn(&Digest) -> bool,
    directory: &'a Path,
    bytes: u64,
}

impl PublishedImage {
    /// Writes the image as a layout to an empty `directory`, without layers for which `is_known` returns true.
    pub fn download(
        &self,
        registries: &Registries,
        is_known: &dyn Fn(&Digest) -> bool,
        directory: &Path,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<(), StepError> {
        let watcher = Watcher { progress: &|_, _| true, say };
        let registry = registries.registry(&Cancellation::new())?;
        fs::create_dir_all(directory.join("blobs/sha256")).map_err(|error| StepError::unwritable(directory, &error))?;
        let mut download = Download { image: self, registry, watcher, is_known, directory, bytes: 0 };
        let wrong = |error: rondel_oci::DocumentError| StepError::input(format!("`{}`: {error}", self.reference));
        let digest = self.top(registry, &download.watcher)?;
        match Document::parse(&digest.media_type, &digest.bytes).map_err(wrong)? {
            Document::Manifest { config, layers } => download.manifest(&digest, &config, &layers)?,
            Document::Index(entries) => {
                for entry in entries.iter().filter(|entry| !entry.is_attestation).take(MANIFESTS_MAX) {
                    let found =
                        registry.document_of(&self.reference, &entry.digest, &download.watcher).map_err(step_error)?;
                    if let Document::Manifest { config, layers } =
                        Document::parse(&found.media_type, &found.bytes).map_err(wrong)?
                    {
                        download.manifest(&found, &config, &layers)?;
                    }
                }
            }
        }
        download.write(&digest.digest, &digest.bytes)?;
        let top = json!({"mediaType": digest.media_type, "digest": digest.digest.oci(), "size": digest.bytes.len()});
        let index = json!({"schemaVersion": 2, "manifests": [top]}).to_string();
        let path = directory.join("index.json");
        fs::write(&path, index).map_err(|error| StepError::unwritable(&path, &error))
    }

    /// Returns what the reference leads to, which is still what it was.
    pub(crate) fn top(&self, registry: &Registry, watcher: &Watcher<'_>) -> Result<FetchedDocument, StepError> {
        let found = registry.document(&self.reference, watcher).map_err(step_error)?;
        match found.digest.oci() == self.digest {
            true => Ok(found),
            false => {
                let message = format!("`{}` was pushed while it was looked at", self.reference);
                Err(StepError::environment(message).hint("run again, or name it by its digest"))
            }
        }
    }
}

impl Download<'_> {
    fn manifest(
        &mut self,
        found: &FetchedDocument,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<(), StepError> {
        self.write(&found.digest, &found.bytes)?;
        let too_large = |what: &str, bytes: u64| {
            StepError::input(format!("`{}`: {what} {bytes} bytes, more than are compared", self.image.reference))
        };
        if config.digest.size() > CONFIG_MAX {
            return Err(too_large("a configuration has", config.digest.size()));
        }
        let reference = &self.image.reference;
        let bytes = self.registry.small_blob(reference, &config.digest, &self.watcher).map_err(step_error)?;
        self.write(&config.digest, &bytes)?;
        for layer in layers.iter().map(|layer| &layer.digest).filter(|layer| !(self.is_known)(layer)) {
            self.bytes = self.bytes.saturating_add(layer.size());
            if self.bytes > LAYERS_MAX {
                return Err(too_large("its layers that differ have", self.bytes));
            }
            let partial = self.directory.join("partial");
            fs::create_dir_all(&partial).map_err(|error| StepError::unwritable(&partial, &error))?;
            let path = self.registry.blob(reference, layer, &partial, &self.watcher).map_err(step_error)?;
            let place = self.place(layer);
            fs::rename(&path, &place).map_err(|error| StepError::unwritable(&place, &error))?;
        }
        Ok(())
    }

    fn place(&self, digest: &Digest) -> std::path::PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StepError> {
        let place = self.place(digest);
        fs::write(&place, bytes).map_err(|error| StepError::unwritable(&place, &error))
    }
}
