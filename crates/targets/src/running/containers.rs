//! The containers of a `DockerRun`, by their labels.

use rondel_engine::UserError;
use rondel_process::{Cancellation, CommandLine, Redactor, capture, run};
use serde_json::Value;

use super::{LogQuery, Running, RunningPart, SeeLine};
use crate::docker::Docker;
use crate::docker::container_labels::ContainerLabels;

/// The containers of one target.
pub(crate) struct Containers {
    /// The command.
    pub docker: Docker,
    /// What marks them.
    pub labels: ContainerLabels,
}

/// Returns the standard output of a command that has to end with 0.
pub(crate) fn answer(line: &CommandLine) -> Result<String, UserError> {
    let captured = capture(line, &Cancellation::new()).map_err(|error| UserError::environment(error.to_string()))?;
    if captured.finished.status.success() {
        return Ok(String::from_utf8_lossy(&captured.stdout).into_owned());
    }
    let why = captured.stderr.lines().last().unwrap_or("it says nothing").trim().to_owned();
    Err(UserError::environment(format!("`docker` failed: {why}")).hint("start Docker, or set DOCKER_HOST"))
}

/// Returns the lines of an answer that are JSON.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>().map_while(Result::ok);
    // Older releases print one array, newer ones an object a line.
    values.flat_map(|value| if let Value::Array(list) = value { list } else { vec![value] }).collect()
}

/// Calls `see` with the lines that a command prints.
pub(crate) fn print_lines(
    line: CommandLine,
    see: &(dyn Fn(&str) + Sync),
    cancellation: &Cancellation,
) -> Result<(), UserError> {
    let line = CommandLine { is_merged: true, ..line };
    match run(&line, cancellation, &Redactor::default(), &|_, text| see(text)) {
        Ok(_) | Err(rondel_process::ProcessError::Interrupted) => Ok(()),
        Err(error) => Err(UserError::environment(error.to_string())),
    }
}

/// Returns the places on this machine that a container is reached at: `127.0.0.1:8080` of `127.0.0.1:8080->80/tcp`.
fn addresses(ports: &str) -> Vec<String> {
    let published = ports.split(", ").filter_map(|port| port.split_once("->")).map(|(host, _)| host.to_owned());
    let mut addresses: Vec<String> = published.map(|host| host.replace("0.0.0.0:", "127.0.0.1:")).collect();
    addresses.retain(|address| !address.starts_with("[::]") && !address.starts_with(":::"));
    addresses.dedup();
    addresses
}

/// One container, in the words of `docker ps`.
struct Container {
    id: String,
    /// `running`, `exited`
    state: String,
    /// `Up 2 minutes (healthy)`, `Exited (3) 5 seconds ago`
    status: String,
    ports: String,
}

impl Container {
    fn part(&self) -> RunningPart {
        let (up, status) = (self.status.strip_prefix("Up "), &self.status);
        let in_parentheses = status.split(['(', ')']).nth(1);
        let health = in_parentheses.map(|health| health.trim_start_matches("health: "));
        RunningPart {
            part: None,
            state: match self.state.as_str() {
                "running" => health.unwrap_or("running").to_owned(),
                "exited" => format!("ended: exit status {}", in_parentheses.unwrap_or("unknown")),
                other => other.to_owned(),
            },
            is_running: self.state == "running",
            since: up.map(|up| up.split(" (").next().unwrap_or(up)).unwrap_or_default().to_owned(),
            addresses: addresses(&self.ports),
            what: format!("container {}", short_id(&self.id)),
        }
    }
}

impl Containers {
    fn all(&self) -> Result<Vec<Container>, UserError> {
        // Docker and podman have other objects, and the same words.
        let form = "{{.ID}}\t{{.State}}\t{{.Status}}\t{{.Ports}}";
        let line = self.docker.command(["ps", "--all", "--no-trunc", "--format", form]);
        let answer = answer(&line.arguments(self.labels.filters()))?;
        let container = |line: &str| {
            let mut words = line.split('\t').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            let (id, state) = (next(), state_word(&next()));
            Container { id, state, status: next(), ports: next() }
        };
        Ok(answer.lines().map(container).collect())
    }
}

/// Podman says `Up 2 minutes` for Docker's `running`, and `Exited (3) …` for its `exited`.
fn state_word(state: &str) -> String {
    match state.split(' ').next().unwrap_or(state) {
        "Up" => "running".to_owned(),
        word => word.to_lowercase(),
    }
}

/// Returns the first digits of a container's ID, as people know it.
pub(crate) fn short_id(id: &str) -> &str {
    &id[..id.len().min(12)]
}

impl Running for Containers {
    fn parts(&self) -> Result<Vec<RunningPart>, UserError> {
        Ok(self.all()?.iter().map(Container::part).collect())
    }

    fn stop(&self) -> Result<Vec<String>, UserError> {
        let mut stopped = Vec::new();
        for Container { id, .. } in self.all()? {
            answer(&self.docker.command(["stop", "--time", "10", &id]))?;
            // One that removes itself is gone.
            let _ = answer(&self.docker.command(["rm", "--force", "--volumes", &id]));
            stopped.push(format!("container {}", short_id(&id)));
        }
        self.labels.remove_secrets();
        Ok(stopped)
    }

    fn logs(&self, query: LogQuery, see: SeeLine<'_>, cancellation: &Cancellation) -> Result<(), UserError> {
        let mut words = vec!["logs".to_owned()];
        words.extend(query.tail.map(|count| format!("--tail={count}")));
        words.extend(query.follow.then(|| "--follow".to_owned()));
        self.all()?.into_iter().try_for_each(|container| {
            let line = self.docker.command(words.iter().cloned().chain([container.id]));
            print_lines(line, &|text| see(None, text), cancellation)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{addresses, state_word};

    #[test]
    fn states_of_docker_and_podman() {
        for (state, expected) in [
            ("running", "running"),
            ("Up 2 minutes", "running"),
            ("Exited (3) 5 seconds ago", "exited"),
            ("Created", "created"),
        ] {
            assert_eq!(state_word(state), expected);
        }
    }

    #[test]
    fn published_places() {
        for (ports, expected) in [
            ("127.0.0.1:8080->80/tcp", vec!["127.0.0.1:8080"]),
            ("0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", vec!["127.0.0.1:8080"]),
            ("0.0.0.0:8080->80/tcp, :::8080->80/tcp, 9090/tcp", vec!["127.0.0.1:8080"]),
            ("", vec![]),
        ] {
            assert_eq!(addresses(ports), expected);
        }
    }
}
