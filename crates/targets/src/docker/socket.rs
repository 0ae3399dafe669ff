//! The daemon's socket: questions that take a millisecond, and the loading of images.
//!
//! A daemon may be stopped, full, or something else altogether. So each request has a deadline, and ends when its
//! waiter wants to.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rondel_oci::ImageArchive;

/// How often a waiter is asked whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The daemon's socket.
#[derive(Clone, Debug)]
pub struct DockerSocket {
    path: PathBuf,
}

/// Maximum size of an answer in bytes; larger ones are refused.
const ANSWER_MAX: u64 = 16 * 1024 * 1024;

impl DockerSocket {
    /// Returns the socket for the caller's environment; `None` if the daemon is elsewhere (tcp, ssh, a context) or
    /// missing.
    pub fn find(environment: &BTreeMap<String, String>) -> Option<DockerSocket> {
        let mut candidates = Vec::new();
        match (environment.get("DOCKER_HOST"), environment.get("DOCKER_CONTEXT")) {
            (Some(host), _) if !host.is_empty() => candidates.push(PathBuf::from(host.strip_prefix("unix://")?)),
            (_, Some(context)) if !context.is_empty() && context != "default" => return None,
            _ => {
                candidates.push(PathBuf::from("/var/run/docker.sock"));
                if let Some(runtime) = environment.get("XDG_RUNTIME_DIR") {
                    candidates.push(Path::new(runtime).join("docker.sock"));
                }
                if let Some(home) = environment.get("HOME") {
                    candidates.push(Path::new(home).join(".docker/run/docker.sock"));
                }
            }
        }
        candidates.into_iter().find(|path| path.exists()).map(|path| DockerSocket { path })
    }

    /// As `find`, or else podman's, which speaks the same language.
    pub fn find_any(environment: &BTreeMap<String, String>) -> Option<DockerSocket> {
        let is_elsewhere = ["DOCKER_HOST", "DOCKER_CONTEXT"].iter().any(|name| environment.contains_key(*name));
        let runtime = environment.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let of_user = runtime.into_iter().chain([PathBuf::from("/run")]).filter(|_| !is_elsewhere);
        let mut podman = of_user.map(|directory| directory.join("podman/podman.sock"));
        let podman = || podman.find(|path| path.exists()).map(|path| DockerSocket { path });
        DockerSocket::find(environment).or_else(podman)
    }

    /// Returns the socket at a path.
    #[cfg(test)]
    pub fn at(path: &Path) -> DockerSocket {
        DockerSocket { path: path.to_owned() }
    }

    /// Returns the socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Requests `path`; returns status and body. Calls `goes_on` now and then; it returns whether to go on waiting.
    pub fn get(&self, path: &str, goes_on: &dyn Fn() -> bool) -> io::Result<(u16, Vec<u8>)> {
        self.request(format!("GET {path}"), Body::Nothing, Duration::from_secs(10), goes_on)
    }

    /// Returns the names and the user of the image `id`, if it exists.
    pub fn image(&self, id: &str, goes_on: &dyn Fn() -> bool) -> io::Result<Option<DockerImage>> {
        let safe = id.chars().all(|character| character.is_ascii_alphanumeric() || ":/._-@".contains(character));
        if !safe {
            return Err(io::Error::other("not the name of an image"));
        }
        match self.get(&format!("/images/{id}/json"), goes_on)? {
            (200, body) => {
                let value: serde_json::Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
                let texts = |value: &serde_json::Value| -> Vec<String> {
                    let items = value.as_array().into_iter().flatten();
                    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
                };
                Ok(Some(DockerImage {
                    id: value["Id"].as_str().unwrap_or_default().to_owned(),
                    tags: texts(&value["RepoTags"]),
                    digests: texts(&value["RepoDigests"]),
                    layers: texts(&value["RootFS"]["Layers"]),
                    user: value["Config"]["User"].as_str().unwrap_or_default().to_owned(),
                }))
            }
            (404, _) => Ok(None),
            (status, _) => Err(io::Error::other(format!("the Docker daemon answered {status}"))),
        }
    }

    /// Lets a thread make the request, and waits for it: a daemon that accepts and says nothing holds up nobody.
    pub(super) fn request(
        &self,
        line: String,
        body: Body,
        within: Duration,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<(u16, Vec<u8>)> {
        let (sender, receiver) = mpsc::channel();
        let path = self.path.clone();
        std::thread::spawn(move || {
            // Nobody may listen any more.
            let _ = sender.send(exchange(&path, &line, &body, within));
        });
        let begun = Instant::now();
        loop {
            match receiver.recv_timeout(LOOK_EVERY.min(within.saturating_sub(begun.elapsed()))) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("no HTTP answer")),
                Err(RecvTimeoutError::Timeout) if !goes_on() => {
                    return Err(io::Error::from(io::ErrorKind::Interrupted));
                }
                Err(RecvTimeoutError::Timeout) if begun.elapsed() >= within => {
                    let late = format!("no answer after {} s", within.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, late));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// An image that the daemon has.
#[derive(Clone, Debug)]
pub struct DockerImage {
    /// `sha256:…`
    pub id: String,
    /// Its names.
    pub tags: Vec<String>,
    /// Its names with the digest of a registry: `app@sha256:…`.
    pub digests: Vec<String>,
    /// Diff IDs of its layers, lowest first: `sha256:…`.
    pub layers: Vec<String>,
    /// User of its processes.
    pub user: String,
}

impl DockerImage {
    /// Returns true if a name as build.ron has it is one of its own. Podman writes `localhost/app:1` for `app:1`.
    pub fn is_named(&self, tag: &str) -> bool {
        let is_same = |own: &String| {
            ["", "localhost/", "docker.io/library/", "docker.io/"]
                .iter()
                .any(|prefix| own.strip_prefix(prefix) == Some(tag))
        };
        self.tags.iter().any(is_same)
    }
}

/// The body of a request.
pub(super) enum Body {
    Nothing,
    Archive(ImageArchive),
}

/// HTTP/1.0: one request, one answer, no chunks.
#[cfg(unix)]
fn exchange(path: &Path, line: &str, body: &Body, patience: Duration) -> io::Result<(u16, Vec<u8>)> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut writer = BufWriter::with_capacity(256 * 1024, &stream);
    let size = match body {
        Body::Nothing => 0,
        Body::Archive(archive) => archive.size(),
    };
    write!(
        writer,
        "{line} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: {size}\r\n\r\n"
    )?;
    if let Body::Archive(archive) = body {
        archive.write(&mut writer)?;
    }
    writer.flush()?;
    drop(writer);
    let mut answer = Vec::new();
    (&stream).take(ANSWER_MAX).read_to_end(&mut answer)?;
    let end =
        answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(|| io::Error::other("no HTTP answer"))?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| io::Error::other("no HTTP status"))?;
    Ok((status, answer[end + 4..].to_vec()))
}

#[cfg(not(unix))]
fn exchange(_path: &Path, _line: &str, _body: &Body, _patience: Duration) -> io::Result<(u16, Vec<u8>)> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_daemon_that_says_nothing_holds_up_nobody() {
        let path = std::env::temp_dir().join(format!("rondel-docker-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        // It accepts by its backlog, and never answers.
        let _listener = UnixListener::bind(&path).unwrap();
        let socket = DockerSocket { path: path.clone() };
        let asked = AtomicU32::new(0);
        let error = socket.get("/_ping", &|| asked.fetch_add(1, Ordering::SeqCst) == 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        let error = socket.request("GET /_ping".to_owned(), Body::Nothing, Duration::from_millis(50), &|| true);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
        std::fs::remove_file(path).unwrap();
    }
}
