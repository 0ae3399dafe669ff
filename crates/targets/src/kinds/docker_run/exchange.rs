//! How a container takes the place of an earlier one. It is made beside the earlier one, which is stopped only then: settings that Docker refuses
//! stop nothing and hold up no request. Where the next one does not start or does not become healthy, the earlier one is started again. When the earlier
//! one goes away, nobody waits for that any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rondel_engine::{StepContext, StepError};
use rondel_process::{Cancellation, Captured, CommandLine, capture};
use rondel_supervise::Proxy;

use super::{DockerRunStep, secrets_failure};
use crate::docker::taken_port::taken_port;
use crate::running::short_id;

/// How long a container has to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// A container that was started.
pub(super) struct Exchanged {
    pub id: String,
    /// Those before it, which have stopped.
    pub former: Vec<String>,
    /// Those of them that ran.
    pub stopped: Vec<String>,
    /// What holds its address.
    pub held: Option<Arc<Proxy>>,
}

impl DockerRunStep {
    /// Returns the containers of this target, running or not.
    fn listed(&self, context: &StepContext<'_>) -> Result<Vec<String>, StepError> {
        context.capture(&self.list_line()).map(|listed| ids_of(&listed))
    }

    /// As `listed`, also while a build is cancelled.
    fn listed_quietly(&self) -> Option<Vec<String>> {
        capture(&self.list_line(), &Cancellation::new()).ok().map(|listed| ids_of(&listed))
    }

    /// Returns the command that stops containers and gives them time for it.
    pub(super) fn stop_line(&self, ids: &[String]) -> CommandLine {
        self.docker.command(["stop", "--time", &GRACE.as_secs().to_string()]).arguments(ids.iter().cloned())
    }

    /// Returns the command that removes containers, with their anonymous volumes.
    pub(super) fn remove_line(&self, ids: &[String]) -> CommandLine {
        self.docker.command(["rm", "--force", "--volumes"]).arguments(ids.iter().cloned())
    }

    /// Removes the containers of earlier runs.
    pub(super) fn reap(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let former = self.listed(context)?;
        if former.is_empty() {
            return Ok(());
        }
        tell(context, &former);
        context.capture(&self.remove_line(&former)).map(drop)
    }

    /// Starts a container in place of those of earlier runs.
    pub(super) fn exchange(&self, context: &StepContext<'_>, image: &str) -> Result<Exchanged, StepError> {
        let former = self.listed(context)?;
        let make = || -> Result<String, StepError> {
            let line = self.settings.line(&self.docker, &["create"], image).map_err(secrets_failure)?;
            let made = context.capture(&line)?;
            let id = String::from_utf8_lossy(&made.stdout).trim().to_owned();
            for network in &self.settings.networks {
                context.capture(&self.docker.command(["network", "connect", network, &id]))?;
            }
            Ok(id)
        };
        let made = make().and_then(|id| Ok((id, self.hold()?)));
        let (id, held) = made.map_err(|error| self.not_started(context, error, &former))?;
        tell(context, &former);
        let stopped: Vec<String> = former.iter().filter(|id| self.docker.state_of_container(id).0).cloned().collect();
        let start = || {
            self.stop_all(context, &former)?;
            context.capture(&self.docker.command(["start", &id]))
        };
        if let Err(error) = start() {
            let error = self.not_started(context, error, &former);
            self.start_again(context, &stopped, held.as_deref());
            return Err(error);
        }
        Ok(Exchanged { id, former, stopped, held })
    }

    /// Starts those again that an exchange has stopped in vain, also where the build was cancelled meanwhile.
    fn start_again(&self, context: &StepContext<'_>, stopped: &[String], held: Option<&Proxy>) {
        let _finishing = context.cancellation.finishing();
        for id in stopped {
            let started = capture(&context.announce(&self.docker.command(["start", id])), &Cancellation::new());
            if started.is_ok_and(|started| started.finished.status.success()) {
                context.note(format!("the container {} of the earlier run goes on", short_id(id)));
            } else {
                context.warn(format!("the container {id} of an earlier run was stopped, and can't be started again"));
            }
        }
        if let (Some(held), Some(own), [_, ..]) = (held, self.own_address(), stopped) {
            held.open(own);
        }
    }

    /// Gives up a container that did not become what it should, and goes back to those before it.
    pub(super) fn go_back(&self, context: &StepContext<'_>, exchanged: &Exchanged) {
        self.end(context, &exchanged.id);
        self.start_again(context, &exchanged.stopped, exchanged.held.as_deref());
    }

    /// Gives containers time to end by themselves, also where the build is cancelled meanwhile.
    fn stop_all(&self, context: &StepContext<'_>, ids: &[String]) -> Result<(), StepError> {
        if ids.is_empty() {
            return Ok(());
        }
        let _finishing = context.cancellation.finishing();
        let begun = Instant::now();
        let stopped = capture(&context.announce(&self.stop_line(ids)), &Cancellation::new());
        if context.cancellation.is_raised() {
            return Err(StepError::Interrupted);
        }
        if begun.elapsed() >= GRACE {
            let text = "did not end by SIGTERM and was killed; `init: true` passes signals on to what ignores them as the first process";
            context.warn(format!("the container of `{}` {text}", self.target));
        }
        if !stopped.is_ok_and(|stopped| stopped.finished.status.success()) {
            // One that is gone, or half removed: there is nothing to wait for.
            context.capture(&self.remove_line(ids))?;
        }
        Ok(())
    }

    /// Removes those that an exchange has stopped, also where the build was cancelled meanwhile.
    pub(super) fn remove_former(&self, context: &StepContext<'_>, former: &[String]) {
        if former.is_empty() {
            return;
        }
        let finishing = context.cancellation.finishing();
        let removed = capture(&context.announce(&self.remove_line(former)), &Cancellation::new());
        if removed.is_ok_and(|removed| removed.finished.status.success()) {
            finishing.note_removed(former.len());
        } else {
            // They may have been gone before, since `stop` did not know them.
            for id in self.listed_quietly().unwrap_or_default().iter().filter(|id| former.contains(id)) {
                context.warn(format!(
                    "the container {id} has stopped and was not removed: `docker rm --volumes {id}` does it"
                ));
            }
        }
    }

    /// Removes what could not be started, and all that is not in `kept`. Returns the error, with who holds a port that is taken.
    fn not_started(&self, context: &StepContext<'_>, error: StepError, kept: &[String]) -> StepError {
        let finishing = context.cancellation.finishing();
        finishing.note_removed(self.remove_quietly(kept));
        match error {
            StepError::Command { summary, status, output, .. } => {
                let hint = taken_port(&output);
                StepError::Command { summary, status, output, told: 0, hint }
            }
            other => other,
        }
    }

    /// Removes the containers of this target that are not in `kept`, also while a build is cancelled. Returns how many were
    /// removed.
    pub(super) fn remove_quietly(&self, kept: &[String]) -> usize {
        let Some(listed) = self.listed_quietly() else { return 0 };
        let mut count = 0;
        for id in listed.into_iter().filter(|id| !kept.contains(id)) {
            match capture(&self.remove_line(&[id]), &Cancellation::new()) {
                Ok(removed) => count += usize::from(removed.finished.status.success()),
                // Docker's command can't be started: the secrets stay with the containers.
                Err(_) => return count,
            }
        }
        if kept.is_empty() {
            self.settings.labels.remove_secrets();
        }
        count
    }
}

/// Returns what `docker ps --quiet` lists.
fn ids_of(listed: &Captured) -> Vec<String> {
    String::from_utf8_lossy(&listed.stdout).split_whitespace().map(str::to_owned).collect()
}

fn tell(context: &StepContext<'_>, former: &[String]) {
    for id in former {
        context.note(format!("removing the container {} of an earlier run", short_id(id)));
    }
}
