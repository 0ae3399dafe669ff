//! `DockerRun`: a container from an image made here, healthy before it counts as running.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rondel_buildfile::{DockerRun, Health, Target};
use rondel_engine::{
    EnvironmentValue, Freshness, Job, Metadata, Prepared, Query, Report, Shown, Step, StepContext, StepError, StepKey,
};
use rondel_golang::PROBE_PATH;
use rondel_process::{Cancellation, CommandLine, Stream, capture, is_at_terminal, run};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::docker::Docker;
use crate::image::load::{ContainerHealth, health_of, image_in_docker};
use crate::image::metadata::{ContainerMetadata, image_of};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for DockerRun {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let docker = analyzer.docker()?;
        let image = image_in_docker(analyzer, &self.image.value, &docker)?;
        let own_health = health_of(analyzer, &self.image.value)?;
        let mut args = analyzer.variables.texts(&self.args)?;
        args.extend(analyzer.arguments(wanted));
        let step = DockerRunStep {
            docker,
            project: analyzer.request.file.project.value.clone(),
            target: target.name.value.to_string(),
            workspace: rondel_cas::Digest::of(analyzer.request.root.to_string_lossy().as_bytes()).short(),
            args,
            user: analyzer.variables.optional(self.user.as_ref())?,
            publish: analyzer.variables.texts(&self.publish)?,
            host_gateway: self.host_gateway,
            env: analyzer.variables.with_files(&self.env_file, analyzer.variables.environment(&self.env)?)?,
            volumes: analyzer.variables.texts(&self.volumes)?,
            network: analyzer.variables.optional(self.network.as_ref())?,
            read_only: self.read_only,
            cap_add: analyzer.variables.texts(&self.cap_add)?,
            health: self.health.clone(),
            own_health,
            health_timeout: Duration::from_secs(self.health_timeout_s.get()),
            detach: self.detach,
            is_interactive: self.interactive.value,
        };
        let key = StepKey::main(&target.name.value);
        let shown = if self.interactive.value { Shown::Foreground } else { Shown::Streamed };
        Ok(TargetNodes::end(analyzer.add(target, key, deps, vec![image], shown, Box::new(step))))
    }
}

pub(crate) struct DockerRunStep {
    pub docker: Docker,
    pub project: String,
    pub target: String,
    /// Separates the containers of one checkout from those of another.
    pub workspace: String,
    pub args: Vec<String>,
    pub user: Option<String>,
    pub publish: Vec<String>,
    pub host_gateway: bool,
    pub env: Vec<(String, EnvironmentValue)>,
    pub volumes: Vec<String>,
    pub network: Option<String>,
    pub read_only: bool,
    pub cap_add: Vec<String>,
    /// Health check from the host, through a published port.
    pub health: Option<Health>,
    /// The image's own check.
    pub own_health: Option<ContainerHealth>,
    pub health_timeout: Duration,
    pub detach: bool,
    /// True if the container has the terminal.
    pub is_interactive: bool,
}

/// Interval between health checks while waiting.
const HEALTH_INTERVAL: Duration = Duration::from_millis(150);
/// Minimum life of a container without a health check before it counts as running.
const MIN_LIFE: Duration = Duration::from_secs(1);

/// State of a container after the wait for its health.
enum Life {
    /// It is healthy, or has no health check and runs.
    Running,
    /// It ended with 0: a job that is done, however long it took.
    Ended,
}

impl DockerRunStep {
    fn labels(&self) -> [String; 3] {
        [
            format!("rondel.project={}", self.project),
            format!("rondel.target={}", self.target),
            format!("rondel.workspace={}", self.workspace),
        ]
    }

    fn line(&self, image: &str) -> CommandLine {
        let words: &[&str] = match (self.is_interactive, is_at_terminal()) {
            (false, _) => &["run", "--detach", "--init=false"],
            (true, false) => &["run", "--rm", "--interactive", "--init=false"],
            (true, true) => &["run", "--rm", "--interactive", "--tty", "--init=false"],
        };
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut flag = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
        for label in self.labels() {
            flag("label", &label);
        }
        if let Some(user) = &self.user {
            flag("user", user);
        }
        if self.read_only {
            flag("read-only", "true");
            flag("tmpfs", "/tmp");
        }
        flag("cap-drop", "ALL");
        for capability in &self.cap_add {
            flag("cap-add", capability);
        }
        flag("security-opt", "no-new-privileges");
        for port in &self.publish {
            flag("publish", &on_loopback(port));
        }
        if self.host_gateway {
            flag("add-host", "host.docker.internal:host-gateway");
        }
        if let Some(network) = &self.network {
            flag("network", network);
        }
        for volume in &self.volumes {
            flag("volume", volume);
        }
        let mut secrets = Vec::new();
        for (name, value) in &self.env {
            match value {
                EnvironmentValue::Plain(value) => flag("env", &format!("{name}={value}")),
                EnvironmentValue::Secret(value) | EnvironmentValue::Sealed { value, .. } => {
                    flag("env", name);
                    secrets.push((name.clone(), value.clone()));
                }
            }
        }
        arguments.push(image.to_owned());
        arguments.extend(self.args.iter().cloned());
        let mut line = self.docker.command(arguments);
        line.secret_names = secrets.iter().map(|(name, _)| name.clone()).collect();
        line.environment(secrets)
    }

    /// Returns the command that lists the containers of this target, running or not.
    fn list_line(&self) -> CommandLine {
        let filters = self.labels().map(|label| format!("--filter=label={label}"));
        self.docker.command(["ps", "--all", "--quiet"]).arguments(filters)
    }

    /// Removes containers of this target that an earlier run left behind.
    fn reap(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let listed = context.capture(&self.list_line())?;
        for id in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            context.note(format!("removing the container {} of an earlier run", &id[..id.len().min(12)]));
            context.capture(&self.docker.command(["rm", "--force", "--volumes", id]))?;
        }
        Ok(())
    }

    fn start(&self, context: &StepContext<'_>, image: &str) -> Result<String, StepError> {
        let line = self.line(image);
        match context.capture(&line) {
            Ok(captured) => Ok(String::from_utf8_lossy(&captured.stdout).trim().to_owned()),
            Err(StepError::Command { summary, status, output, .. }) => {
                let text = output.join("\n");
                let taken =
                    ["port is already allocated", "address already in use"].iter().any(|words| text.contains(words));
                let hint = if taken {
                    Some(format!(
                        "a port of `publish` ({}) is taken: stop the program that listens there, or publish another one",
                        self.publish.join(", ")
                    ))
                } else {
                    None
                };
                // `docker run` leaves the container that it could not start.
                let _ = self.reap_quietly();
                Err(StepError::Command { summary, status, output, told: 0, hint })
            }
            Err(error) => Err(error),
        }
    }

    fn reap_quietly(&self) -> Option<()> {
        let fresh = Cancellation::new();
        let listed = capture(&self.list_line(), &fresh).ok()?;
        for id in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            capture(&self.docker.command(["rm", "--force", "--volumes", id]), &fresh).ok()?;
        }
        Some(())
    }

    /// Returns whether it is running, and its exit code.
    fn state(&self, id: &str) -> (bool, String) {
        let line = self.docker.command([
            "inspect",
            "--format",
            "{{.State.Running}} {{.State.ExitCode}}{{if .State.OOMKilled}} (out of memory){{end}}",
            id,
        ]);
        match capture(&line, &Cancellation::new()) {
            Ok(captured) if captured.finished.status.success() => {
                let text = String::from_utf8_lossy(&captured.stdout).trim().to_owned();
                let (running, code) = text.split_once(' ').unwrap_or((&text, ""));
                (running == "true", code.to_owned())
            }
            _ => (false, "unknown".to_owned()),
        }
    }

    /// Runs one health check; returns `None` if there is none.
    fn is_healthy(&self, id: &str) -> Option<bool> {
        if let Some(health) = &self.health {
            return Some(self.published(health.port.get()).is_some_and(|address| ask(&address, health.path.as_str())));
        }
        let health = self.own_health.as_ref()?;
        let line = self.docker.command(["exec", id]).arguments(&health.command);
        let line = CommandLine { timeout: Some(health.timeout), ..line };
        let captured = capture(&line, &Cancellation::new());
        Some(captured.is_ok_and(|captured| captured.finished.status.success()))
    }

    /// Returns the address on the host of the container's `port`.
    fn published(&self, port: u16) -> Option<String> {
        let wanted = port.to_string();
        self.publish.iter().find_map(|entry| {
            let entry = on_loopback(entry);
            let (host, container) = entry.rsplit_once(':')?;
            (container.split('/').next() == Some(&wanted)).then(|| host.replace("0.0.0.0", "127.0.0.1"))
        })
    }

    /// Waits until the container is healthy or has ended; an exit status other than 0 is an error.
    fn wait_until_healthy(&self, context: &StepContext<'_>, id: &str) -> Result<Life, StepError> {
        let begun = Instant::now();
        loop {
            if context.cancellation.is_raised() {
                return Err(StepError::Interrupted);
            }
            // Health is asked first: a container that ends in between is then seen as ended, not as unhealthy.
            let health = self.is_healthy(id);
            let (running, code) = self.state(id);
            match health {
                _ if !running && code == "0" => return Ok(Life::Ended),
                _ if !running => {
                    let lines = self.last_lines(id).iter().map(|line| context.redact(line)).collect();
                    return Err(self.died(&code, lines));
                }
                Some(true) => {
                    let took = begun.elapsed().as_secs_f64();
                    context.note(format!("healthy after {took:.1} s{}", self.health_place()));
                    return Ok(Life::Running);
                }
                None if begun.elapsed() > MIN_LIFE => {
                    context.note("running (the image has no health check)");
                    return Ok(Life::Running);
                }
                _ if begun.elapsed() > self.health_timeout => return Err(self.unhealthy(id)),
                _ => std::thread::sleep(HEALTH_INTERVAL),
            }
        }
    }

    /// Returns ` at <url>` if the health check is reachable from the host.
    fn health_place(&self) -> String {
        let own = self.health.as_ref().map(|health| (health.port.get(), health.path.to_string()));
        let place = own.or_else(|| self.probe_place());
        let url = place.and_then(|(port, path)| Some(format!(" at http://{}{path}", self.published(port)?)));
        url.unwrap_or_default()
    }

    fn unhealthy(&self, id: &str) -> StepError {
        StepError::Command {
            summary: format!("docker run … {}", self.target),
            status: format!("the container did not become healthy within {} s", self.health_timeout.as_secs()),
            output: self.last_lines(id),
            told: 0,
            hint: Some("its last lines are above; `health_timeout_s` gives it longer".to_owned()),
        }
    }

    fn probe_place(&self) -> Option<(u16, String)> {
        let command = &self.own_health.as_ref()?.command;
        let [probe, url] = command.as_slice() else { return None };
        if probe.strip_prefix('/') != Some(PROBE_PATH) {
            return None;
        }
        let rest = url.strip_prefix("http://127.0.0.1:")?;
        let (port, path) = rest.split_once('/')?;
        Some((port.parse().ok()?, format!("/{path}")))
    }

    fn last_lines(&self, id: &str) -> Vec<String> {
        let captured = capture(&self.docker.command(["logs", "--tail", "20", id]), &Cancellation::new());
        captured.map_or_else(
            |_| Vec::new(),
            |captured| {
                let text = format!("{}{}", String::from_utf8_lossy(&captured.stdout), captured.stderr);
                text.lines().map(str::to_owned).collect()
            },
        )
    }

    /// Returns the error of a container that ended; `output` has the lines that were not shown yet.
    fn died(&self, code: &str, output: Vec<String>) -> StepError {
        let (summary, status) = (format!("the container of `{}`", self.target), format!("exit status {code}"));
        StepError::Command { summary, status, output, told: 0, hint: None }
    }

    /// Passes on the container's output, until it ends or the build is cancelled.
    fn follow(&self, context: &StepContext<'_>, id: &str) -> Result<(), StepError> {
        let mut line = self.docker.command(["logs", "--follow", id]);
        line.is_merged = true;
        let show = |stream: Stream, text: &str| context.output(stream, text);
        match run(&line, context.cancellation, context.redactor(), &show) {
            Err(rondel_process::ProcessError::Interrupted) => return Err(StepError::Interrupted),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        if context.cancellation.is_raised() {
            return Err(StepError::Interrupted);
        }
        // The output may end before the container does. Its exit status alone decides.
        let waited = context.try_capture(&self.docker.command(["wait", id]))?;
        if context.cancellation.is_raised() {
            return Err(StepError::Interrupted);
        }
        match self.state(id) {
            (true, _) => Err(StepError::environment("the connection to the container was lost")
                .hint(waited.stderr.trim().to_owned())),
            (false, code) if code == "0" => Ok(()),
            (false, code) => Err(self.died(&code, Vec::new())),
        }
    }

    fn stop(&self, context: &StepContext<'_>, id: &str) {
        // The build may be cancelled: these commands must still run, as long as Docker gives the container to stop.
        let _finishing = context.cancellation.finishing();
        let fresh = Cancellation::new();
        let _ = capture(&self.docker.command(["stop", "--time", "10", id]), &fresh);
        if capture(&self.docker.command(["rm", "--force", "--volumes", id]), &fresh).is_err() {
            context.warn(format!("the container {id} was not removed; the next run does it"));
        }
    }
}

impl Step for DockerRunStep {
    type Findings = ();

    fn prepare(&self, _query: &Query<'_>) -> Result<Prepared, StepError> {
        Ok(Prepared::unkeyed(Freshness::always("it starts a container")))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        self.docker.require_daemon(context)?;
        let image = image_of(context, 0).map(|image| image.image_id).unwrap_or_default();
        if self.user.is_none() {
            let user = self.docker.image(context, &image)?.map(|image| image.user).unwrap_or_default();
            if matches!(user.split(':').next(), None | Some("" | "0" | "root")) {
                return Err(StepError::input(format!("`{}` would run as root", self.target))
                    .hint("give it `user: \"10001:10001\"`, or the image a user"));
            }
        }
        self.reap(context)?;
        if self.is_interactive {
            let outcome = context.run_in_foreground(&self.line(&image));
            if context.cancellation.is_raised() {
                let _finishing = context.cancellation.finishing();
                let _ = self.reap_quietly();
            }
            return outcome.map(|()| Report::default());
        }
        let id = self.start(context, &image)?;
        let outcome = self.wait_until_healthy(context, &id);
        let metadata = Metadata::of(&ContainerMetadata { container: id.chars().take(12).collect() });
        // A container that has ended is not left behind, and what it printed is shown.
        if self.detach && matches!(outcome, Ok(Life::Running)) {
            return Ok(Report::of(metadata));
        }
        let outcome = outcome.and_then(|_| self.follow(context, &id));
        self.stop(context, &id);
        outcome.map(|()| Report::of(metadata))
    }
}

/// Publishes `8080:8080` on loopback; `0.0.0.0:8080:8080` is for the world.
fn on_loopback(port: &str) -> String {
    if port.matches(':').count() == 1 { format!("127.0.0.1:{port}") } else { port.to_owned() }
}

/// Sends an HTTP/1.0 GET; returns true if it succeeds.
fn ask(address: &str, path: &str) -> bool {
    let Ok(address) = address.parse() else { return false };
    let answer = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut head = [0_u8; 12];
        stream.read_exact(&mut head)?;
        Ok(head.starts_with(b"HTTP/1.") && head[9] == b'2')
    };
    answer().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::on_loopback;

    #[test]
    fn ports_are_on_loopback_unless_said_otherwise() {
        assert_eq!(on_loopback("8080:80"), "127.0.0.1:8080:80");
        assert_eq!(on_loopback("0.0.0.0:8080:80"), "0.0.0.0:8080:80");
        assert_eq!(on_loopback("80"), "80");
    }
}
