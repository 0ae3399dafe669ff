//! `ComposeUp`: the services of a compose file, with the images made here.

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rondel_buildfile::{ComposeUp, Target};
use rondel_engine::{
    Freshness, Job, Metadata, Part, Prepared, Query, Report, Shown, Step, StepContext, StepError, StepKey,
};
use rondel_process::{Cancellation, Stream, capture};
use serde_json::json;

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::docker::compose::{Compose, compose, project_name_of};
use crate::docker::taken_port::taken_port;
use crate::image::load::{health_of, image_in_docker};
use crate::image::metadata::{ServicesMetadata, image_of};
use crate::nodes::{Deps, TargetNodes};
use crate::running::{Listed, Running, RunningPart, Services};

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
            profiles: analyzer.variables.texts(&self.profiles)?,
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

    fn running(&self, analyzer: &Analyzer<'_>, _target: &Target) -> Analyzed<Option<Box<dyn Running>>> {
        let project = project_name_of(analyzer, self.project_name.as_ref())?;
        let file = analyzer.root.join(&self.file.value);
        Ok(Some(Box::new(Services { docker: analyzer.docker()?, project, file })))
    }
}

pub(crate) struct ComposeUpStep {
    pub compose: Compose,
    /// Name of the target, for the override's path.
    pub name: String,
    /// Service, index of its image among the inputs, and the image's health check.
    pub images: Vec<(String, usize, Option<Vec<String>>)>,
    pub profiles: Vec<String>,
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

    /// Returns how each service is, from `docker compose ps`.
    fn services(&self, overrides: &Path, cancellation: &Cancellation) -> Option<Vec<RunningPart>> {
        let arguments = ["ps", "--all", "--format", "json"].map(str::to_owned);
        let captured = capture(&self.compose.line(Some(overrides), &arguments), cancellation).ok()?;
        Some(Listed::of(&String::from_utf8_lossy(&captured.stdout), &self.compose.file).parts())
    }

    /// Starts the services. Meanwhile a table says how they are, in place of what compose prints.
    fn start(&self, context: &StepContext<'_>, overrides: &Path) -> Result<(), StepError> {
        let mut arguments: Vec<String> = self.profiles.iter().map(|profile| format!("--profile={profile}")).collect();
        arguments.extend(["up".to_owned(), "--detach".to_owned()]);
        if self.wait {
            arguments.extend(["--wait".to_owned(), format!("--wait-timeout={}", self.wait_timeout_s)]);
        }
        let printed: Mutex<Vec<String>> = Mutex::default();
        let (alive, ended) = channel::<()>();
        let outcome = std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut told = Vec::new();
                while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let Some(services) = self.services(overrides, context.cancellation) else { continue };
                    let rows: Vec<Part> = services.iter().map(row).collect();
                    if rows != told {
                        context.parts(rows.clone());
                        told = rows;
                    }
                }
            });
            let see = |_: Stream, line: &str| printed.lock().expect("no panic while locked").push(line.to_owned());
            let outcome = context.run_unseen(&self.compose.line(Some(overrides), &arguments), &see);
            drop(alive);
            outcome
        });
        outcome.map_err(|error| match error {
            StepError::Command { summary, status, hint, .. } => {
                let output = printed.into_inner().expect("no panic while locked");
                let output = output[output.len().saturating_sub(PRINTED_MAX)..].to_vec();
                StepError::Command { summary, status, output, told: 0, hint }
            }
            other => other,
        })
    }
}

/// How often the services are asked how they are.
const INTERVAL: Duration = Duration::from_millis(700);
/// How many lines of compose are shown if it fails.
const PRINTED_MAX: usize = 60;

/// Returns true if a service is as it should be.
fn is_well(service: &RunningPart) -> bool {
    matches!(service.state.as_str(), "healthy" | "running")
}

fn row(service: &RunningPart) -> Part {
    Part {
        name: service.part.clone().unwrap_or_default(),
        state: service.state.clone(),
        is_well: is_well(service),
        place: service.addresses.join(", "),
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
        // Two at once would both make the network.
        let project = format!("compose {}", self.compose.project_name);
        let turn = context.lock(&project, "another target that starts services of the same project")?;
        let outcome = self.start(context, &overrides);
        drop(turn);
        if matches!(outcome, Err(StepError::Interrupted)) {
            let _finishing = context.cancellation.finishing();
            if self.services(&overrides, &Cancellation::new()).is_some_and(|services| !services.is_empty()) {
                let stop = format!("`{} stop {}` ends them", rondel_engine::PROGRAM, self.name);
                context.warn(format!("services that were started go on: {stop}"));
            }
            return Err(StepError::Interrupted);
        }
        let services = self.services(&overrides, context.cancellation).unwrap_or_default();
        for service in &services {
            let name = service.part.as_deref().unwrap_or_default();
            let place = if service.addresses.is_empty() { "" } else { " at " };
            context.note(format!("{name} {}{place}{}", service.state, service.addresses.join(", ")));
        }
        if let Err(StepError::Command { summary, status, mut output, told, hint }) = outcome {
            for service in services.iter().filter(|service| !is_well(service)) {
                let name = service.part.as_deref().unwrap_or_default();
                output.push(format!("--- {name} ({}), last lines:", service.state));
                let arguments = ["logs", "--no-color", "--no-log-prefix", "--tail=20", name].map(str::to_owned);
                let captured = context.try_capture(&self.compose.line(Some(&overrides), &arguments))?;
                output.extend(String::from_utf8_lossy(&captured.stdout).lines().map(|line| context.redact(line)));
            }
            let hint = hint.or_else(|| taken_port(&output));
            return Err(StepError::Command { summary, status, output, told, hint });
        }
        outcome?;
        let states = services.into_iter().filter_map(|service| Some((service.part?, service.state)));
        Ok(Report::of(Metadata::of(&ServicesMetadata(states.collect()))))
    }
}
