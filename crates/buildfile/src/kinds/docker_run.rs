//! `DockerRun`: fields and needs of one kind.

use crate::health::Health;
use crate::kinds::command::refuse_beside;
use crate::record::kind;
use crate::types::{EnvFile, Flag, HeldAddress, ImageReference, PidsLimit, ProcessEnvironment, Seconds, SecretFiles};
use crate::{Diagnostic, Kind, Makes, Need, Platforms, Text};

kind! {
    /// Runs an image in a container: read-only with a tmpfs on `/tmp`, without capabilities, on loopback by default.
    /// Waits for health, shows the output, stops on Ctrl-C. A container that ends with 0 is a success, whenever it ends;
    /// any other exit status is a failure.
    DockerRun in Group::Run {
        /// The target that makes the image: an `Image` or a `DockerBuild`.
        image: ImageReference,
        /// Arguments after the image.
        args: Vec<Text> = Vec::new(),
        /// `--user`. Required unless the image has a user that is not root.
        user: Option<Text> = None,
        /// `--publish`: `"8080:8080"`; on loopback unless it names an address.
        publish: Vec<Text> = Vec::new(),
        /// Lets the container reach this machine as `host.docker.internal`.
        host_gateway: bool = false,
        /// Environment of the process; `Secret` is allowed.
        env: ProcessEnvironment = ProcessEnvironment::default(),
        /// Files of variables in the syntax of `docker run --env-file`: `[".env", Optional(".env.local")]`. A later one goes
        /// before an earlier one, and `env` before all. Their values are not shown.
        env_file: Vec<EnvFile> = Vec::new(),
        /// `--volume`: `"data:/data"`.
        volumes: Vec<Text> = Vec::new(),
        /// Files with secrets, readable in the container as `/run/secrets/<name>`: `{"db_password": Secret("DB_PASSWORD")}`. They
        /// lie in the memory of this machine, in no image and no variable, until the container is stopped.
        secrets: SecretFiles = SecretFiles::default(),
        /// `--tmpfs`: places in memory that can be written, beside `/tmp`: `["/run", "/var/cache:size=64m"]`.
        tmpfs: Vec<Text> = Vec::new(),
        /// `--network`.
        network: Option<Text> = None,
        /// Further networks that it joins before it starts. They exist already.
        networks: Vec<Text> = Vec::new(),
        /// `--memory`: `"256m"`; no limit if left out.
        memory: Option<Text> = None,
        /// `--cpus`: `"1.5"`; no limit if left out.
        cpus: Option<Text> = None,
        /// `--pids-limit`: how many processes and threads it may have; Docker's own limit if left out.
        pids_limit: Option<PidsLimit> = None,
        /// Mounts the image read-only.
        read_only: bool = true,
        /// Capabilities of the process.
        cap_add: Vec<Text> = Vec::new(),
        /// Lets the process gain rights by programs with set-user-ID, which is refused otherwise (`no-new-privileges`).
        new_privileges: bool = false,
        /// Gives the container a process 1 of its own, which reaps orphans and passes signals on.
        init: bool = false,
        /// Replaces the image's own check: requested from this machine through a published port.
        health: Option<Health> = None,
        /// Seconds for the container to become healthy.
        health_timeout_s: Seconds = Seconds(60),
        /// The address that the container is reached at, which `watch` holds while the container is exchanged: `"127.0.0.1:8080"`. Who
        /// connects meanwhile waits, and a request that is under way ends first. What comes goes to the first place of `publish`.
        proxy: Option<HeldAddress> = None,
        /// Leaves the container running in the background once it is healthy.
        detach: bool = false,
        /// Gives the container the terminal, as `docker run --interactive --tty` does; without a terminal, what is piped in.
        /// Nothing else runs beside it, and its exit code is that of Rondel. Health is not waited for.
        interactive: Flag = Flag::default(),
    }
}

impl Kind for DockerRun {
    fn makes(&self) -> Makes {
        Makes::Processes
    }

    fn env_files(&self) -> &[EnvFile] {
        &self.env_file
    }

    fn stays(&self) -> bool {
        self.detach
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::DockerDaemon, Need::DockerCommand]
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        let refused = [
            (self.detach, "detach", "it ends when somebody leaves it"),
            (self.health.is_some(), "health", "its user sees whether it works"),
        ];
        refuse_beside(&self.interactive, "container", &refused, diagnostics);
        if let Some(held) = self.proxy.as_ref().filter(|_| self.publish.is_empty()) {
            let message = "a `proxy` has to know where the container is on this machine";
            diagnostics.push(Diagnostic::new(held.span(), message).hint("add `publish: [\"8081:8080\"]`"));
        }
    }
}
