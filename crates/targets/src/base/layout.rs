//! An OCI layout as a base: a directory of the tree, or the output of another target. Its files come from anywhere, so
//! each is checked against its digest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_buildfile::Platform;
use rondel_cas::{Digest, copy_file, read_at_most};
use rondel_oci::{DOCUMENT_BYTES_MAX, Descriptor, Document, blob_path};

use crate::base::bases::entry_for;
use crate::base::pinned::{CONFIG_BYTES_MAX, PinnedImage, descriptor};

/// An image found in a layout, and the files that decided it.
pub(crate) struct FoundImage {
    pub image: PinnedImage,
    /// Paths below the layout: `index.json`, `blobs/sha256/…`.
    pub files: Vec<String>,
}

/// Finds the image for `platform` in the layout at `directory`. The error says what is wrong with it.
pub(crate) fn find(directory: &Path, platform: &Platform) -> Result<FoundImage, String> {
    let unreadable = |name: &str, error: io::Error| format!("`{name}` can't be read: {error}");
    let top = read_at_most(&directory.join("index.json"), DOCUMENT_BYTES_MAX);
    let top = top.map_err(|error| unreadable("index.json", error))?;
    let mut files = vec!["oci-layout".to_owned(), "index.json".to_owned()];
    // It may leave its own media type out.
    let mut document = parse("application/vnd.oci.image.index.v1+json", &top)?;
    let mut of_manifest = None;
    for _ in 0..4 {
        let entries = match document {
            Document::Manifest { config, layers } => {
                let manifest: Descriptor = of_manifest.ok_or("its index.json is no index")?;
                files.extend([&config].into_iter().chain(&layers).map(|blob| blob_path(&blob.digest)));
                return Ok(FoundImage {
                    image: PinnedImage { created: String::new(), manifest, config, layers },
                    files,
                });
            }
            Document::Index(entries) => entries,
        };
        // One that has no platform is an index over several, or the only image.
        let mut nameless: Vec<&Descriptor> = entries.iter().filter(|entry| entry.platform.is_none()).collect();
        // One entry a tag.
        nameless.dedup_by_key(|entry| entry.digest);
        let entry = match (entry_for(&entries, platform), nameless.as_slice()) {
            (Ok(entry), _) => entry,
            (Err(_), [only]) => only,
            (Err(_), [_, _, ..]) => return Err(format!("its index.json names {} images", nameless.len())),
            (Err(error), []) => return Err(error),
        };
        let name = blob_path(&entry.digest);
        let bytes = read_checked(directory, &entry.digest, DOCUMENT_BYTES_MAX)?;
        document = parse(&entry.media_type, &bytes)?;
        of_manifest = Some(descriptor(&entry.media_type, entry.digest));
        files.push(name);
    }
    Err("its indexes name each other without end".to_owned())
}

fn parse(media_type: &str, bytes: &[u8]) -> Result<Document, String> {
    Document::parse(media_type, bytes).map_err(|error| error.to_string())
}

/// Reads a small blob of the layout at `directory`.
pub(crate) fn read_checked(directory: &Path, digest: &Digest, max: u64) -> Result<Vec<u8>, String> {
    let name = blob_path(digest);
    let bytes =
        read_at_most(&directory.join(&name), max).map_err(|error| format!("`{name}` can't be read: {error}"))?;
    match Digest::of(&bytes) == *digest {
        true => Ok(bytes),
        false => Err(format!("`{name}` has other contents than its name says")),
    }
}

/// Reads the configuration of an image in the layout at `directory`.
pub(crate) fn read_config(directory: &Path, image: &PinnedImage) -> Result<Vec<u8>, String> {
    read_checked(directory, &image.config.digest, CONFIG_BYTES_MAX)
}

/// Copies a blob of the layout at `directory`, and checks the copy.
pub(crate) fn copy_checked(directory: &Path, digest: &Digest, to: &Path) -> Result<(), String> {
    let name = blob_path(digest);
    let from: PathBuf = directory.join(&name);
    let metadata = fs::metadata(&from).map_err(|error| format!("`{name}` can't be read: {error}"))?;
    if metadata.len() != digest.size() || !metadata.is_file() {
        return Err(format!("`{name}` is not the file of {} bytes that its manifest names", digest.size()));
    }
    copy_file(&from, to).map_err(|error| format!("`{name}` can't be copied: {error}"))?;
    let found = Digest::of_file(to).map_err(|error| format!("`{name}` can't be copied: {error}"))?;
    match found == *digest {
        true => Ok(()),
        false => Err(format!("`{name}` has other contents than its name says")),
    }
}
