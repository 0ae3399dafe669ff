//! The services of a compose file. A project may have more: those of other files, of other targets or of the user. They are told apart by the label that
//! compose gives each container.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_engine::UserError;
use rondel_process::{Cancellation, CommandLine};
use serde_json::Value;

use super::containers::{answer, objects, print_lines};
use super::{LogQuery, Running, RunningPart, SeeLine};
use crate::docker::Docker;

/// The services of one file.
pub(crate) struct Services {
    /// The command.
    pub docker: Docker,
    /// Name of the project.
    pub project: String,
    /// The compose file, absolute.
    pub file: PathBuf,
}

/// Objects of `docker compose ps --format json`.
pub(crate) struct Listed {
    pub own: Vec<Value>,
    /// How many are of other files.
    pub others: usize,
}

/// Where compose keeps the files that a container was started from, and the other directions of the same project.
const FILES: &str = "com.docker.compose.project.config_files=";

/// Returns how a service is, from an object of `docker compose ps --format json`, and its addresses on this machine.
fn service_of(object: &Value) -> RunningPart {
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

impl Listed {
    /// Takes what compose lists of a project apart: the services of `file`, which is the first that each was started from, and others.
    pub fn of(text: &str, file: &std::path::Path) -> Listed {
        let file = file.display().to_string();
        // Labels are written one after the other, and so are files: `…config_files=/a/compose.yml,/b/override.yml,com.docker…`. An old compose tells none:
        // then all is one.
        let is_own = |object: &Value| {
            let Some(labels) = object["Labels"].as_str() else { return true };
            let files = labels.split_once(FILES).map(|(_, files)| files);
            files
                .and_then(|files| files.strip_prefix(&file))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
        };
        let (own, others): (Vec<Value>, Vec<Value>) = objects(text).into_iter().partition(is_own);
        Listed { own, others: others.len() }
    }

    /// Returns how the own services are, sorted by name.
    pub fn parts(&self) -> Vec<RunningPart> {
        let mut parts: Vec<RunningPart> = self.own.iter().map(service_of).collect();
        parts.sort_by(|one, other| one.part.cmp(&other.part));
        parts
    }

    /// Returns the names of the own containers.
    pub fn names(&self) -> Vec<String> {
        self.own.iter().filter_map(|object| object["Name"].as_str()).map(str::to_owned).collect()
    }
}

impl Services {
    /// Returns what there is of the project.
    pub fn listed(&self) -> Result<Listed, UserError> {
        Ok(Listed::of(&answer(&self.line(["ps", "--all", "--format", "json"]))?, &self.file))
    }

    /// Ends all services of the file, also those that it does not name any more, and nothing of others.
    pub fn end(&self) -> Result<Listed, UserError> {
        let listed = self.listed()?;
        if listed.own.is_empty() {
            return Ok(listed);
        }
        if listed.others == 0 {
            answer(&self.line(["down", "--remove-orphans"]))?;
            return Ok(listed);
        }
        // Networks stay: others are in them.
        answer(&self.docker.command(["stop"]).arguments(listed.names()))?;
        answer(&self.docker.command(["rm", "--force"]).arguments(listed.names()))?;
        Ok(listed)
    }

    fn line<const N: usize>(&self, words: [&str; N]) -> CommandLine {
        let project = format!("--project-name={}", self.project);
        self.docker.command(["compose", &project]).arguments(words)
    }
}

impl Running for Services {
    fn parts(&self) -> Result<Vec<RunningPart>, UserError> {
        self.listed().map(|listed| listed.parts())
    }

    fn stop(&self) -> Result<Vec<String>, UserError> {
        Ok(self.end()?.parts().into_iter().filter(|part| part.is_running).filter_map(|part| part.part).collect())
    }

    fn logs(&self, query: LogQuery, see: SeeLine<'_>, cancellation: &Cancellation) -> Result<(), UserError> {
        let tail = query.tail.map_or_else(|| "--tail=all".to_owned(), |count| format!("--tail={count}"));
        let mut line = self.line(["logs", "--no-color"]).argument(tail);
        line.arguments.extend(query.follow.then(|| "--follow".to_owned()));
        let listed = self.listed()?;
        let own = listed.own.iter().filter_map(|object| Some((object["Name"].as_str()?, object["Service"].as_str()?)));
        // Compose leaves out the project: `backend-1  | text`.
        let project = format!("{}-", self.project);
        let services: BTreeMap<&str, &str> =
            own.map(|(name, service)| (name.strip_prefix(&project).unwrap_or(name), service)).collect();
        if listed.others > 0 {
            line.arguments.extend(services.values().map(|service| (*service).to_owned()));
        }
        let by_service = |text: &str| match text.split_once(" | ") {
            Some((container, text)) => {
                let container = container.trim();
                let first = || container.rsplit_once('-').map_or(container, |(service, _)| service);
                see(Some(services.get(container).copied().unwrap_or_else(first)), text);
            }
            None => see(None, text),
        };
        print_lines(line, &by_service, cancellation)
    }
}
