//! `DockerRun`: a container from an image made here, healthy before it counts as running.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rondel_buildfile::{DockerRun, Health, HeldAddress, Target};
use rondel_engine::{
    EnvironmentValue, Freshness, Job, Metadata, Prepared, Query, Report, Shown, Step, StepContext, StepError, StepKey,
};
use rondel_golang::PROBE_PATH;
use rondel_process::{Cancellation, CommandLine, Stream, capture, is_at_terminal, run};
use rondel_supervise::{DRAIN, Proxies, Proxy, http_answers};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::docker::Docker;
use crate::docker::container_labels::ContainerLabels;
use crate::image::load::{ContainerHealth, health_of, image_in_docker};
use crate::image::metadata::{ContainerMetadata, image_of};
use crate::nodes::{Deps, TargetNodes};
use crate::running::{Containers, Running, hold, short_id};

mod exchange;
mod settings;

use exchange::Exchanged;
use settings::{ContainerSettings, on_loopback};

impl Analyze for DockerRun {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let docker = analyzer.docker()?;
        let image = image_in_docker(analyzer, &self.image.value, &docker)?;
        let own_health = health_of(analyzer, &self.image.value)?;
        let mut args = analyzer.variables.texts(&self.args)?;
        args.extend(analyzer.arguments(wanted));
        let variables = &analyzer.variables;
        let settings = ContainerSettings {
            labels: labels(analyzer, target),
            args,
            user: variables.optional(self.user.as_ref())?,
            publish: variables.texts(&self.publish)?,
            host_gateway: self.host_gateway,
            env: variables.with_files(&self.env_file, variables.environment(&self.env)?)?,
            secrets: secrets(variables.environment(&self.secrets)?),
            volumes: variables.texts(&self.volumes)?,
            tmpfs: variables.texts(&self.tmpfs)?,
            network: variables.optional(self.network.as_ref())?,
            networks: variables.texts(&self.networks)?,
            memory: variables.optional(self.memory.as_ref())?,
            cpus: variables.optional(self.cpus.as_ref())?,
            pids_limit: self.pids_limit.map(|limit| limit.get()),
            read_only: self.read_only,
            cap_add: variables.texts(&self.cap_add)?,
            new_privileges: self.new_privileges,
            init: self.init,
            is_interactive: self.interactive.value,
        };
        let step = DockerRunStep {
            docker,
            target: target.name.value.to_string(),
            settings,
            health: self.health.clone(),
            own_health,
            health_timeout: Duration::from_secs(self.health_timeout_s.get()),
            detach: self.detach || analyzer.request.kept.is_some(),
            proxy: self.proxy.as_ref().map(HeldAddress::address),
            kept: crate::held_address::kept(analyzer, &target.name.value, self.proxy.as_ref())?,
        };
        let key = StepKey::main(&target.name.value);
        let shown = if self.interactive.value { Shown::Foreground } else { Shown::Streamed };
        Ok(TargetNodes::end(analyzer.add(target, key, deps, vec![image], shown, Box::new(step))))
    }

    fn running(&self, analyzer: &Analyzer<'_>, target: &Target) -> Analyzed<Option<Box<dyn Running>>> {
        Ok(Some(Box::new(Containers { docker: analyzer.docker()?, labels: labels(analyzer, target) })))
    }
}

/// Returns what marks the containers of a target.
fn labels(analyzer: &Analyzer<'_>, target: &Target) -> ContainerLabels {
    let request = analyzer.request;
    ContainerLabels::new(&request.file.project.value, target.name.value.as_str(), &request.root)
}

/// Returns name and contents of each file, whether its contents are a secret or not.
fn secrets(entries: Vec<(String, EnvironmentValue)>) -> Vec<(String, String)> {
    let value = |value| match value {
        EnvironmentValue::Plain(value) | EnvironmentValue::Secret(value) | EnvironmentValue::Sealed { value, .. } => {
            value
        }
    };
    entries.into_iter().map(|(name, text)| (name, value(text))).collect()
}

pub(crate) struct DockerRunStep {
    pub docker: Docker,
    pub target: String,
    pub settings: ContainerSettings,
    /// Health check from the host, through a published port.
    pub health: Option<Health>,
    /// The image's own check.
    pub own_health: Option<ContainerHealth>,
    pub health_timeout: Duration,
    pub detach: bool,
    /// The address that is held for it.
    pub proxy: Option<SocketAddr>,
    /// What this Rondel holds itself, if it exchanges the container again and again.
    pub kept: Option<Proxies>,
}

/// The first pause between two health checks, each twice as long as the one before, and the longest.
const HEALTH_PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(150)];
/// Deadline of the question which containers run. Where the daemon is elsewhere, nothing else ends it.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
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
    /// Returns the command that lists the containers of this target, running or not.
    fn list_line(&self) -> CommandLine {
        self.docker.command(["ps", "--all", "--quiet"]).arguments(self.settings.labels.filters())
    }

    /// Returns the running container that was started from what the key is of; or why Docker does not say.
    fn running_with(&self, key: &str, timeout: Option<Duration>) -> Result<Option<String>, String> {
        let words = ["--filter=status=running".to_owned(), format!("--filter=label=rondel.key={key}")];
        let line = CommandLine { timeout, ..self.list_line().arguments(words) };
        let captured = capture(&line, &Cancellation::new()).map_err(|error| error.to_string())?;
        if !captured.finished.status.success() {
            return Err(captured.stderr.lines().next().unwrap_or("it fails").trim().to_owned());
        }
        let listed = String::from_utf8_lossy(&captured.stdout).into_owned();
        Ok(listed.split_whitespace().next().map(str::to_owned))
    }

    /// Lets requests through to a container that goes on, where this Rondel holds an address for it. Returns false if it can't.
    fn let_through(&self) -> bool {
        let (Some(kept), Some(address), Some(own)) = (&self.kept, self.proxy, self.own_address()) else { return true };
        kept.at(address).map(|proxy| proxy.open(own)).is_ok()
    }

    /// Returns where the container itself is on this machine.
    fn own_address(&self) -> Option<SocketAddr> {
        places(self.settings.publish.first()?)?.0.parse().ok()
    }

    /// Holds the address of the container, and waits for the requests that are under way.
    fn hold(&self) -> Result<Option<Arc<Proxy>>, StepError> {
        let Some(address) = self.proxy else { return Ok(None) };
        let proxy = match &self.kept {
            Some(kept) => kept.at(address),
            // Nobody would hold it when this ends.
            None if self.detach => return Ok(None),
            None => Proxy::start(address).map(Arc::new),
        };
        hold(&self.target, address, proxy, DRAIN).map(Some)
    }

    /// Runs one health check; returns `None` if there is none.
    fn is_healthy(&self, id: &str) -> Option<bool> {
        if let Some(health) = &self.health {
            return Some(
                self.published(health.port.get()).is_some_and(|address| is_answered(&address, health.path.as_str())),
            );
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
        self.settings.publish.iter().find_map(|entry| {
            let (host, container) = places(entry)?;
            (container.split('/').next() == Some(&wanted)).then_some(host)
        })
    }

    /// Waits until the container is healthy or has ended; an exit status other than 0 is an error.
    fn wait_until_healthy(&self, context: &StepContext<'_>, id: &str) -> Result<Life, StepError> {
        let begun = Instant::now();
        let [mut pause, longest] = HEALTH_PAUSES;
        loop {
            if context.cancellation.is_raised() {
                return Err(StepError::Interrupted);
            }
            // Health is asked first: a container that ends in between is then seen as ended, not as unhealthy.
            let health = self.is_healthy(id);
            let (running, code) = self.docker.state_of_container(id);
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
                _ => std::thread::sleep(pause),
            }
            pause = longest.min(pause * 2);
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
        match self.docker.state_of_container(id) {
            (true, _) => Err(StepError::environment("the connection to the container was lost")
                .hint(waited.stderr.trim().to_owned())),
            (false, code) if code == "0" => Ok(()),
            (false, code) => Err(self.died(&code, Vec::new())),
        }
    }

    fn stop(&self, context: &StepContext<'_>, id: &str) {
        self.end(context, id);
        self.settings.labels.remove_secrets();
    }

    /// Stops and removes a container. Its secrets stay, as another one may use them.
    fn end(&self, context: &StepContext<'_>, id: &str) {
        // The build may be cancelled: these commands must still run, as long as Docker gives the container to stop.
        let finishing = context.cancellation.finishing();
        let fresh = Cancellation::new();
        let ids = [id.to_owned()];
        let _ = capture(&self.stop_line(&ids), &fresh);
        match capture(&self.remove_line(&ids), &fresh) {
            Ok(removed) => finishing.note_removed(usize::from(removed.finished.status.success())),
            Err(_) => context.warn(format!("the container {id} was not removed; the next run does it")),
        }
    }
}

impl Step for DockerRunStep {
    type Findings = ();

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared, StepError> {
        let always = |why: &str| Ok(Prepared::unkeyed(Freshness::always(why)));
        if !self.detach || self.settings.is_interactive {
            return always("it starts a container");
        }
        let Some(key) = image_of(query, 0).and_then(|image| self.settings.key(&image.image_id)) else {
            return always("it has a secret, which nothing keeps");
        };
        // A question starts no program, and Docker's command is one.
        if !query.may_ask() {
            return Ok(Prepared::unkeyed(Freshness::undecided("only a build asks Docker for its containers")));
        }
        let timeout = query.is_question().then_some(LIST_TIMEOUT);
        Ok(Prepared::unkeyed(match self.running_with(&key, timeout) {
            Ok(Some(id)) if self.let_through() => {
                Freshness::UpToDate(Metadata::of(&ContainerMetadata { container: id }))
            }
            Ok(Some(_)) => Freshness::not_present("the address of its proxy is not held"),
            Ok(None) => Freshness::not_present("no container runs that was started from the same"),
            Err(why) if query.is_question() => Freshness::undecided(format!("Docker does not say what runs: {why}")),
            // What is wrong with Docker, `run` says.
            Err(_) => Freshness::not_present("Docker does not say what runs"),
        }))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        self.docker.require_daemon(context)?;
        let [starting, foreground] = ["start", "foreground"].map(|what| format!("container {} {what}", self.target));
        let must_wait = context.is_locked(&starting);
        let turn = context.lock(&starting, "another Rondel that starts this container")?;
        if context.is_locked(&foreground) {
            let text = format!("`{}` runs in the foreground of another Rondel", self.target);
            let stop = format!("`{} stop {}`", rondel_engine::PROGRAM, self.target);
            return Err(StepError::environment(text).hint(format!("stop it there with Ctrl-C, or with {stop}")));
        }
        let image = image_of(context, 0).map(|image| image.image_id).unwrap_or_default();
        self.require_user(context, &image)?;
        let _alone = if self.detach { None } else { context.lock(&foreground, "another Rondel")? };
        if self.settings.is_interactive {
            drop(turn);
            return self.interact(context, &image);
        }
        if must_wait && let Some(id) = self.started_by_others(&image) {
            context.note("another Rondel has started it");
            return Ok(Report::of(Metadata::of(&ContainerMetadata { container: id })));
        }
        let exchanged = self.exchange(context, &image)?;
        let outcome = self.wait_until_healthy(context, &exchanged.id);
        if let (Err(_), [_, ..]) = (&outcome, exchanged.stopped.as_slice()) {
            self.go_back(context, &exchanged);
            return outcome.map(|_| Report::default());
        }
        let Exchanged { id, former, held, .. } = exchanged;
        let metadata = Metadata::of(&ContainerMetadata { container: short_id(&id).to_owned() });
        // A container that has ended is not left behind, and what it printed is shown.
        if let (Some(held), Some(own), Ok(Life::Running)) = (&held, self.own_address(), &outcome) {
            held.open(own);
        }
        // Whoever waits for the new one does not wait for this.
        self.remove_former(context, &former);
        drop(turn);
        if self.detach && matches!(outcome, Ok(Life::Running)) {
            return Ok(Report::of(metadata));
        }
        let outcome = outcome.and_then(|_| self.follow(context, &id));
        self.stop(context, &id);
        outcome.map(|()| Report::of(metadata))
    }
}

impl DockerRunStep {
    /// Refuses an image that would run as root, unless that was asked for.
    fn require_user(&self, context: &StepContext<'_>, image: &str) -> Result<(), StepError> {
        if self.settings.user.is_some() {
            return Ok(());
        }
        let user = self.docker.image(context, image)?.map(|image| image.user).unwrap_or_default();
        if matches!(user.split(':').next(), None | Some("" | "0" | "root")) {
            return Err(StepError::input(format!("`{}` would run as root", self.target))
                .hint("give it `user: \"10001:10001\"`, or the image a user"));
        }
        Ok(())
    }

    /// Runs the container at the terminal, until it ends.
    fn interact(&self, context: &StepContext<'_>, image: &str) -> Result<Report, StepError> {
        let _held = self.hold()?;
        self.reap(context)?;
        let words: &[&str] = if is_at_terminal() {
            &["run", "--rm", "--interactive", "--tty"]
        } else {
            &["run", "--rm", "--interactive"]
        };
        let line = self.settings.line(&self.docker, words, image).map_err(secrets_failure)?;
        let outcome = context.run_in_foreground(&line);
        if context.cancellation.is_raised() {
            let finishing = context.cancellation.finishing();
            finishing.note_removed(self.remove_quietly(&[]));
        }
        self.settings.labels.remove_secrets();
        outcome.map(|()| Report::default())
    }

    /// Returns the container that was started meanwhile from the same as this step would start it from.
    fn started_by_others(&self, image: &str) -> Option<String> {
        let key = self.settings.key(image).filter(|_| self.detach)?;
        self.running_with(&key, None).ok().flatten().filter(|_| self.let_through())
    }
}

/// Returns where a port of `publish` is reached on this machine, and the port in the container.
fn places(entry: &str) -> Option<(String, String)> {
    let entry = on_loopback(entry);
    let (host, container) = entry.rsplit_once(':')?;
    Some((host.replace("0.0.0.0", "127.0.0.1"), container.to_owned()))
}

/// Returns true if a GET request to the address on this machine is answered with 2xx.
fn is_answered(address: &str, path: &str) -> bool {
    address.parse().is_ok_and(|address| http_answers(address, path))
}

fn secrets_failure(error: io::Error) -> StepError {
    StepError::environment(format!("the secrets of the container can't be written: {error}"))
}
