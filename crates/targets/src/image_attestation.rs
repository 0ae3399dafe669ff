//! A signed statement of somebody who is no maker of an image, attached to it: a bundle of Sigstore among the documents about it.

use std::fs;
use std::path::Path;

use rondel_cas::Digest;
use rondel_engine::StepError;
use rondel_oci::{Artifact, Subject};
use rondel_process::Cancellation;
use rondel_registry::Watcher;
use rondel_signatures::bundle;

use crate::published_image::PublishedImage;
use crate::push::bundle_annotations;
use crate::registries::{Registries, step_error};

impl PublishedImage {
    /// Attaches a bundle. Returns the digest of its manifest, and the number of bytes of blobs that were sent: none if it was
    /// attached before. `scratch` is a directory for what is sent.
    pub fn attach(
        &self,
        registries: &Registries,
        (name, predicate): (&str, &str),
        contents: &[u8],
        scratch: &Path,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<(String, u64), StepError> {
        let watcher = Watcher { progress: &|_, _| true, say };
        let registry = registries.registry(&Cancellation::new())?;
        let top = self.top(registry, &watcher)?;
        let artifact = Artifact {
            artifact_type: bundle::MEDIA_TYPE.to_owned(),
            name: name.to_owned(),
            contents: Digest::of(contents),
            subject: Subject { media_type: top.media_type.clone(), digest: top.digest },
            annotations: bundle_annotations(predicate),
        };
        let manifest = Digest::of(&artifact.manifest().1).oci();
        let destination = registry.destination(&self.reference, Vec::new());
        if registry.attached(&destination, &[&artifact], &watcher).map_err(step_error)? == [true] {
            return Ok((manifest, 0));
        }
        let unwritable = |error: std::io::Error| StepError::environment(format!("failed to write a file: {error}"));
        let path = scratch.join("bundle.json");
        fs::write(&path, contents).map_err(unwritable)?;
        let attached = registry.attach(&destination, &[(artifact, path)], scratch, &watcher).map_err(step_error)?;
        Ok((manifest, attached.blobs.1))
    }
}
