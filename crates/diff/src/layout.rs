//! Two OCI image layouts: layers first, since a layer that differs changes everything above it. Then the configuration,
//! the manifest, the index.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Difference, Traces, diff_files, json};

/// One platform of a layout.
#[derive(Clone, Debug)]
pub struct LayoutImage {
    /// `linux/arm/v7`
    pub platform: String,
    /// Digest of the manifest, `sha256:…`.
    pub digest: String,
    /// The manifest.
    pub manifest: Value,
    /// The configuration.
    pub config: Value,
    /// Digest, size in bytes and place of each layer, lowest first.
    pub layers: Vec<(String, u64, PathBuf)>,
}

/// Returns the digest of a layout's first image or index, and its platforms.
pub fn read_layout(directory: &Path) -> io::Result<(String, Vec<LayoutImage>)> {
    let index = read_json(&directory.join("index.json"))?;
    let top = index["manifests"].get(0).ok_or_else(|| io::Error::other("its index.json lists nothing"))?;
    let digest = text(&top["digest"]);
    let mut images = Vec::new();
    let whole = read_json(&blob(directory, &digest)?)?;
    let is_index = whole["manifests"].is_array();
    let descriptors =
        if is_index { whole["manifests"].as_array().cloned().unwrap_or_default() } else { vec![top.clone()] };
    for descriptor in descriptors {
        let digest = text(&descriptor["digest"]);
        let manifest = read_json(&blob(directory, &digest)?)?;
        let config = read_json(&blob(directory, &text(&manifest["config"]["digest"]))?)?;
        let parts = ["os", "architecture", "variant"].map(|name| text(&config[name]));
        let platform = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/");
        let mut layers = Vec::new();
        for layer in manifest["layers"].as_array().into_iter().flatten() {
            let digest = text(&layer["digest"]);
            let place = blob(directory, &digest)?;
            layers.push((digest, layer["size"].as_u64().unwrap_or(0), place));
        }
        images.push(LayoutImage { platform, digest, manifest, config, layers });
    }
    Ok((digest, images))
}

/// Returns the first difference of two layouts; `None` if the images are the same. Tags are not compared.
pub fn diff_layouts(first: &Path, second: &Path, traces: &Traces) -> io::Result<Option<Difference>> {
    let ((one_digest, one), (other_digest, other)) = (read_layout(first)?, read_layout(second)?);
    if one_digest == other_digest {
        return Ok(None);
    }
    let by_platform = |images: &[LayoutImage]| -> BTreeMap<String, LayoutImage> {
        images.iter().map(|image| (image.platform.clone(), image.clone())).collect()
    };
    let (one, other) = (by_platform(&one), by_platform(&other));
    for (platform, image) in &one {
        let Some(twin) = other.get(platform) else {
            return Ok(Some(Difference::new(format!("{platform} is in the first only"))));
        };
        if let Some(difference) = diff_images(image, twin, traces)? {
            return Ok(Some(difference.within(platform)));
        }
    }
    if let Some(platform) = other.keys().find(|platform| !one.contains_key(*platform)) {
        return Ok(Some(Difference::new(format!("{platform} is in the second only"))));
    }
    let index = |directory: &Path, digest: &str| read_json(&blob(directory, digest)?);
    let inside = json::compare(&index(first, &one_digest)?, &index(second, &other_digest)?);
    let same = || Difference::new("the same values, written differently");
    Ok(Some(inside.unwrap_or_else(same).within("image index")))
}

fn diff_images(one: &LayoutImage, other: &LayoutImage, traces: &Traces) -> io::Result<Option<Difference>> {
    if one.digest == other.digest {
        return Ok(None);
    }
    for (position, (left, right)) in one.layers.iter().zip(&other.layers).enumerate() {
        if left.0 != right.0 {
            let what = text(&one.config["history"][position]["comment"]);
            let name = if what.is_empty() { String::new() } else { format!(" ({what})") };
            let inside = diff_files(&left.2, &right.2, traces)?;
            let same =
                || Difference::new("the digests differ, but the files are the same: one of the layouts is damaged");
            return Ok(Some(inside.unwrap_or_else(same).within(format!("layer {position}{name}"))));
        }
    }
    if let Some(difference) = json::compare(&one.config, &other.config) {
        return Ok(Some(difference.within("configuration")));
    }
    let inside = json::compare(&one.manifest, &other.manifest);
    let same = || Difference::new("the same values, written differently");
    Ok(Some(inside.unwrap_or_else(same).within("manifest")))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

/// Returns the path of a blob. The digest is from a file that may be hostile: only hex digits lead anywhere.
fn blob(directory: &Path, digest: &str) -> io::Result<PathBuf> {
    let hex = digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| io::Error::other(format!("`{}` is no digest", digest.escape_debug())))?;
    Ok(directory.join("blobs/sha256").join(hex))
}

#[allow(clippy::disallowed_methods, reason = "it was made by a build of this machine, and stands still")]
fn read_json(path: &Path) -> io::Result<Value> {
    if fs::metadata(path)?.len() > 16 * 1024 * 1024 {
        return Err(io::Error::other(format!("`{}` is too large", path.display())));
    }
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)
}

/// Calls `visit` with the name, size in bytes and contents of each file in a compressed layer.
#[allow(clippy::disallowed_methods, reason = "it was made by a build of this machine, and stands still")]
pub fn layer_files(layer: &Path, visit: &mut dyn FnMut(&str, u64, &mut dyn io::Read)) -> io::Result<()> {
    let file = io::BufReader::new(fs::File::open(layer)?);
    let mut archive = tar::Archive::new(rondel_oci::decompressed(file)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).escape_debug().to_string();
            let size = entry.size();
            visit(&name, size, &mut io::Read::take(&mut entry, crate::SIZE_MAX));
        }
    }
    Ok(())
}
