//! An image of the Docker daemon as a base: `docker save` gives its layers, which are compressed as Rondel's own are.

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::Path;

use rondel_cas::{Digest, TemporaryFile, copy_file, open_regular, read_at_most};
use rondel_engine::{Job, StepError};
use rondel_oci::{BaseConfig, Compression, Descriptor, unpack_docker_archive};

use crate::base::pinned::{CONFIG_BYTES_MAX, PinnedImage, descriptor};
use crate::docker::Docker;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image out of the daemon.
pub(crate) struct Saved {
    pub image: PinnedImage,
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
}

/// Gets the image `id` out of the daemon. Its layers are put into `blobs`, each under its digest's hex digits.
pub(crate) fn save(
    docker: &Docker,
    id: &str,
    blobs: &Path,
    threads: usize,
    context: &Job<'_>,
) -> Result<Saved, StepError> {
    let work = context.staging.join("saved");
    let archive = context.staging.join("image.tar");
    let unwritable = |error: io::Error| StepError::unwritable(&work, &error);
    fs::create_dir_all(&work).map_err(unwritable)?;
    fs::create_dir_all(blobs).map_err(unwritable)?;
    context.run(&docker.command(["save", "--output", &archive.to_string_lossy(), id]))?;
    let wrong = |error: &dyn std::fmt::Display| {
        StepError::environment(format!("what `docker save` gave for `{id}` can't be read: {error}"))
    };
    let (mut file, _) = open_regular(&archive).map_err(|error| wrong(&error))?;
    let found = unpack_docker_archive(&mut file, &work).map_err(|error| wrong(&error))?;
    fs::remove_file(&archive).map_err(unwritable)?;
    let config = read_at_most(&found.config, CONFIG_BYTES_MAX).map_err(|error| wrong(&error))?;
    BaseConfig::parse(&config, found.layers.len()).map_err(|error| wrong(&error))?;
    let mut layers: Vec<Descriptor> = Vec::with_capacity(found.layers.len());
    for layer in &found.layers {
        layers.push(keep_layer(layer, blobs, threads).map_err(|error| wrong(&error))?);
    }
    fs::remove_dir_all(&work).map_err(unwritable)?;
    let written = |blob: &Descriptor| serde_json::json!({"mediaType": blob.media_type, "digest": blob.digest.oci(), "size": blob.digest.size()});
    let of_config = descriptor(CONFIG, Digest::of(&config));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": written(&of_config),
        "layers": layers.iter().map(written).collect::<Vec<_>>(),
    });
    let manifest = serde_json::to_vec(&manifest).expect("plain data");
    let of_manifest = descriptor(MANIFEST, Digest::of(&manifest));
    let image = PinnedImage { created: String::new(), manifest: of_manifest, config: of_config, layers };
    Ok(Saved { image, manifest, config })
}

/// Puts a layer into `blobs`, compressed if it is not yet.
fn keep_layer(layer: &Path, blobs: &Path, threads: usize) -> io::Result<Descriptor> {
    let (file, _) = open_regular(layer)?;
    let mut file = BufReader::new(file);
    let mut head = [0_u8; 4];
    let count = file.read(&mut head)?;
    let is_compressed = head[..count].starts_with(&[0x1f, 0x8b]) || head == [0x28, 0xb5, 0x2f, 0xfd];
    if is_compressed {
        let digest = Digest::of_file(layer)?;
        copy_file(layer, &blobs.join(digest.hex()))?;
        let is_gzip = head[0] == 0x1f;
        return Ok(descriptor(if is_gzip { LAYER } else { "application/vnd.oci.image.layer.v1.tar+zstd" }, digest));
    }
    let mut temporary = TemporaryFile::new_in(blobs)?;
    let (plain, _) = open_regular(layer)?;
    Compression::Gzip.compress(&mut BufReader::new(plain), temporary.file(), threads)?;
    let digest = Digest::of_file(temporary.path())?;
    temporary.persist(&blobs.join(digest.hex()))?;
    Ok(descriptor(LAYER, digest))
}
