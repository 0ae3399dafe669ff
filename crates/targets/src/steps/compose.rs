//! `ComposeUp` and `ComposeDown`: the services of a compose file, with the images that were made here.

use std::path::{Path, PathBuf};

use rondel_engine::{Freshness, Job, Metadata, Prepared, Query, Report, Step, StepContext, StepError};
use rondel_process::CommandLine;
use serde_json::{Value, json};

use crate::docker::Docker;
use crate::image_metadata::{ServicesMetadata, image_of};
use rondel_engine::EnvironmentValue;

/// What both directions share.
pub(crate) struct Compose {
    pub docker: Docker,
    /// The compose file, absolute.
    pub file: PathBuf,
    pub project_name: String,
    pub env: Vec<(String, EnvironmentValue)>,
}

pub(crate) struct ComposeUpStep {
    pub compose: Compose,
    /// Name of the target, for the override's path.
    pub name: String,
    /// Service, index of its image among the inputs, and the health check that the image brings.
    pub images: Vec<(String, usize, Option<Vec<String>>)>,
    pub wait: bool,
    pub wait_timeout_s: u64,
}

pub(crate) struct ComposeDownStep {
    pub compose: Compose,
    pub volumes: bool,
}

impl Compose {
    fn line(&self, overrides: Option<&Path>, arguments: &[String]) -> CommandLine {
        let mut all = vec!["compose".to_owned(), format!("--project-name={}", self.project_name)];
        all.push(format!("--file={}", self.file.display()));
        all.extend(overrides.map(|path| format!("--file={}", path.display())));
        // Without it, paths in the file would be relative to the last file named.
        all.push(format!("--project-directory={}", self.file.parent().unwrap_or(Path::new("/")).display()));
        all.extend(arguments.iter().cloned());
        let mut line = self.docker.command(all);
        for (name, value) in &self.env {
            let value = match value {
                EnvironmentValue::Plain(value) => value,
                EnvironmentValue::Secret(value) => {
                    line.secret_names.push(name.clone());
                    value
                }
            };
            line.environment.push((name.clone(), value.clone()));
        }
        line
    }

    fn require(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        if !self.docker.has_plugin("compose") {
            let captured = context.try_capture(&self.docker.command(["compose", "version"]))?;
            if !captured.finished.status.success() {
                return Err(StepError::environment("`docker compose` is not installed")
                    .hint("install Docker's compose plugin (version 2)"));
            }
        }
        self.docker.require_daemon(context)
    }
}

impl ComposeUpStep {
    /// Puts the images that were just made in place of what the file says.
    fn overrides(&self, context: &StepContext<'_>) -> String {
        let mut services = serde_json::Map::new();
        for (service, index, health) in &self.images {
            let id = image_of(context, *index).map(|image| image.image_id).unwrap_or_default();
            let mut entry = json!({"image": id, "pull_policy": "never"});
            if let Some(command) = health {
                let test: Vec<&str> = std::iter::once("CMD").chain(command.iter().map(String::as_str)).collect();
                entry["healthcheck"] = json!({"test": test});
            }
            services.insert(service.clone(), entry);
        }
        // JSON is YAML; the tag takes away what the file says of building.
        let mut text = String::from("services:\n");
        for (service, entry) in &services {
            text.push_str(&format!("  {}:\n    build: !reset null\n", json!(service)));
            for (key, value) in entry.as_object().into_iter().flatten() {
                text.push_str(&format!("    {key}: {value}\n"));
            }
        }
        if services.is_empty() { "services: {}\n".to_owned() } else { text }
    }

    /// A line for each service, as `docker compose ps` sees it.
    fn report(&self, context: &StepContext<'_>, overrides: &Path) -> Result<Vec<(String, String)>, StepError> {
        let arguments = ["ps", "--all", "--format", "json"].map(str::to_owned);
        let captured = context.capture(&self.compose.line(Some(overrides), &arguments))?;
        let text = String::from_utf8_lossy(&captured.stdout);
        // Older releases print one array, newer ones an object a line.
        let mut objects: Vec<Value> = Vec::new();
        for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok) {
            match value {
                Value::Array(list) => objects.extend(list),
                other => objects.push(other),
            }
        }
        let of = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let line = |object: &Value| {
            let (state, health, code) =
                (of(object, "State"), of(object, "Health"), object["ExitCode"].as_i64().unwrap_or(0));
            let detail = match (state.as_str(), health.as_str()) {
                ("running", "") => "running".to_owned(),
                ("running", health) => health.to_owned(),
                (state, _) => format!("{state}, exit status {code}"),
            };
            (of(object, "Service"), detail)
        };
        let mut lines: Vec<(String, String)> = objects.iter().map(line).collect();
        lines.sort();
        Ok(lines)
    }
}

impl Step for ComposeUpStep {
    type Findings = ();

    fn prepare(&self, _query: &Query<'_>) -> Result<Prepared, StepError> {
        Ok(Prepared::unkeyed(Freshness::always("it starts services")))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        self.compose.require(context)?;
        let overrides = context.workspace.state.join("out").join(&self.name).join("compose-override.yml");
        rondel_cas::write_atomically(&context.workspace.scratch(), &overrides, self.overrides(context).as_bytes())
            .map_err(|error| StepError::unwritable(&overrides, &error))?;
        let mut arguments = vec!["up".to_owned(), "--detach".to_owned()];
        if self.wait {
            arguments.extend(["--wait".to_owned(), format!("--wait-timeout={}", self.wait_timeout_s)]);
        }
        let outcome = context.run(&self.compose.line(Some(&overrides), &arguments));
        if matches!(outcome, Err(StepError::Interrupted)) {
            return Err(StepError::Interrupted);
        }
        let services = self.report(context, &overrides)?;
        for (service, state) in &services {
            context.note(format!("{service}: {state}"));
        }
        if let Err(StepError::Command { summary, status, mut output, told, .. }) = outcome {
            for (service, state) in
                services.iter().filter(|(_, state)| !matches!(state.as_str(), "healthy" | "running"))
            {
                output.push(format!("--- {service} ({state}), last lines:"));
                let arguments =
                    ["logs", "--no-color", "--no-log-prefix", "--tail=20", service.as_str()].map(str::to_owned);
                let captured = context.try_capture(&self.compose.line(Some(&overrides), &arguments))?;
                output.extend(String::from_utf8_lossy(&captured.stdout).lines().map(|line| context.redact(line)));
            }
            return Err(StepError::Command { summary, status, output, told, hint: None });
        }
        outcome?;
        Ok(Report { metadata: Metadata::of(&ServicesMetadata(services.into_iter().collect())) })
    }
}

impl Step for ComposeDownStep {
    type Findings = ();

    fn prepare(&self, _query: &Query<'_>) -> Result<Prepared, StepError> {
        Ok(Prepared::unkeyed(Freshness::always("it stops services")))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        self.compose.require(context)?;
        let mut arguments = vec!["down".to_owned(), "--remove-orphans".to_owned()];
        if self.volumes {
            arguments.push("--volumes".to_owned());
        }
        context.run(&self.compose.line(None, &arguments))?;
        Ok(Report::default())
    }
}
