//! Docker: the daemon's place, queries over its socket, and the `docker` command.
//!
//! Queries of a warm build (whether an image exists) go over the socket, which takes a millisecond where the command
//! takes twenty. Everything that builds or runs something is the `docker` command, visible.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rondel_cas::Digest;
use rondel_engine::{Class, Environment, StepError, UserError};
use rondel_process::{CommandLine, find_tool};

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

    /// Requests `path`; returns status and body.
    pub fn get(&self, path: &str) -> io::Result<(u16, Vec<u8>)> {
        self.request("GET", path, 0, &|_| Ok(()), Duration::from_secs(10))
    }

    /// Returns the names and the user of the image `id`, if it exists.
    pub fn image(&self, id: &str) -> io::Result<Option<DockerImage>> {
        let safe = id.chars().all(|character| character.is_ascii_alphanumeric() || ":/._-@".contains(character));
        if !safe {
            return Err(io::Error::other("not the name of an image"));
        }
        match self.get(&format!("/images/{id}/json"))? {
            (200, body) => {
                let value: serde_json::Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
                let tags = value["RepoTags"].as_array().into_iter().flatten();
                Ok(Some(DockerImage {
                    id: value["Id"].as_str().unwrap_or_default().to_owned(),
                    tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
                    user: value["Config"]["User"].as_str().unwrap_or_default().to_owned(),
                }))
            }
            (404, _) => Ok(None),
            (status, _) => Err(io::Error::other(format!("the Docker daemon answered {status}"))),
        }
    }

    /// Loads the layout at `directory`.
    pub fn load(&self, directory: &Path) -> io::Result<()> {
        let size = rondel_oci::archive_size(directory)?;
        let body = |stream: &mut dyn Write| rondel_oci::write_archive(directory, stream);
        let (status, answer) = self.request("POST", "/images/load?quiet=1", size, &body, Duration::from_secs(600))?;
        let text = String::from_utf8_lossy(&answer);
        if status != 200 || text.contains("\"errorDetail\"") {
            return Err(io::Error::other(format!("the Docker daemon answered {status}: {}", text.trim())));
        }
        Ok(())
    }

    /// HTTP/1.0: one request, one answer, no chunks.
    #[cfg(unix)]
    fn request(
        &self,
        method: &str,
        path: &str,
        size: u64,
        body: &dyn Fn(&mut dyn Write) -> io::Result<()>,
        patience: Duration,
    ) -> io::Result<(u16, Vec<u8>)> {
        let stream = std::os::unix::net::UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut writer = BufWriter::with_capacity(256 * 1024, &stream);
        write!(
            writer,
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: {size}\r\n\r\n"
        )?;
        body(&mut writer)?;
        writer.flush()?;
        drop(writer);
        let mut answer = Vec::new();
        (&stream).take(ANSWER_MAX).read_to_end(&mut answer)?;
        let end = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .ok_or_else(|| io::Error::other("no HTTP answer"))?;
        let head = String::from_utf8_lossy(&answer[..end]);
        let status = head
            .split_whitespace()
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| io::Error::other("no HTTP status"))?;
        Ok((status, answer[end + 4..].to_vec()))
    }

    #[cfg(not(unix))]
    fn request(
        &self,
        _method: &str,
        _path: &str,
        _size: u64,
        _body: &dyn Fn(&mut dyn Write) -> io::Result<()>,
        _patience: Duration,
    ) -> io::Result<(u16, Vec<u8>)> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

/// An image that the daemon has.
#[derive(Clone, Debug)]
pub struct DockerImage {
    /// `sha256:…`
    pub id: String,
    /// Its names.
    pub tags: Vec<String>,
    /// User of its processes.
    pub user: String,
}

/// The `docker` command.
#[derive(Clone, Debug)]
pub struct Docker {
    program: PathBuf,
    environment: Environment,
    directory: PathBuf,
    /// The daemon's socket, if there is one.
    pub socket: Option<DockerSocket>,
    plugin_directories: Vec<PathBuf>,
}

/// Variables that lead the command to a daemon, and change nothing that is built.
const PASSED: &[&str] = &[
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

impl Docker {
    /// Finds the command; `directory` is its working directory.
    pub fn find(environment: &BTreeMap<String, String>, directory: &Path) -> Result<Docker, UserError> {
        let path = environment.get("PATH").map_or("", String::as_str);
        let program = find_tool("docker", path, directory).map_err(|_| {
            UserError::environment("`docker` was not found on PATH")
                .hint("install Docker; an `Image` target is built without it")
        })?;
        let mut closed = Environment::new();
        for name in PASSED {
            closed.set_optional(Class::Passed, name, environment.get(*name).cloned());
        }
        for name in ["HOME", "PATH"] {
            closed.set(Class::Located, name, environment.get(name).cloned().unwrap_or_default());
        }
        let home = environment
            .get("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| environment.get("HOME").map(|home| Path::new(home).join(".docker")));
        let mut plugin_directories: Vec<PathBuf> = home.into_iter().map(|home| home.join("cli-plugins")).collect();
        for directory in ["/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec", "/opt/homebrew/lib"] {
            plugin_directories.push(Path::new(directory).join("docker/cli-plugins"));
        }
        let socket = DockerSocket::find(environment);
        Ok(Docker { program, environment: closed, directory: directory.to_owned(), socket, plugin_directories })
    }

    /// Returns `docker …`, in the directory given to `find`.
    pub fn command<I: IntoIterator<Item = S>, S: Into<String>>(&self, arguments: I) -> CommandLine {
        CommandLine::new(&self.program, &self.directory)
            .arguments(arguments)
            .environment(self.environment.for_process())
    }

    /// Returns the command's environment, for keys.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns what leads to the daemon, as a short digest.
    pub fn endpoint(&self) -> String {
        let leads = |(name, _): &(String, String)| {
            ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "HOME"].contains(&name.as_str())
        };
        let variables = self.environment.for_process().into_iter().filter(leads);
        let text: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
        Digest::of(text.join("\n").as_bytes()).short()
    }

    /// Returns true if the plugin `docker-<name>` is installed.
    pub fn has_plugin(&self, name: &str) -> bool {
        self.plugin_directories.iter().any(|directory| directory.join(format!("docker-{name}")).is_file())
    }

    /// Fails if no daemon answers.
    pub fn require_daemon(&self, context: &rondel_engine::StepContext<'_>) -> Result<(), StepError> {
        let unreachable = |detail: &str| {
            StepError::environment(format!("no Docker daemon is reachable{detail}"))
                .hint("start Docker, or set DOCKER_HOST")
        };
        match &self.socket {
            Some(socket) => match socket.get("/_ping") {
                Ok((200, _)) => Ok(()),
                Ok((status, _)) => Err(unreachable(&format!(": it answered {status}"))),
                Err(error) => Err(unreachable(&format!(": `{}`: {error}", socket.path.display()))),
            },
            None => {
                let captured = context.try_capture(&self.command(["version", "--format", "{{.Server.Version}}"]))?;
                if captured.finished.status.success() {
                    Ok(())
                } else {
                    Err(unreachable(&format!(": {}", captured.stderr.trim())))
                }
            }
        }
    }

    /// Returns the image of this ID or name, over the socket if there is one, else by the command.
    pub fn image(&self, context: &rondel_engine::StepContext<'_>, id: &str) -> Result<Option<DockerImage>, StepError> {
        if let Some(socket) = &self.socket {
            return socket
                .image(id)
                .map_err(|error| StepError::environment(format!("the Docker daemon can't be asked: {error}")));
        }
        if context.is_question() {
            return Ok(None);
        }
        let captured = context.try_capture(&self.command([
            "image",
            "inspect",
            "--format",
            "{{.Id}} {{json .Config.User}} {{json .RepoTags}}",
            id,
        ]))?;
        if !captured.finished.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&captured.stdout);
        let mut parts = text.trim().splitn(3, ' ');
        let mut next = || parts.next().unwrap_or_default();
        Ok(Some(DockerImage {
            id: next().to_owned(),
            user: serde_json::from_str(next()).unwrap_or_default(),
            tags: serde_json::from_str(next()).unwrap_or_default(),
        }))
    }
}
