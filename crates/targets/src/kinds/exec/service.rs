//! Programs that go on: how one is kept running, and whether the one that runs is what build.ron says.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rondel_engine::{ActionSpec, EnvironmentValue, Freshness, Job, Prepared, Reason, Report, StepContext, StepError};
use rondel_process::{CommandLine, Stream, listener_at};
use rondel_supervise::{
    DRAIN, End, Event, Holder, Place, Proxies, Proxy, Ready, Record, Service, StartError, Stopped, Turn, run_here,
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
    /// True if it has a supervisor of its own.
    pub is_detached: bool,
    /// True if it stays when a Rondel that exchanges it again and again ends.
    pub stays: bool,
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
        prepared: &Prepared,
        context: &Job<'_>,
    ) -> Result<Report, StepError> {
        let line = context.announce(line);
        let turn = self.take_turn(context)?;
        let key = if self.is_detached { key_of(&prepared.spec)? } else { String::new() };
        if turn.has_waited && self.is_up(&key, &prepared.freshness, context) {
            context.note("ready, as another Rondel has started it".to_owned());
            return Ok(Report::default());
        }
        let held = match self.hold() {
            // The supervisor of an earlier run holds the address itself.
            Err(_) if Record::read(&self.place(context)).is_some_and(|record| record.is_running()) => {
                self.end_former(context)?;
                self.hold()?
            }
            held => held?,
        };
        self.end_former(context)?;
        let service = Service {
            name: self.name.clone(),
            place: self.place(context),
            program: line.program.clone(),
            arguments: line.arguments.clone(),
            directory: line.directory.clone(),
            secrets,
            environment: line.environment.clone(),
            key,
            ready: self.ready.clone(),
            ready_timeout: self.ready_timeout,
            grace: self.grace,
            restarts: self.restarts,
            holder: self
                .kept
                .as_ref()
                .filter(|_| held.is_some() || !self.stays)
                .and_then(|_| Holder::this(!self.stays)),
            proxy: self.proxy.filter(|_| held.is_none()),
            held: self.proxy.filter(|_| held.is_some()),
        };
        let start = Start { plan: self, service, summary: line.summary(), context, tail: Mutex::default() };
        if self.is_detached { start.in_background(held) } else { start.in_foreground(turn) }
    }

    /// Waits until no other Rondel starts it.
    fn take_turn(&self, context: &Job<'_>) -> Result<Turn, StepError> {
        let place = self.place(context);
        let waits = || context.note("waiting for another start of it".to_owned());
        let turn = Turn::take(&place, context.cancellation, &waits);
        turn.map_err(|error| StepError::unwritable(&place.log(), &error))?.ok_or(StepError::Interrupted)
    }

    /// Returns true if another Rondel has just started the same. A step that always runs takes nothing over.
    fn is_up(&self, key: &str, freshness: &Freshness, context: &StepContext<'_>) -> bool {
        let is_always = match freshness {
            Freshness::Run(reasons) => reasons.iter().any(|reason| matches!(reason, Reason::Always { .. })),
            Freshness::ByKey | Freshness::UpToDate(_) | Freshness::Skip(_) => false,
        };
        let record = Record::read(&self.place(context));
        !is_always && self.is_detached && record.is_some_and(|record| record.is_ready() && record.key == key)
    }

    /// Returns true if the address of what runs is held for it. This Rondel does that from now on if nobody did and it exchanges services: the one
    /// that started it may have been such a one, and has ended.
    pub(super) fn is_reached(&self, record: &Record) -> bool {
        let Some(address) = self.proxy else { return true };
        if record.is_held_at(address) || self.kept.as_ref().is_some_and(|proxies| proxies.hold(address)) {
            return true;
        }
        let Some(proxies) = &self.kept else {
            // A watch that came later may hold it.
            return listener_at(address.port())
                .map_or_else(|| TcpListener::bind(address).is_err(), |listener| listener.is_same_program());
        };
        let own = self.ready.as_ref().and_then(Ready::own_address);
        // Where somebody else has taken it, the start says who.
        let held = own.and_then(|own| Some((proxies.at(address).ok()?, own)));
        held.map(|(proxy, own)| proxy.open(own)).is_some()
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
        if let Some(holder) = record.holder.as_ref().filter(|holder| holder.is_another()) {
            // It would go on to exchange it, and may hold its address.
            let pid = holder.process().pid;
            let message = format!("a watch (process {pid}) holds `{}`", self.name);
            return Err(StepError::environment(message).hint("it is exchanged there; or end that watch first"));
        }
        let stopped = stop(&place).map_err(|error| StepError::unwritable(&place.log(), &error))?;
        if stopped == Stopped::Killed {
            context.warn(format!("`{}` did not end within {} s, and was killed", self.name, record.grace_s));
        }
        Ok(())
    }
}

/// A start, and what follows it in the foreground.
struct Start<'a> {
    plan: &'a ServicePlan,
    service: Service,
    /// The command, for people.
    summary: String,
    context: &'a Job<'a>,
    /// The last lines, for the report of a failure.
    tail: Mutex<VecDeque<String>>,
}

impl Start<'_> {
    fn in_background(&self, held: Option<Arc<Proxy>>) -> Result<Report, StepError> {
        match start_in_background(&self.service, self.context.cancellation, &|event| self.see(event)) {
            Ok(started) => {
                if let (Some(held), Some(own)) = (held, self.service.own_address()) {
                    held.open(own);
                }
                self.context.note(ready_text(&self.service, started.after));
                Ok(Report::default())
            }
            Err(StartError::Interrupted) => Err(StepError::Interrupted),
            Err(StartError::Failed(status)) => Err(self.failed(status)),
            Err(StartError::Process(error)) => Err(error.into()),
            Err(StartError::System(error)) => {
                Err(StepError::environment(format!("`{}` did not start: {error}", self.plan.name)))
            }
        }
    }

    fn in_foreground(&self, turn: Turn) -> Result<Report, StepError> {
        let turn = Mutex::new(Some(turn));
        let see = |event: Event| {
            // Its record is there, and tells others that it runs.
            turn.lock().expect("no panic while locked").take();
            self.see(event);
        };
        match run_here(&self.service, self.context.cancellation, &see) {
            Ok(End::Done) => Ok(Report::default()),
            Ok(End::Stopped) => Err(StepError::Interrupted),
            Ok(End::Failed(status)) => Err(self.failed(status)),
            Err(error) => Err(StepError::unwritable(&self.service.place.log(), &error)),
        }
    }

    fn see(&self, event: Event) {
        match event {
            Event::Line(line) => {
                let mut tail = self.tail.lock().expect("no panic while locked");
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.clone());
                drop(tail);
                self.context.output(Stream::Stdout, &line);
            }
            Event::Ready { after_ms } => {
                self.context.note(ready_text(&self.service, Duration::from_millis(after_ms)));
            }
            Event::Restarts { status, count } => {
                self.context.warn(format!("`{}` ended ({status}): restart {count}", self.plan.name));
            }
            Event::Failed { .. } => {}
        }
    }

    fn failed(&self, status: String) -> StepError {
        let output = Vec::from(std::mem::take(&mut *self.tail.lock().expect("no panic while locked")));
        let hint = status.starts_with("port ").then(|| "stop it, or let this one listen elsewhere".to_owned());
        let (summary, told) = (self.summary.clone(), output.len());
        StepError::Command { summary, status, output, told, hint }
    }
}

/// `ready after 0.3 s at http://127.0.0.1:8080/health`
fn ready_text(service: &Service, after: Duration) -> String {
    let place = service
        .held_address()
        .or_else(|| service.address())
        .map(|address| format!(" at {address}"))
        .unwrap_or_default();
    format!("ready after {:.1} s{place}", after.as_secs_f64())
}
