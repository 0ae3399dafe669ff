//! Programs that go on: how one is kept running, and whether the one that runs is what build.ron says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rondel_engine::{ActionSpec, EnvironmentValue, Job, Report, StepContext, StepError};
use rondel_process::{CommandLine, Stream};
use rondel_supervise::{
    DRAIN, End, Event, Place, Proxies, Proxy, Ready, Record, Service, StartError, Stopped, run_here,
    start_in_background, stop,
};

use crate::env_file::may_be_secret;
use crate::running::hold;

/// How a program is kept running.
#[derive(Clone)]
pub(crate) struct ServicePlan {
    /// Name of the target.
    pub name: String,
    /// When it is ready.
    pub ready: Option<Ready>,
    /// The longest that it may take to become ready.
    pub ready_timeout: Duration,
    /// True if it stays when Rondel ends.
    pub is_detached: bool,
    /// The address that is held for it.
    pub proxy: Option<SocketAddr>,
    /// What this Rondel holds itself, if it exchanges the service again and again.
    pub kept: Option<Proxies>,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// True if it starts again after a failure.
    pub restarts: bool,
}

/// Number of lines kept for the report of a failure.
const TAIL_LINES: usize = 50;

/// Returns the digest of everything that a program is started from.
pub(super) fn key_of(spec: &ActionSpec) -> Result<String, StepError> {
    let digest = spec.digest().map_err(|error| StepError::failed(error.to_string()))?;
    Ok(digest.to_string())
}

/// Returns the values that no log may hold: those of secrets, and those of environment files that may be some.
pub(super) fn hidden_values(environment: &[(String, EnvironmentValue)]) -> Vec<String> {
    let hidden = |value: &EnvironmentValue| match value {
        EnvironmentValue::Secret(value) => Some(value.clone()),
        EnvironmentValue::Sealed { value, .. } => may_be_secret(value).then(|| value.clone()),
        EnvironmentValue::Plain(_) => None,
    };
    environment.iter().filter_map(|(_, value)| hidden(value)).collect()
}

impl ServicePlan {
    pub(super) fn place(&self, context: &StepContext<'_>) -> Place {
        Place::new(&context.workspace.state, &self.name)
    }

    /// Starts the program, and in the foreground waits for its end. No log holds one of the `secrets`.
    pub(super) fn run(
        &self,
        line: &CommandLine,
        secrets: Vec<String>,
        spec: &ActionSpec,
        context: &Job<'_>,
    ) -> Result<Report, StepError> {
        let line = context.announce(line);
        let held = self.hold()?;
        self.end_former(context)?;
        let service = Service {
            name: self.name.clone(),
            place: self.place(context),
            program: line.program.clone(),
            arguments: line.arguments.clone(),
            directory: line.directory.clone(),
            secrets,
            environment: line.environment.clone(),
            key: if self.is_detached { key_of(spec)? } else { String::new() },
            ready: self.ready.clone(),
            ready_timeout: self.ready_timeout,
            grace: self.grace,
            restarts: self.restarts,
            proxy: self.proxy.filter(|_| held.is_none()),
        };
        let tail: Mutex<VecDeque<String>> = Mutex::default();
        let see = |event: Event| match event {
            Event::Line(line) => {
                let mut tail = tail.lock().expect("no panic while locked");
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.clone());
                drop(tail);
                context.output(Stream::Stdout, &line);
            }
            Event::Ready { after_ms } => {
                context.note(ready_text(&service, self.proxy, Duration::from_millis(after_ms)))
            }
            Event::Restarts { status, count } => {
                context.warn(format!("`{}` ended ({status}): restart {count}", self.name))
            }
            Event::Failed { .. } => {}
        };
        let failed = |status: String| {
            let output = Vec::from(std::mem::take(&mut *tail.lock().expect("no panic while locked")));
            let hint = status.starts_with("port ").then(|| "stop it, or let this one listen elsewhere".to_owned());
            let (summary, told) = (line.summary(), output.len());
            StepError::Command { summary, status, output, told, hint }
        };
        if self.is_detached {
            return match start_in_background(&service, context.cancellation, &see) {
                Ok(started) => {
                    if let (Some(held), Some(own)) = (held, service.own_address()) {
                        held.open(own);
                    }
                    context.note(ready_text(&service, self.proxy, started.after));
                    Ok(Report::default())
                }
                Err(StartError::Interrupted) => Err(StepError::Interrupted),
                Err(StartError::Failed(status)) => Err(failed(status)),
                Err(StartError::Process(error)) => Err(error.into()),
                Err(StartError::System(error)) => {
                    Err(StepError::environment(format!("`{}` did not start: {error}", self.name)))
                }
            };
        }
        match run_here(&service, context.cancellation, &see) {
            Ok(End::Done) => Ok(Report::default()),
            Ok(End::Stopped) => Err(StepError::Interrupted),
            Ok(End::Failed(status)) => Err(failed(status)),
            Err(error) => Err(StepError::unwritable(&service.place.log(), &error)),
        }
    }

    /// Holds the address of the service, and waits for the requests that are under way. `None` if its supervisor does that.
    fn hold(&self) -> Result<Option<Arc<Proxy>>, StepError> {
        let (Some(proxies), Some(address)) = (&self.kept, self.proxy) else { return Ok(None) };
        hold(&self.name, address, proxies.at(address), self.grace.min(DRAIN)).map(Some)
    }

    /// Ends what an earlier run of the target has left in the background.
    fn end_former(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let place = self.place(context);
        let Some(record) = Record::read(&place).filter(Record::is_running) else { return Ok(()) };
        if !record.is_detached && !record.is_orphaned() {
            let pid = record.supervisor().pid;
            return Err(StepError::environment(format!(
                "`{}` runs in the foreground of another Rondel (process {pid})",
                self.name
            ))
            .hint(format!(
                "stop it there with Ctrl-C, or with `{} stop {}`",
                rondel_engine::PROGRAM,
                self.name
            )));
        }
        let stopped = stop(&place).map_err(|error| StepError::unwritable(&place.log(), &error))?;
        if stopped == Stopped::Killed {
            context.warn(format!("`{}` did not end within {} s, and was killed", self.name, record.grace_s));
        }
        Ok(())
    }
}

/// `ready after 0.3 s at http://127.0.0.1:8080/health`
fn ready_text(service: &Service, held: Option<SocketAddr>, after: Duration) -> String {
    let held = held.map(|address| address.to_string());
    let place = held.or_else(|| service.address()).map(|address| format!(" at {address}")).unwrap_or_default();
    format!("ready after {:.1} s{place}", after.as_secs_f64())
}
