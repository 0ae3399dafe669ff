//! The OCI image layout: a directory for the tools of registries, and for older Docker daemons.
//!
//! `oci-layout`, `index.json`, `blobs/sha256/…`, and Docker's `manifest.json`, which points to the same blobs: one form
//! for all readers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use rondel_cas::Digest;
use serde_json::{Value, json};

use crate::image::{PlatformImage, config_json, descriptor, index_json, manifest_json, to_json};
use crate::image_config::ImageConfig;
use crate::media_types::INDEX;
use rondel_names::{ImageName, ImageReference};

/// Contents of a layout.
pub struct LayoutInput<'a> {
    /// One image a platform, sorted by platform.
    pub images: &'a [PlatformImage],
    /// Puts the compressed layer with a digest at a path, where nothing is.
    pub put_layer: &'a dyn Fn(&Digest, &Path) -> io::Result<()>,
    /// Settings of containers.
    pub config: &'a ImageConfig,
    /// Annotations of index and manifests.
    pub annotations: &'a BTreeMap<String, String>,
    /// Names; they are in the layout, but not in the image's digest.
    pub tags: &'a [ImageName],
    /// Index in `images` of the one that an older Docker daemon loads.
    pub loadable: usize,
}

/// Result of writing a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutReport {
    /// Digest of the image index: the image's digest.
    pub index: Digest,
    /// Digest of the loadable image's configuration: Docker's image ID.
    pub image_id: Digest,
    /// All distinct blobs, sorted.
    pub blobs: Vec<Digest>,
}

/// Directory of the blobs in a layout, and in archives of it.
pub(crate) const BLOBS: &str = "blobs/sha256/";

/// Returns the path of a blob below its layout.
pub fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS}{}", digest.hex())
}

/// Writes the layout into `directory`, which is empty or missing.
pub fn write_layout(input: &LayoutInput<'_>, directory: &Path) -> io::Result<LayoutReport> {
    let blobs = directory.join(BLOBS);
    fs::create_dir_all(&blobs)?;
    let mut written: BTreeSet<Digest> = BTreeSet::new();
    for image in input.images {
        for (_, digest) in image.all_layers() {
            if written.insert(digest) {
                (input.put_layer)(&digest, &blobs.join(digest.hex()))?;
            }
        }
    }
    let mut put = |bytes: &[u8]| -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes)?;
        written.insert(digest);
        Ok(digest)
    };
    let mut manifests = Vec::with_capacity(input.images.len());
    let mut image_id = None;
    for (position, image) in input.images.iter().enumerate() {
        let config = put(&config_json(input.config, image))?;
        let manifest = put(&manifest_json(&config, image, input.annotations))?;
        manifests.push((manifest, image));
        if position == input.loadable {
            image_id = Some(config);
        }
    }
    let index = put(&index_json(&manifests, input.annotations))?;
    let image_id = image_id.ok_or_else(|| io::Error::other("no image to load"))?;
    let top =
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": named(&descriptor(INDEX, &index), input.tags)});
    fs::write(directory.join("index.json"), to_json(&top))?;
    fs::write(directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let layers: Vec<String> =
        input.images[input.loadable].all_layers().iter().map(|(_, digest)| blob_path(digest)).collect();
    let tags: Vec<String> = input.tags.iter().map(ToString::to_string).collect();
    let docker = json!([{"Config": blob_path(&image_id), "RepoTags": tags, "Layers": layers}]);
    fs::write(directory.join("manifest.json"), to_json(&docker))?;
    Ok(LayoutReport { index, image_id, blobs: written.into_iter().collect() })
}

/// Returns the image once a tag, as `index.json` lists it; once without a name if there is no tag. Most tools find an
/// image by the tag alone. containerd, and a Docker that keeps its images there, take the whole name.
fn named(image: &Value, tags: &[ImageName]) -> Vec<Value> {
    if tags.is_empty() {
        return vec![image.clone()];
    }
    let of_tag = |tag: &ImageName| {
        let mut entry = image.clone();
        let whole = ImageReference::new(&tag.to_string()).map_or_else(|_| tag.to_string(), |name| name.to_string());
        entry["annotations"] =
            json!({"io.containerd.image.name": whole, "org.opencontainers.image.ref.name": tag.tag()});
        entry
    };
    tags.iter().map(of_tag).collect()
}
