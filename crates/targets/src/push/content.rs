//! `Content`: the index, manifests and blobs of an OCI layout in the workspace. The files may have been touched since they
//! were made, so each document is checked.

use std::path::{Path, PathBuf};

use rondel_cas::{Digest, read_at_most};
use rondel_names::ImageReference;
use rondel_oci::{BASE_NAME, DOCUMENT_BYTES_MAX, Descriptor, Document, INDEX, blob_path};

use crate::base::layout::read_checked;

/// What a push sends.
pub(crate) struct Content {
    directory: PathBuf,
    /// Digest and bytes of the index over all platforms.
    pub index: (Digest, Vec<u8>),
    /// Its entries.
    pub entries: Vec<Descriptor>,
    /// One a platform.
    pub manifests: Vec<ManifestContent>,
}

/// The image of one platform.
pub(crate) struct ManifestContent {
    pub media_type: String,
    pub digest: Digest,
    pub bytes: Vec<u8>,
    /// Configuration and layers.
    pub blobs: Vec<Digest>,
    /// The image that it lies on, if that is one of a registry.
    pub base: Option<ImageReference>,
}

impl Content {
    /// Reads the layout at `directory`, whose index has the digest `index`. The error says what is wrong with it.
    pub fn read(directory: &Path, index: &str) -> Result<Content, String> {
        let (digest, bytes, entries) = read_index(directory, index)?;
        let mut manifests = Vec::with_capacity(entries.len());
        for entry in entries.iter().cloned() {
            let bytes = read_checked(directory, &entry.digest, DOCUMENT_BYTES_MAX)?;
            let document = Document::parse(&entry.media_type, &bytes).map_err(|error| error.to_string())?;
            let Document::Manifest { config, layers } = document else {
                return Err(format!("`{}` is no manifest", blob_path(&entry.digest)));
            };
            let mut blobs: Vec<Digest> = vec![config.digest];
            blobs.extend(layers.iter().map(|layer| layer.digest));
            let base = base_of(&bytes);
            manifests.push(ManifestContent { media_type: entry.media_type, digest: entry.digest, bytes, blobs, base });
        }
        Ok(Content { directory: directory.to_owned(), index: (digest, bytes), entries, manifests })
    }

    /// Returns the file of a blob.
    pub fn file(&self, blob: &Digest) -> PathBuf {
        self.directory.join(blob_path(blob))
    }
}

/// Reads the index of this digest in the layout at `directory`: digest, bytes, entries.
pub(crate) fn read_index(directory: &Path, index: &str) -> Result<(Digest, Vec<u8>, Vec<Descriptor>), String> {
    let top = read_at_most(&directory.join("index.json"), DOCUMENT_BYTES_MAX)
        .map_err(|error| format!("`index.json` can't be read: {error}"))?;
    let parse = |media_type: &str, bytes: &[u8]| match Document::parse(media_type, bytes) {
        Ok(Document::Index(entries)) => Ok(entries),
        Ok(Document::Manifest { .. }) => Err("a manifest where an index was expected".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let entries = parse(INDEX, &top)?;
    let entry = entries.into_iter().find(|entry| entry.digest.oci() == index);
    let entry = entry.ok_or_else(|| format!("`index.json` does not name {index}"))?;
    let bytes = read_checked(directory, &entry.digest, DOCUMENT_BYTES_MAX)?;
    let entries = parse(&entry.media_type, &bytes)?;
    Ok((entry.digest, bytes, entries))
}

fn base_of(manifest: &[u8]) -> Option<ImageReference> {
    let value: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    ImageReference::new(value["annotations"][BASE_NAME].as_str()?).ok()
}
