//! Loading an image into a daemon without the layers that it has, and removing what it replaced there.
//!
//! Docker's own store knows a layer by the diff IDs of it and all below it. Of those that it has, it does not open the file in an
//! archive: so the archive can do without them. The image store of containerd (Docker 29, Docker Desktop) reads the OCI layout, and
//! has each blob under its digest. That of podman wants every file.

use std::io;
use std::path::Path;
use std::time::Duration;

use rondel_oci::{ImageArchive, loaded_diff_ids};
use serde_json::Value;

use super::socket::{Body, DockerSocket};

/// What keeps the images of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageStore {
    /// Docker's own: an image has the digest of its configuration as its ID.
    Docker,
    /// containerd's: an image has the digest of its index as its ID.
    Containerd,
    /// Another one, podman's for example.
    Other,
}

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
        let wanted = loaded_diff_ids(directory)?;
        let mut kept = 0;
        let store = self.store(goes_on)?;
        if store != ImageStore::Other {
            for name in known {
                let Some(image) = self.image(name, goes_on)? else { continue };
                let shared = image.layers.iter().zip(&wanted).take_while(|(there, wanted)| there == wanted).count();
                kept = kept.max(shared);
            }
        }
        match self.send(store, directory, kept, goes_on) {
            // Somebody removed the image meanwhile, or its layers are there in another form.
            Err(error) if kept > 0 && error.kind() != io::ErrorKind::Interrupted => {
                self.send(store, directory, 0, goes_on)
            }
            outcome => outcome,
        }
    }

    fn send(&self, store: ImageStore, directory: &Path, kept: usize, goes_on: &dyn Fn() -> bool) -> io::Result<Sent> {
        let archive = store.archive(directory, kept)?;
        let sent = Sent { kept, bytes: archive.size() };
        let line = "POST /images/load?quiet=1".to_owned();
        let (status, answer) = self.request(line, Body::Archive(archive), Duration::from_secs(3600), goes_on)?;
        let text = String::from_utf8_lossy(&answer);
        if status != 200 || text.contains("\"errorDetail\"") {
            return Err(io::Error::other(format!("the Docker daemon answered {status}: {}", text.trim())));
        }
        Ok(sent)
    }

    /// Asks the daemon what keeps its images.
    fn store(&self, goes_on: &dyn Fn() -> bool) -> io::Result<ImageStore> {
        let ask = |path: &str| -> io::Result<Value> {
            match self.get(path, goes_on)? {
                (200, body) => serde_json::from_slice(&body).map_err(io::Error::other),
                _ => Ok(Value::Null),
            }
        };
        let version = ask("/version")?;
        let components = version["Components"].as_array().cloned().unwrap_or_default();
        if !components.iter().any(|component| component["Name"] == "Engine") {
            return Ok(ImageStore::Other);
        }
        Ok(ImageStore::of_status(&ask("/info")?["DriverStatus"]))
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

impl ImageStore {
    /// Reads the `DriverStatus` of a Docker daemon: `[["driver-type", "io.containerd.snapshotter.v1"]]`.
    pub fn of_status(status: &Value) -> ImageStore {
        match status.as_array() {
            Some(pairs) if pairs.iter().any(|pair| pair[0] == "driver-type") => ImageStore::Containerd,
            Some(_) => ImageStore::Docker,
            None => ImageStore::Other,
        }
    }

    /// Returns what the store loads, without the first `kept` layers.
    pub fn archive(self, layout: &Path, kept: usize) -> io::Result<ImageArchive> {
        match self {
            ImageStore::Containerd => ImageArchive::for_containerd(layout, kept),
            ImageStore::Docker | ImageStore::Other => ImageArchive::for_daemon(layout, kept),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Starts a daemon that has the image `known` with the layer `sha256:a`. If `info` says `broken`, it loads no archive that lacks
    /// a layer.
    fn daemon(version: &'static str, info: &'static str) -> (DockerSocket, Arc<Mutex<Vec<String>>>) {
        let path = std::env::temp_dir().join(format!("rondel-{}.sock", rondel_cas::temporary_name()));
        let listener = UnixListener::bind(&path).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                stream.read_exact(&mut body).unwrap();
                let line = head.split(" HTTP").next().unwrap().to_owned();
                let has = |name: &str| body.windows(name.len()).any(|part| part == name.as_bytes());
                let form = if has("oci-layout") { " oci" } else { "" };
                let layers = ["/aa", "/bb"].iter().filter(|name| has(&format!("sha256{name}\0"))).count();
                let (status, answer) = match line.as_str() {
                    "GET /version" => (200, version.to_owned()),
                    "GET /info" => (200, info.to_owned()),
                    "GET /images/known/json" => {
                        (200, r#"{"Id":"x","RootFS":{"Layers":["sha256:a","sha256:c"]}}"#.to_owned())
                    }
                    _ if line.starts_with("POST") && layers == 1 && form.is_empty() && info.contains("broken") => {
                        (500, "gone".to_owned())
                    }
                    _ if line.starts_with("POST") => (200, "{}".to_owned()),
                    _ => (404, String::new()),
                };
                let told = if body.is_empty() { line } else { format!("{line}{form} {layers} layers") };
                log.lock().unwrap().push(told);
                let _ = write!(stream, "HTTP/1.0 {status} X\r\n\r\n{answer}");
            }
        });
        (DockerSocket::at(&path), asked)
    }

    fn loaded(version: &'static str, info: &'static str) -> Vec<String> {
        let layout = std::env::temp_dir().join(rondel_cas::temporary_name());
        let blobs = layout.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        for (name, text) in [
            (
                "manifest.json",
                r#"[{"Config":"blobs/sha256/cc","RepoTags":[],"Layers":["blobs/sha256/aa","blobs/sha256/bb"]}]"#,
            ),
            ("index.json", "{}"),
            ("oci-layout", "{}"),
            ("blobs/sha256/aa", "lower"),
            ("blobs/sha256/bb", "upper"),
            ("blobs/sha256/cc", r#"{"rootfs":{"diff_ids":["sha256:a","sha256:b"]}}"#),
        ] {
            std::fs::write(layout.join(name), text).unwrap();
        }
        let (socket, asked) = daemon(version, info);
        socket.load(&layout, &["known".to_owned(), "unknown".to_owned()], &|| true).unwrap();
        std::fs::remove_dir_all(layout).unwrap();
        let _ = std::fs::remove_file(socket.path());
        let asked = asked.lock().unwrap();
        asked.iter().filter(|line| line.starts_with("POST")).cloned().collect()
    }

    #[test]
    fn each_store_gets_what_it_needs() {
        const ENGINE: &str = r#"{"Components":[{"Name":"Engine"}]}"#;
        const LOAD: &str = "POST /images/load?quiet=1";
        for (version, info, expected) in [
            (ENGINE, r#"{"DriverStatus":[["Backing Filesystem","extfs"]]}"#, vec![" 1 layers"]),
            (ENGINE, r#"{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#, vec![" oci 1 layers"]),
            (r#"{"Components":[{"Name":"Podman Engine"}]}"#, r#"{"DriverStatus":[]}"#, vec![" 2 layers"]),
            // What it says it has is gone: everything is sent.
            (ENGINE, r#"{"DriverStatus":[["x","broken"]]}"#, vec![" 1 layers", " 2 layers"]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(|rest| format!("{LOAD}{rest}")).collect();
            assert_eq!(loaded(version, info), expected, "{info}");
        }
    }
}
