//! `GoModDownload`: a presence check over the module cache, and the download if something is missing.
//!
//! The cache is mutable and shared, so this is no stored result: each time it is asked for, go.mod and go.sum
//! must be as they were and every module directory must be there. It is asked for only when a build runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_buildfile::Platform;
use rondel_cas::{Digest, write_atomically};
use rondel_engine::{ActionSpec, Freshness, Plan, Reason, RunReport, Step, StepContext, StepError};
use rondel_process::CommandLine;
use serde::{Deserialize, Serialize};

use crate::go_support::GoSupport;

pub(crate) struct GoModDownloadStep {
    pub go: Arc<GoSupport>,
}

/// What was there after the last download.
#[derive(Serialize, Deserialize, PartialEq)]
struct Presence {
    module_cache: PathBuf,
    module_files: String,
    directories: Vec<PathBuf>,
}

/// A line of `go mod download -json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    #[serde(default)]
    dir: PathBuf,
    #[serde(default)]
    path: String,
    #[serde(default)]
    error: String,
}

impl GoModDownloadStep {
    /// go.mod and go.sum, as one text.
    fn module_files(&self, context: &StepContext<'_>) -> Result<String, StepError> {
        let mut text = String::new();
        for path in self.go.module_files() {
            let name = path.strip_prefix(&self.go.module).unwrap_or(&path).display().to_string();
            let is_needed = path.ends_with("go.mod") && self.go.go_work.is_none();
            let digest = match std::fs::metadata(&path) {
                Ok(metadata) => {
                    let digest = context.workspace.snapshot.digest(&path, &metadata);
                    digest.map_err(|error| StepError::unreadable(&path, &error))?.to_string()
                }
                Err(_) if !is_needed => "none".to_owned(),
                Err(error) => {
                    return Err(
                        StepError::unreadable(&path, &error).hint("`root` in build.ron is the directory of go.mod")
                    );
                }
            };
            text.push_str(&format!("{name} {digest}\n"));
        }
        Ok(text)
    }

    fn record(&self, context: &StepContext<'_>) -> PathBuf {
        let name = Digest::of(self.go.module.to_string_lossy().as_bytes()).short();
        context.workspace.state.join("modules").join(name)
    }
}

impl Step for GoModDownloadStep {
    fn prepare(&self, context: &StepContext<'_>) -> Result<Plan, StepError> {
        let spec = ActionSpec::default();
        let plan = |freshness| Ok(Plan { spec: spec.clone(), freshness });
        let now = self.module_files(context)?;
        if self.go.is_vendored() {
            return plan(Freshness::UpToDate([("modules".to_owned(), "vendored".to_owned())].into()));
        }
        let stored = std::fs::read(self.record(context)).ok();
        let Some(presence) = stored.and_then(|bytes| serde_json::from_slice::<Presence>(&bytes).ok()) else {
            return plan(Freshness::Run(vec![Reason::NoPrevious]));
        };
        if presence.module_cache != self.go.directories.module_cache {
            return plan(Freshness::Run(vec![Reason::NotPresent {
                what: "the module cache is another one".to_owned(),
            }]));
        }
        if presence.module_files != now {
            return plan(Freshness::Run(vec![Reason::NotPresent { what: "go.mod or go.sum changed".to_owned() }]));
        }
        if let Some(gone) = presence.directories.iter().find(|directory| !directory.is_dir()) {
            let name = gone.strip_prefix(&self.go.directories.module_cache).unwrap_or(gone).display().to_string();
            return plan(Freshness::Run(vec![Reason::NotPresent {
                what: format!("{name} is not in the module cache"),
            }]));
        }
        plan(Freshness::UpToDate([("modules".to_owned(), presence.directories.len().to_string())].into()))
    }

    fn run(&self, context: &StepContext<'_>, _spec: &ActionSpec, _staging: &Path) -> Result<RunReport, StepError> {
        let before = self.module_files(context)?;
        let mut directories = download(&self.go, context)?;
        directories.sort();
        // go.sum may have been completed by the download.
        let after = self.module_files(context)?;
        if before != after {
            context.note("go.sum was completed; commit it");
        }
        let count = directories.len();
        let module_cache = self.go.directories.module_cache.clone();
        let presence = Presence { module_cache, module_files: after, directories };
        let record = self.record(context);
        let text = serde_json::to_vec(&presence).expect("plain data");
        if let Err(error) = write_atomically(&context.workspace.scratch(), &record, &text) {
            context.warn(format!("what was downloaded was not remembered: {error}"));
        }
        Ok(RunReport { facts: BTreeMap::from([("modules".to_owned(), count.to_string())]) })
    }
}

/// Runs `go mod download`; the directories of the modules that are there then.
pub(crate) fn download(go: &GoSupport, context: &StepContext<'_>) -> Result<Vec<PathBuf>, StepError> {
    let toolchain = go.toolchain(context)?;
    // Any platform: which one is downloaded for makes no difference.
    let platform = Platform::new("linux/amd64").expect("a platform that Go knows");
    let mut environment = go.compile_environment(&toolchain.root, &platform).for_process();
    // The user's HOME for netrc, and their PATH for the version control of private modules.
    for (name, value) in [("HOME", go.caller("HOME")), ("PATH", go.caller("PATH"))] {
        if let Some(value) = value {
            environment.retain(|(other, _)| other != name);
            environment.push((name.to_owned(), value));
        }
    }
    let settings =
        if go.offline { vec![("GOPROXY".to_owned(), "off".to_owned())] } else { go.download_environment(&toolchain) };
    for (name, value) in settings {
        environment.retain(|(other, _)| *other != name);
        environment.push((name, value));
    }
    context.progress("downloading modules", 0, 0);
    let secret_names = environment.iter().filter(|(name, value)| holds_password(name, value));
    let secret_names = secret_names.map(|(name, _)| name.clone()).collect();
    let mut line =
        CommandLine::new(toolchain.go(), &go.module).arguments(["mod", "download", "-json"]).environment(environment);
    line.secret_names = secret_names;
    let captured = context.try_capture(&line)?;
    let mut directories = Vec::new();
    let mut errors = Vec::new();
    for module in serde_json::Deserializer::from_slice(&captured.stdout).into_iter::<Downloaded>().map_while(Result::ok)
    {
        if module.error.is_empty() {
            directories.push(module.dir);
        } else {
            errors.push(format!("{}: {}", module.path, module.error));
        }
    }
    if !captured.finished.status.success() || !errors.is_empty() {
        errors.extend(captured.stderr.lines().map(str::to_owned));
        return Err(StepError::Command {
            summary: "go mod download".to_owned(),
            status: captured.finished.describe(),
            output: errors,
            told: 0,
            hint: Some("check go.mod, GOPROXY and the network".to_owned()),
        });
    }
    Ok(directories)
}

/// Download settings are shown with the command, unless a user and password stand in them.
fn holds_password(name: &str, value: &str) -> bool {
    name == "GOAUTH"
        || value.split([',', '|']).any(|url| url.split_once("://").is_some_and(|(_, rest)| rest.contains('@')))
}
