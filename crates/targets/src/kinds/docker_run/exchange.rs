//! How a container takes the place of an earlier one. It is made beside the earlier one, which is stopped only then: settings that Docker refuses
//! stop nothing. When the earlier one goes away, nobody waits for that any more.

use std::time::{Duration, Instant};

use rondel_engine::{StepContext, StepError};
use rondel_process::{Cancellation, capture};

use super::{DockerRunStep, secrets_failure};
use crate::docker::taken_port::taken_port;
use crate::running::short_id;

/// How long a container has to end by itself.
const GRACE: Duration = Duration::from_secs(10);

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

    /// Starts a container in place of those of earlier runs. Returns it, and those that have stopped.
    pub(super) fn exchange(&self, context: &StepContext<'_>, image: &str) -> Result<(String, Vec<String>), StepError> {
        let former = self.listed(context)?;
        let begin = || -> Result<String, StepError> {
            let line = self.settings.line(&self.docker, &["create"], image).map_err(secrets_failure)?;
            let made = context.capture(&line)?;
            let id = String::from_utf8_lossy(&made.stdout).trim().to_owned();
            for network in &self.settings.networks {
                context.capture(&self.docker.command(["network", "connect", network, &id]))?;
            }
            Ok(id)
        };
        let id = begin().map_err(|error| self.not_started(error, &former))?;
        for id in &former {
            context.note(format!("removing the container {} of an earlier run", short_id(id)));
        }
        let start = || {
            self.stop_all(context, &former)?;
            context.capture(&self.docker.command(["start", &id]))
        };
        start().map_err(|error| self.not_started(error, &[]))?;
        Ok((id, former))
    }

    /// Gives containers time to end by themselves.
    fn stop_all(&self, context: &StepContext<'_>, ids: &[String]) -> Result<(), StepError> {
        if ids.is_empty() {
            return Ok(());
        }
        let (begun, seconds) = (Instant::now(), GRACE.as_secs().to_string());
        let words = ["stop", "--time", &seconds].into_iter().chain(ids.iter().map(String::as_str));
        let stopped = context.try_capture(&self.docker.command(words))?;
        if begun.elapsed() >= GRACE {
            let text = "did not end by SIGTERM and was killed; `init: true` passes signals on to what ignores them as the first process";
            context.warn(format!("the container of `{}` {text}", self.target));
        }
        if !stopped.finished.status.success() {
            // One that is gone, or half removed: there is nothing to wait for.
            self.remove(context, ids)?;
        }
        Ok(())
    }

    /// Removes what could not be started, and all that is not in `kept`. Returns the error, with who holds a port that is taken.
    fn not_started(&self, error: StepError, kept: &[String]) -> StepError {
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
