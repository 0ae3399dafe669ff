//! How a container takes the place of an earlier one. It is made beside the earlier one, which is stopped only then: settings that Docker refuses
//! stop nothing and hold up no request. When the earlier one goes away, nobody waits for that any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rondel_engine::{StepContext, StepError};
use rondel_process::{Cancellation, capture};
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
    /// What holds its address.
    pub held: Option<Arc<Proxy>>,
}

impl DockerRunStep {
    /// Returns the containers of this target, running or not.
    pub(super) fn listed(&self, context: &StepContext<'_>) -> Result<Vec<String>, StepError> {
        let listed = context.capture(&self.list_line())?;
        Ok(String::from_utf8_lossy(&listed.stdout).split_whitespace().map(str::to_owned).collect())
    }

    /// Removes containers of this target.
    pub(super) fn remove(&self, context: &StepContext<'_>, ids: &[String]) -> Result<(), StepError> {
        if !ids.is_empty() {
            let words = ["rm", "--force", "--volumes"].into_iter().chain(ids.iter().map(String::as_str));
            context.capture(&self.docker.command(words))?;
        }
        Ok(())
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
        for id in &former {
            context.note(format!("removing the container {} of an earlier run", short_id(id)));
        }
        let start = || {
            self.stop_all(context, &former)?;
            context.capture(&self.docker.command(["start", &id]))
        };
        start().map_err(|error| self.not_started(context, error, &[]))?;
        Ok(Exchanged { id, former, held })
    }

    /// Gives containers time to end by themselves, also where the build is cancelled meanwhile.
    fn stop_all(&self, context: &StepContext<'_>, ids: &[String]) -> Result<(), StepError> {
        if ids.is_empty() {
            return Ok(());
        }
        let _finishing = context.cancellation.finishing();
        let (begun, seconds) = (Instant::now(), GRACE.as_secs().to_string());
        let words = ["stop", "--time", &seconds].into_iter().chain(ids.iter().map(String::as_str));
        let stopped = capture(&context.announce(&self.docker.command(words)), &Cancellation::new());
        if context.cancellation.is_raised() {
            return Err(StepError::Interrupted);
        }
        if begun.elapsed() >= GRACE {
            let text = "did not end by SIGTERM and was killed; `init: true` passes signals on to what ignores them as the first process";
            context.warn(format!("the container of `{}` {text}", self.target));
        }
        if !stopped.is_ok_and(|stopped| stopped.finished.status.success()) {
            // One that is gone, or half removed: there is nothing to wait for.
            self.remove(context, ids)?;
        }
        Ok(())
    }

    /// Removes those that an exchange has stopped, also where the build was cancelled meanwhile.
    pub(super) fn remove_former(&self, context: &StepContext<'_>, former: &[String]) {
        if former.is_empty() {
            return;
        }
        let _finishing = context.cancellation.finishing();
        let words = ["rm", "--force", "--volumes"].into_iter().chain(former.iter().map(String::as_str));
        let removed = capture(&context.announce(&self.docker.command(words)), &Cancellation::new());
        if !removed.is_ok_and(|removed| removed.finished.status.success()) {
            // They may have been gone before, since `stop` did not know them.
            let listed =
                capture(&self.list_line(), &Cancellation::new()).map(|listed| listed.stdout).unwrap_or_default();
            let listed = String::from_utf8_lossy(&listed).into_owned();
            for id in listed.split_whitespace().filter(|id| former.iter().any(|former| former == id)) {
                context.warn(format!(
                    "the container {id} has stopped and was not removed: `docker rm --volumes {id}` does it"
                ));
            }
        }
    }

    /// Removes what could not be started, and all that is not in `kept`. Returns the error, with who holds a port that is taken.
    fn not_started(&self, context: &StepContext<'_>, error: StepError, kept: &[String]) -> StepError {
        let _finishing = context.cancellation.finishing();
        let _ = self.remove_quietly(kept);
        match error {
            StepError::Command { summary, status, output, .. } => {
                let hint = taken_port(&output);
                StepError::Command { summary, status, output, told: 0, hint }
            }
            other => other,
        }
    }

    /// Removes the containers of this target that are not in `kept`, also while a build is cancelled.
    pub(super) fn remove_quietly(&self, kept: &[String]) -> Option<()> {
        let fresh = Cancellation::new();
        let listed = capture(&self.list_line(), &fresh).ok()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for id in listed.split_whitespace().filter(|id| !kept.iter().any(|kept| kept == id)) {
            capture(&self.docker.command(["rm", "--force", "--volumes", id]), &fresh).ok()?;
        }
        if kept.is_empty() {
            self.settings.labels.remove_secrets();
        }
        Some(())
    }
}
