//! Loading an image into a daemon without the layers that it has, and removing what it replaced there.
//!
//! Docker's own store knows a layer by the diff IDs of it and all below it. Of those that it has, it does not open the file in an
//! archive: so the archive can do without them. The store of containerd and that of podman want every file.

use std::io;
use std::path::Path;
use std::time::Duration;

use rondel_cas::{TEXT_MAX, read_at_most};
use rondel_oci::ImageArchive;
use serde_json::Value;

use super::socket::{Body, DockerSocket};

/// What loading sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Layers that the daemon had.
    pub kept: usize,
    /// Size of the archive in bytes.
    pub bytes: u64,
}

impl DockerSocket {
    /// Loads the layout at `directory`. `known` names images that may share layers with it: by name or ID.
    pub fn load(&self, directory: &Path, known: &[String], goes_on: &dyn Fn() -> bool) -> io::Result<Sent> {
        let wanted = diff_ids(directory)?;
        let mut kept = 0;
        if !known.is_empty() && self.has_layers_by_chain(goes_on)? {
            for name in known {
                let Some(image) = self.image(name, goes_on)? else { continue };
                let shared = image.layers.iter().zip(&wanted).take_while(|(there, wanted)| there == wanted).count();
                kept = kept.max(shared);
            }
        }
        match self.send(directory, kept, goes_on) {
            // Somebody removed the image meanwhile, or the store is another than it says.
            Err(error) if kept > 0 && error.kind() != io::ErrorKind::Interrupted => self.send(directory, 0, goes_on),
            outcome => outcome,
        }
    }

    fn send(&self, directory: &Path, kept: usize, goes_on: &dyn Fn() -> bool) -> io::Result<Sent> {
        let archive = ImageArchive::for_daemon(directory, kept)?;
        let sent = Sent { kept, bytes: archive.size() };
        let line = "POST /images/load?quiet=1".to_owned();
        let (status, answer) = self.request(line, Body::Archive(archive), Duration::from_secs(3600), goes_on)?;
        let text = String::from_utf8_lossy(&answer);
        if status != 200 || text.contains("\"errorDetail\"") {
            return Err(io::Error::other(format!("the Docker daemon answered {status}: {}", text.trim())));
        }
        Ok(sent)
    }

    /// Returns true for Docker with a store of its own.
    fn has_layers_by_chain(&self, goes_on: &dyn Fn() -> bool) -> io::Result<bool> {
        let ask = |path: &str| -> io::Result<Value> {
            match self.get(path, goes_on)? {
                (200, body) => serde_json::from_slice(&body).map_err(io::Error::other),
                _ => Ok(Value::Null),
            }
        };
        let version = ask("/version")?;
        let components = version["Components"].as_array().cloned().unwrap_or_default();
        let is_docker = components.iter().any(|component| component["Name"] == "Engine");
        // `[["driver-type", "io.containerd.snapshotter.v1"]]`
        let status = ask("/info")?["DriverStatus"].as_array().cloned();
        Ok(is_docker && status.is_some_and(|pairs| pairs.iter().all(|pair| pair[0] != "driver-type")))
    }

    /// Removes an image that has no name. Returns false if the daemon keeps it, for a container uses it.
    pub fn remove_nameless(&self, id: &str, goes_on: &dyn Fn() -> bool) -> io::Result<bool> {
        match self.image(id, goes_on)? {
            Some(image) if image.id == id && image.tags.is_empty() && image.digests.is_empty() => {}
            _ => return Ok(false),
        }
        let line = format!("DELETE /images/{id}");
        let (status, _) = self.request(line, Body::Nothing, Duration::from_secs(60), goes_on)?;
        Ok(status == 200)
    }
}

/// Returns the diff IDs of the layers that a daemon loads from the layout.
fn diff_ids(directory: &Path) -> io::Result<Vec<String>> {
    let read = |name: &str| -> io::Result<Value> {
        serde_json::from_slice(&read_at_most(&directory.join(name), TEXT_MAX)?).map_err(io::Error::other)
    };
    let manifest = read("manifest.json")?;
    let name = manifest[0]["Config"].as_str().filter(|name| is_blob(name));
    let config = read(name.ok_or_else(|| io::Error::other("`manifest.json` names no configuration"))?)?;
    let ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
    Ok(ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
}

fn is_blob(name: &str) -> bool {
    name.strip_prefix("blobs/sha256/").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
