//! Docker: the daemon's place, queries over its socket, and the `docker` command.
//!
//! Queries of a warm build (whether an image exists) go over the socket, which takes a millisecond where the command
//! takes twenty. Everything that builds or runs something is the `docker` command, visible.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rondel_cas::Digest;
use rondel_engine::{Class, Environment, StepError, UserError};
use rondel_process::{Cancellation, CommandLine, capture, find_tool, let_stay};

use super::loading::ImageStore;
use super::socket::{DockerImage, DockerSocket};

/// The `docker` command.
#[derive(Clone, Debug)]
pub struct Docker {
    program: PathBuf,
    environment: Environment,
    directory: PathBuf,
    /// The daemon's socket, if there is one.
    pub socket: Option<DockerSocket>,
    plugin_directories: Vec<PathBuf>,
    /// True if it is podman, which takes the same words.
    is_podman: bool,
}

/// Deadline of a question to the command. Where the daemon is elsewhere, nothing else ends it.
const QUESTION: Duration = Duration::from_secs(30);

/// Variables that lead the command to a daemon, and change nothing that is built.
const PASSED: &[&str] = &[
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "CONTAINER_HOST",
    "CONTAINER_CONNECTION",
    "CONTAINER_SSHKEY",
    "CONTAINERS_CONF",
    "CONTAINERS_CONF_OVERRIDE",
    "CONTAINERS_STORAGE_CONF",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Programs of podman that hold containers and their networks: the monitor, and those of rootless containers.
const HOLDERS: [&str; 8] =
    ["conmon", "aardvark-dns", "slirp4netns", "pasta", "pasta.avx2", "rootlessport", "catatonit", "podman"];

/// Those of them that decide which daemon, or which store of podman's, is meant.
const LEADS: &[&str] = &[
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "CONTAINER_HOST",
    "CONTAINER_CONNECTION",
    "CONTAINERS_CONF",
    "CONTAINERS_CONF_OVERRIDE",
    "CONTAINERS_STORAGE_CONF",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "HOME",
];

impl Docker {
    /// Finds the command, or podman's where there is none; `directory` is its working directory.
    pub fn find(environment: &BTreeMap<String, String>, directory: &Path) -> Result<Docker, UserError> {
        let path = environment.get("PATH").map_or("", String::as_str);
        let found = find_tool("docker", path, directory);
        let is_podman = found.is_err();
        let program = found.or_else(|_| find_tool("podman", path, directory)).map_err(|_| {
            UserError::environment("neither `docker` nor `podman` was found on PATH")
                .hint("install one of them; an `Image` target is built without")
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
        let socket = if is_podman { None } else { DockerSocket::find(environment) };
        if is_podman {
            // It has no daemon: a container is held by programs that outlive the command.
            let_stay(&HOLDERS);
        }
        Ok(Docker {
            is_podman,
            program,
            environment: closed,
            directory: directory.to_owned(),
            socket,
            plugin_directories,
        })
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
        let leads = |(name, _): &(String, String)| LEADS.contains(&name.as_str());
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
            Some(socket) => match socket.get("/_ping", &|| !context.cancellation.is_raised()) {
                Ok((200, _)) => Ok(()),
                Ok((status, _)) => Err(unreachable(&format!(": it answered {status}"))),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(StepError::Interrupted),
                Err(error) => Err(unreachable(&format!(": `{}`: {error}", socket.path().display()))),
            },
            None => {
                // Podman needs no server.
                let version = if self.is_podman { "{{.Client.Version}}" } else { "{{.Server.Version}}" };
                let captured = context.try_capture(&self.question(["version", "--format", version]))?;
                if captured.finished.status.success() {
                    Ok(())
                } else {
                    Err(unreachable(&format!(": {}", captured.stderr.trim())))
                }
            }
        }
    }

    /// Asks the daemon by the command what keeps its images.
    pub fn store(&self, context: &rondel_engine::StepContext<'_>) -> Result<ImageStore, StepError> {
        let captured = context.try_capture(&self.question(["info", "--format", "{{json .DriverStatus}}"]))?;
        let status = serde_json::from_slice(&captured.stdout).unwrap_or_default();
        Ok(ImageStore::of_status(&status))
    }

    /// Returns `docker …` for a question, which has a deadline.
    fn question<const N: usize>(&self, arguments: [&str; N]) -> CommandLine {
        CommandLine { timeout: Some(QUESTION), ..self.command(arguments) }
    }

    /// Returns the image of this ID or name, over the socket if there is one, else by the command.
    pub fn image(&self, context: &rondel_engine::StepContext<'_>, id: &str) -> Result<Option<DockerImage>, StepError> {
        if let Some(socket) = &self.socket {
            return socket.image(id, &|| !context.cancellation.is_raised()).map_err(|error| match error.kind() {
                std::io::ErrorKind::Interrupted => StepError::Interrupted,
                _ => StepError::environment(format!("the Docker daemon can't be asked: {error}")),
            });
        }
        if !context.may_ask() {
            return Ok(None);
        }
        let captured = context.try_capture(&self.question([
            "image",
            "inspect",
            "--format",
            "{{.Id}} {{json .Config.User}} {{json .RepoTags}} {{json .RepoDigests}}",
            id,
        ]))?;
        if !captured.finished.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&captured.stdout);
        let mut parts = text.trim().splitn(4, ' ');
        let mut next = || parts.next().unwrap_or_default();
        Ok(Some(DockerImage {
            id: next().to_owned(),
            user: serde_json::from_str(next()).unwrap_or_default(),
            tags: serde_json::from_str(next()).unwrap_or_default(),
            digests: serde_json::from_str(next()).unwrap_or_default(),
            layers: Vec::new(),
        }))
    }

    /// Returns whether a container is running, and its exit code.
    pub fn state_of_container(&self, id: &str) -> (bool, String) {
        let is_id = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(socket) = self.socket.as_ref().filter(|_| is_id)
            && let Ok((200, body)) = socket.get(&format!("/containers/{id}/json"), &|| true)
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(&body)
            && let (Some(is_running), Some(code)) =
                (value["State"]["Running"].as_bool(), value["State"]["ExitCode"].as_i64())
        {
            let out_of_memory = if value["State"]["OOMKilled"] == true { " (out of memory)" } else { "" };
            return (is_running, format!("{code}{out_of_memory}"));
        }
        let form = "{{.State.Running}} {{.State.ExitCode}}{{if .State.OOMKilled}} (out of memory){{end}}";
        match capture(&self.question(["inspect", "--format", form, id]), &Cancellation::new()) {
            Ok(captured) if captured.finished.status.success() => {
                let text = String::from_utf8_lossy(&captured.stdout).trim().to_owned();
                let (running, code) = text.split_once(' ').unwrap_or((&text, ""));
                (running == "true", code.to_owned())
            }
            _ => (false, "unknown".to_owned()),
        }
    }
}
