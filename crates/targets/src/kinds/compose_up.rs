//! `ComposeUp`: the services of a compose file, with the images made here.

use std::path::Path;

use rondel_buildfile::{ComposeUp, Target};
use rondel_engine::{Freshness, Job, Metadata, Prepared, Query, Report, Shown, Step, StepContext, StepError, StepKey};
use serde_json::{Value, json};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::docker::compose::{Compose, compose};
use crate::image::load::{health_of, image_in_docker};
use crate::image::metadata::{ServicesMetadata, image_of};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for ComposeUp {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let compose = compose(analyzer, &self.file, &self.env, self.project_name.as_ref())?;
        let (mut images, mut inputs) = (Vec::new(), Vec::new());
        for (service, name) in &self.images {
            let health = health_of(analyzer, &name.value)?.map(|health| health.command);
            images.push((service.value.clone(), inputs.len(), health));
            inputs.push(image_in_docker(analyzer, &name.value, &compose.docker)?);
        }
        let step = ComposeUpStep {
            compose,
            name: target.name.value.to_string(),
            images,
            wait: self.wait,
            wait_timeout_s: self.wait_timeout_s.get(),
        };
        Ok(TargetNodes::end(analyzer.add(
            target,
            StepKey::main(&target.name.value),
            deps,
            inputs,
            Shown::Streamed,
            Box::new(step),
        )))
    }
}

pub(crate) struct ComposeUpStep {
    pub compose: Compose,
    /// Name of the target, for the override's path.
    pub name: String,
    /// Service, index of its image among the inputs, and the image's health check.
    pub images: Vec<(String, usize, Option<Vec<String>>)>,
    pub wait: bool,
    pub wait_timeout_s: u64,
}

impl ComposeUpStep {
    /// Returns an override that replaces images of the file by the ones just made.
    fn overrides(&self, context: &StepContext<'_>) -> String {
        let mut services = serde_json::Map::new();
        for (service, index, health) in &self.images {
            let id = image_of(context, *index).map(|image| image.image_id).unwrap_or_default();
            let mut entry = json!({"image": id, "pull_policy": "never"});
            if let Some(command) = health {
                // In a compose file `$` begins a variable.
                let words = command.iter().map(|word| word.replace('$', "$$"));
                let test: Vec<String> = std::iter::once("CMD".to_owned()).chain(words).collect();
                entry["healthcheck"] = json!({"test": test});
            }
            services.insert(service.clone(), entry);
        }
        // JSON is YAML; the tag removes the file's `build`.
        let mut text = String::from("services:\n");
        for (service, entry) in &services {
            text.push_str(&format!("  {}:\n    build: !reset null\n", json!(service)));
            for (key, value) in entry.as_object().into_iter().flatten() {
                text.push_str(&format!("    {key}: {value}\n"));
            }
        }
        if services.is_empty() { "services: {}\n".to_owned() } else { text }
    }

    /// Returns a line for each service, from `docker compose ps`.
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
        Ok(Report::of(Metadata::of(&ServicesMetadata(services.into_iter().collect()))))
    }
}
