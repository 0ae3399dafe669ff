//! A layout as one tar: what a Docker daemon loads, and the file that all tools read.
//!
//! A daemon before 23.0 reads gzip and plain layers, and none of zstd. So `manifest.json`, which is Docker's, names such
//! layers uncompressed in an archive. The OCI index in the same archive names them as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Hasher, TEXT_MAX, open_regular, read_at_most};
use serde_json::Value;

use crate::base_files::LAYER_BYTES_MAX;
use crate::compression::{decompressed, is_zstd};
use crate::layout::{BLOBS, blob_path};
use crate::tar_header::{Header, Kind};

const DOCKER_MANIFEST: &str = "manifest.json";

/// The members of an archive. Their contents stay where they are until the archive is written.
pub struct ImageArchive {
    /// Sorted by name.
    members: BTreeMap<String, Member>,
}

enum Member {
    Bytes(Vec<u8>),
    File {
        path: PathBuf,
        size: u64,
    },
    /// A compressed layer, which becomes the tar in it. The size is that of the tar.
    Unpacked {
        path: PathBuf,
        size: u64,
    },
}

impl ImageArchive {
    /// Returns the archive for a Docker daemon: only what `manifest.json` names, since a daemon that reads it reads
    /// nothing else. The first `left_out` layers of the image are named and not there, for a daemon that has them.
    pub fn for_daemon(layout: &Path, left_out: usize) -> io::Result<ImageArchive> {
        let text = read_at_most(&layout.join(DOCKER_MANIFEST), TEXT_MAX)?;
        let mut manifest: Value = serde_json::from_slice(&text).map_err(io::Error::other)?;
        let mut members = BTreeMap::new();
        let mut is_changed = false;
        for image in manifest.as_array_mut().into_iter().flatten() {
            if let Some(config) = image["Config"].as_str() {
                check_blob_name(config, DOCKER_MANIFEST)?;
                members.insert(config.to_owned(), Member::file(layout.join(config))?);
            }
            for layer in image["Layers"].as_array_mut().into_iter().flatten().skip(left_out) {
                let Some(name) = layer.as_str() else { continue };
                check_blob_name(name, DOCKER_MANIFEST)?;
                let (name, member) = loadable(name, layout.join(name))?;
                is_changed |= matches!(member, Member::Unpacked { .. });
                members.insert(name.clone(), member);
                *layer = Value::String(name);
            }
        }
        let text = if is_changed { serde_json::to_vec(&manifest).map_err(io::Error::other)? } else { text };
        members.insert(DOCKER_MANIFEST.to_owned(), Member::Bytes(text));
        Ok(ImageArchive { members })
    }

    /// Returns the archive for a daemon with the image store of containerd, which reads the OCI layout and knows the image
    /// by the digest of its index. The first `left_out` layers of the image that `manifest.json` names are not there.
    pub fn for_containerd(layout: &Path, left_out: usize) -> io::Result<ImageArchive> {
        let manifest = read_json(layout, DOCKER_MANIFEST)?;
        let layers = manifest[0]["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let left_out: Vec<&str> = layers.take(left_out).collect();
        let mut archive = ImageArchive { members: BTreeMap::new() };
        archive.add_oci(layout, &left_out)?;
        Ok(archive)
    }

    /// Returns the archive of the whole layout, which is an OCI archive too.
    pub fn whole(layout: &Path) -> io::Result<ImageArchive> {
        let mut archive = ImageArchive::for_daemon(layout, 0)?;
        archive.add_oci(layout, &[])?;
        Ok(archive)
    }

    /// Adds the files of the OCI layout.
    fn add_oci(&mut self, layout: &Path, left_out: &[&str]) -> io::Result<()> {
        for name in ["oci-layout", "index.json"] {
            self.members.insert(name.to_owned(), Member::file(layout.join(name))?);
        }
        for entry in std::fs::read_dir(layout.join(BLOBS))? {
            let entry = entry?;
            let name = format!("{BLOBS}{}", entry.file_name().to_string_lossy());
            check_blob_name(&name, "the layout")?;
            if left_out.contains(&name.as_str()) {
                continue;
            }
            self.members.insert(name, Member::file(entry.path())?);
        }
        Ok(())
    }

    /// Returns the size of the archive in bytes.
    pub fn size(&self) -> u64 {
        let members = self.members.values();
        1024 + members.map(|member| 512 + member.size().next_multiple_of(512)).sum::<u64>()
    }

    /// Writes the archive: sorted, uncompressed, without times and owners.
    pub fn write(&self, destination: &mut dyn Write) -> io::Result<()> {
        for (name, member) in &self.members {
            let size = member.size();
            let header = Header {
                path: name,
                kind: Kind::File { size },
                mode: 0o644,
                uid: 0,
                gid: 0,
                modified_s: 0,
                capabilities: 0,
            };
            destination.write_all(&header.encode()?)?;
            if member.copy(destination)? != size {
                return Err(io::Error::other(format!("`{name}` changed while it was read")));
            }
            destination.write_all(&vec![0; (size.next_multiple_of(512) - size) as usize])?;
        }
        destination.write_all(&[0; 1024])
    }
}

impl Member {
    fn file(path: PathBuf) -> io::Result<Member> {
        let (_, metadata) = open_regular(&path)?;
        Ok(Member::File { path, size: metadata.len() })
    }

    fn size(&self) -> u64 {
        match self {
            Member::Bytes(bytes) => bytes.len() as u64,
            Member::File { size, .. } | Member::Unpacked { size, .. } => *size,
        }
    }

    fn copy(&self, destination: &mut dyn Write) -> io::Result<u64> {
        match self {
            Member::Bytes(bytes) => destination.write_all(bytes).map(|()| bytes.len() as u64),
            Member::File { path, .. } => io::copy(&mut open_regular(path)?.0, destination),
            Member::Unpacked { path, .. } => {
                io::copy(&mut decompressed(BufReader::new(open_regular(path)?.0))?.take(LAYER_BYTES_MAX), destination)
            }
        }
    }
}

/// Returns the diff IDs, `sha256:…`, of the layers that a daemon loads from the layout, lowest first.
pub fn loaded_diff_ids(layout: &Path) -> io::Result<Vec<String>> {
    let manifest = read_json(layout, DOCKER_MANIFEST)?;
    let config = manifest[0]["Config"].as_str().unwrap_or_default();
    check_blob_name(config, DOCKER_MANIFEST)?;
    let config = read_json(layout, config)?;
    let ids = config["rootfs"]["diff_ids"].as_array().into_iter().flatten();
    Ok(ids.filter_map(|id| id.as_str().map(str::to_owned)).collect())
}

fn read_json(layout: &Path, name: &str) -> io::Result<Value> {
    serde_json::from_slice(&read_at_most(&layout.join(name), TEXT_MAX)?).map_err(io::Error::other)
}

/// Returns a layer as every daemon loads it, under a name by its contents.
fn loadable(name: &str, path: PathBuf) -> io::Result<(String, Member)> {
    let (file, metadata) = open_regular(&path)?;
    let mut reader = BufReader::new(file);
    if !is_zstd(io::BufRead::fill_buf(&mut reader)?) {
        return Ok((name.to_owned(), Member::File { path, size: metadata.len() }));
    }
    let tar = tar_of(reader).map_err(|error| io::Error::new(error.kind(), format!("`{name}`: {error}")))?;
    Ok((blob_path(&tar), Member::Unpacked { path, size: tar.size() }))
}

/// Returns the digest of the tar in a layer: its diff ID.
fn tar_of(layer: BufReader<File>) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut tar = decompressed(layer)?.take(LAYER_BYTES_MAX);
    let mut buffer = vec![0_u8; 128 * 1024];
    loop {
        match tar.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn check_blob_name(name: &str, place: &str) -> io::Result<()> {
    let is_sound = |hex: &str| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.strip_prefix(BLOBS).is_some_and(is_sound) {
        true => Ok(()),
        false => Err(io::Error::other(format!("`{place}` names `{}`", name.escape_debug()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Layout(PathBuf);

    impl Layout {
        /// A layout with these layers, and one blob that only the index would name.
        fn new(layers: &[&[u8]]) -> Layout {
            let directory = std::env::temp_dir().join(rondel_cas::temporary_name());
            fs::create_dir_all(directory.join(BLOBS)).unwrap();
            let put = |bytes: &[u8]| {
                let name = format!("{BLOBS}{}", Digest::of(bytes).hex());
                fs::write(directory.join(&name), bytes).unwrap();
                name
            };
            let layers: Vec<String> = layers.iter().map(|layer| put(layer)).collect();
            let manifest = serde_json::json!([{"Config": put(b"{}"), "Layers": layers, "RepoTags": ["x:1"]}]);
            put(b"of the index");
            fs::write(directory.join(DOCKER_MANIFEST), manifest.to_string()).unwrap();
            fs::write(directory.join("oci-layout"), "{}").unwrap();
            fs::write(directory.join("index.json"), "{}").unwrap();
            Layout(directory)
        }
    }

    impl Drop for Layout {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn written(archive: &ImageArchive) -> BTreeMap<String, Vec<u8>> {
        let mut bytes = Vec::new();
        archive.write(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, archive.size());
        let mut tar = tar::Archive::new(&bytes[..]);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            (entry.path().unwrap().display().to_string(), contents)
        };
        tar.entries().unwrap().map(read).collect()
    }

    #[test]
    fn layers_of_zstd_are_plain_for_docker() {
        let tar = [7_u8; 5_000];
        let zstd = ruzstd::encoding::compress_to_vec(&tar[..], ruzstd::encoding::CompressionLevel::Fastest);
        let layout = Layout::new(&[b"plain", &zstd]);
        let blob = |bytes: &[u8]| format!("{BLOBS}{}", Digest::of(bytes).hex());
        let whole = written(&ImageArchive::whole(&layout.0).unwrap());
        let manifest: Value = serde_json::from_slice(&whole[DOCKER_MANIFEST]).unwrap();
        assert_eq!(manifest[0]["Layers"], serde_json::json!([blob(b"plain"), blob(&tar)]));
        assert_eq!(whole[&blob(&tar)], tar);
        assert_eq!(whole[&blob(&zstd)], zstd);
        assert_eq!(whole.len(), 8, "{:?}", whole.keys());
        let daemon = written(&ImageArchive::for_daemon(&layout.0, 0).unwrap());
        let mut names = [blob(b"{}"), blob(b"plain"), blob(&tar), DOCKER_MANIFEST.to_owned()];
        names.sort();
        assert_eq!(daemon.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
        assert_eq!(daemon[DOCKER_MANIFEST], whole[DOCKER_MANIFEST]);
    }

    #[test]
    fn without_zstd_the_manifest_is_that_of_the_layout() {
        let layout = Layout::new(&[b"plain"]);
        let whole = written(&ImageArchive::whole(&layout.0).unwrap());
        assert_eq!(whole[DOCKER_MANIFEST], read_at_most(&layout.0.join(DOCKER_MANIFEST), TEXT_MAX).unwrap());
        let directory = fs::read_dir(layout.0.join(BLOBS)).unwrap().count();
        assert_eq!(whole.len(), directory + 3);
    }

    #[test]
    fn layers_that_a_daemon_has_are_named_and_not_there() {
        let layout = Layout::new(&[b"one", b"two"]);
        let all = written(&ImageArchive::for_daemon(&layout.0, 0).unwrap());
        let last = written(&ImageArchive::for_daemon(&layout.0, 1).unwrap());
        assert_eq!(last["manifest.json"], all["manifest.json"]);
        assert_eq!(last.len() + 1, all.len());
        assert!(last.iter().all(|(name, bytes)| all[name] == *bytes));
        assert!(!last.values().any(|bytes| bytes == b"one"));
    }

    #[test]
    fn containerd_gets_the_oci_layout_without_the_layers_that_it_has() {
        let layout = Layout::new(&[b"one", b"two"]);
        let all = written(&ImageArchive::for_containerd(&layout.0, 0).unwrap());
        assert!(all.contains_key("index.json") && all.contains_key("oci-layout"), "{:?}", all.keys());
        assert!(!all.contains_key("manifest.json"), "it would be read instead");
        let last = written(&ImageArchive::for_containerd(&layout.0, 1).unwrap());
        assert_eq!(last.len() + 1, all.len());
        assert!(last.iter().all(|(name, bytes)| all[name] == *bytes));
        assert!(!last.values().any(|bytes| bytes == b"one") && last.values().any(|bytes| bytes == b"two"));
    }

    #[test]
    fn names_that_lead_elsewhere() {
        let layout = Layout::new(&[]);
        fs::write(layout.0.join(DOCKER_MANIFEST), r#"[{"Config":"blobs/sha256/../../../etc/passwd"}]"#).unwrap();
        let error = ImageArchive::for_daemon(&layout.0, 0).err().unwrap();
        assert_eq!(error.to_string(), "`manifest.json` names `blobs/sha256/../../../etc/passwd`");
        fs::write(layout.0.join(DOCKER_MANIFEST), "[]").unwrap();
        fs::write(layout.0.join("blobs/sha256/x y"), "").unwrap();
        assert!(ImageArchive::whole(&layout.0).is_err());
    }
}
