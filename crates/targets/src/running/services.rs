//! The services of a compose project, by the project's name.

use rondel_engine::UserError;
use rondel_process::{Cancellation, CommandLine};
use serde_json::Value;

use super::containers::{answer, objects, print_lines};
use super::{LogQuery, Running, RunningPart, SeeLine};
use crate::docker::Docker;

/// The services of one project.
pub(crate) struct Services {
    /// The command.
    pub docker: Docker,
    /// Name of the project.
    pub project: String,
}

/// Returns how a service is, from an object of `docker compose ps --format json`, and its addresses on this machine.
pub(crate) fn service_of(object: &Value) -> RunningPart {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let code = object["ExitCode"].as_i64().unwrap_or(0);
    let state = match (text("State"), text("Health")) {
        ("running", "") => "running".to_owned(),
        ("running", health) => health.to_owned(),
        (state, _) => format!("{state}, exit status {code}"),
    };
    let published = |publisher: &Value| {
        let port = publisher["PublishedPort"].as_u64().filter(|port| *port > 0)?;
        let host = publisher["URL"].as_str().unwrap_or_default();
        let host = if host.is_empty() || host == "0.0.0.0" || host == "::" { "127.0.0.1" } else { host };
        let target = publisher["TargetPort"].as_u64().unwrap_or_default();
        // What speaks HTTP is not told. These numbers are of others for certain.
        let scheme = if matches!(target, 22 | 25 | 53 | 1433 | 3306 | 5432 | 5672 | 6379 | 9042 | 9092 | 11211 | 27017)
        {
            ""
        } else {
            "http://"
        };
        Some(format!("{scheme}{host}:{port}"))
    };
    let mut addresses: Vec<String> =
        object["Publishers"].as_array().into_iter().flatten().filter_map(published).collect();
    addresses.sort();
    addresses.dedup();
    let status = text("Status");
    RunningPart {
        part: Some(text("Service").to_owned()),
        state,
        is_running: text("State") == "running",
        since: status.strip_prefix("Up ").map(|up| up.split(" (").next().unwrap_or(up)).unwrap_or_default().to_owned(),
        addresses,
        what: format!("container {}", text("Name")),
    }
}

impl Services {
    fn line<const N: usize>(&self, words: [&str; N]) -> CommandLine {
        let project = format!("--project-name={}", self.project);
        self.docker.command(["compose", &project]).arguments(words)
    }
}

impl Running for Services {
    fn parts(&self) -> Result<Vec<RunningPart>, UserError> {
        let answer = answer(&self.line(["ps", "--all", "--format", "json"]))?;
        let mut parts: Vec<RunningPart> = objects(&answer).iter().map(service_of).collect();
        parts.sort_by(|one, other| one.part.cmp(&other.part));
        Ok(parts)
    }

    fn stop(&self) -> Result<Vec<String>, UserError> {
        let parts = self.parts()?;
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        answer(&self.line(["down", "--remove-orphans"]))?;
        Ok(parts.into_iter().filter(|part| part.is_running).filter_map(|part| part.part).collect())
    }

    fn logs(&self, query: LogQuery, see: SeeLine<'_>, cancellation: &Cancellation) -> Result<(), UserError> {
        let tail = query.tail.map_or_else(|| "--tail=all".to_owned(), |count| format!("--tail={count}"));
        let mut line = self.line(["logs", "--no-color"]).argument(tail);
        line.arguments.extend(query.follow.then(|| "--follow".to_owned()));
        // `backend-1  | text`
        let by_service = |text: &str| match text.split_once(" | ") {
            Some((container, text)) => {
                let container = container.trim();
                let service = container.rsplit_once('-').map_or(container, |(service, _)| service);
                see(Some(service), text);
            }
            None => see(None, text),
        };
        print_lines(line, &by_service, cancellation)
    }
}
