//! A compose project: its file, its name, its variables. Shared by both directions.

use std::path::{Path, PathBuf};

use rondel_buildfile::{ProcessEnvironment, SourcePath, Text};
use rondel_engine::{EnvironmentValue, StepContext, StepError, UserError};
use rondel_process::CommandLine;

use crate::analyzer::{Analyzed, Analyzer};
use crate::docker::Docker;

/// The parts shared by both directions.
pub(crate) struct Compose {
    pub docker: Docker,
    /// The compose file, absolute.
    pub file: PathBuf,
    pub project_name: String,
    pub env: Vec<(String, EnvironmentValue)>,
}

impl Compose {
    pub fn line(&self, overrides: Option<&Path>, arguments: &[String]) -> CommandLine {
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
                EnvironmentValue::Secret(value) | EnvironmentValue::Sealed { value, .. } => {
                    line.secret_names.push(name.clone());
                    value
                }
            };
            line.environment.push((name.clone(), value.clone()));
        }
        line
    }

    pub fn require(&self, context: &StepContext<'_>) -> Result<(), StepError> {
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

/// Returns the project of a target.
pub(crate) fn compose(
    analyzer: &Analyzer<'_>,
    file: &SourcePath,
    env: &ProcessEnvironment,
    project_name: Option<&Text>,
) -> Analyzed<Compose> {
    let path = analyzer.root.join(&file.value);
    if !path.is_file() {
        return Err(UserError::input(format!("there is no compose file `{}`", file.value)).at(file.span));
    }
    Ok(Compose {
        docker: analyzer.docker()?,
        file: path,
        project_name: project_name_of(analyzer, project_name)?,
        env: analyzer.variables.environment(env)?,
    })
}

/// Returns the name of the project: as written, or as the caller's environment has it, as for `docker compose` itself.
pub(crate) fn project_name_of(analyzer: &Analyzer<'_>, written: Option<&Text>) -> Analyzed<String> {
    let request = analyzer.request;
    let of_caller = || request.environment.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()).cloned();
    let own = || request.file.project.value.clone();
    Ok(analyzer.variables.optional(written)?.or_else(of_caller).unwrap_or_else(own))
}
