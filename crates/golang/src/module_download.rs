//! `go mod download`, and the check of its results: bytes of the module cache reach a build only if they match go.sum.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rondel_cas::{MEMORY_MAX, read_text_at_most};
use rondel_engine::{Environment, StepContext, StepError};
use rondel_names::Platform;
use rondel_process::CommandLine;
use rondel_tree::StatSnapshot;
use serde::Deserialize;

use crate::Toolchain;
use crate::closure_lookup::DOWNLOAD_HINT;
use crate::environment::turn_index_off;
use crate::index_shield::distrust_index;
use crate::module_cache::{Tampered, module_sums, remove_module, tampered_module};
use crate::readable;
use crate::support::GoSupport;

/// A line of `go mod download -json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    #[serde(default)]
    dir: PathBuf,
    #[serde(default)]
    path: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    error: String,
}

/// Checks modules against go.sum before they reach a build. With `--locked` a mismatch is an error. Otherwise the
/// module is removed and fetched again, with a warning.
pub(crate) fn check_modules(
    go: &GoSupport,
    context: &StepContext<'_>,
    directories: &BTreeSet<PathBuf>,
) -> Result<(), StepError> {
    let texts = go.sum_files().into_iter().filter_map(|path| read_text_at_most(&path, MEMORY_MAX).ok());
    let sums = module_sums(&texts.collect::<Vec<_>>());
    let cache = &go.directories.module_cache;
    let unreadable = |error: std::io::Error| StepError::unreadable(cache, &error);
    let snapshot = StatSnapshot::open(&context.workspace.state.join("snapshot-modules"));
    for _ in 0..directories.len() {
        let Some(tampered) = tampered_module(cache, directories, &sums, &snapshot).map_err(unreadable)? else {
            break;
        };
        give_up(go, context, &tampered, "built from it")?;
        download(go, context)?;
    }
    if let Err(error) = snapshot.save() {
        context.warn(format!("the digests of the modules were not saved: {error}"));
    }
    Ok(())
}

/// Removes a module that was changed, with a warning, so that it is fetched again. With `--locked` that is an error, which
/// says what was not done: `built from it`.
pub(crate) fn give_up(
    go: &GoSupport,
    context: &StepContext<'_>,
    tampered: &Tampered,
    not_done: &str,
) -> Result<(), StepError> {
    let Tampered { module, directory, pinned, found } = tampered;
    let message = format!(
        "`{module}` in the module cache was changed after it was downloaded\n  go.sum: {pinned}\n  found:  {found}"
    );
    let (cache, build_cache) = (&go.directories.module_cache, &go.directories.build_cache);
    distrust_index(build_cache, &context.workspace.scratch())
        .map_err(|error| StepError::unwritable(build_cache, &error))?;
    if go.locked {
        let directory = directory.display();
        return Err(StepError::environment(message)
            .hint(format!("nothing was {not_done}; find out who changed `{directory}`, then remove it")));
    }
    context.warn(format!("{message}\nit is fetched again"));
    remove_module(cache, directory).map_err(|error| StepError::unreadable(cache, &error))
}

/// Deadline of a download. `go` itself waits for a silent proxy for ever.
const DOWNLOAD_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Result of `go mod download`.
#[derive(Default)]
pub(crate) struct Downloads {
    /// Directories of the modules that are there.
    pub directories: Vec<PathBuf>,
    /// Modules that could not be had, each with the reason. A build need not use them: a member of a workspace at
    /// `v0.0.0`, or a requirement of which no package is imported.
    pub missing: Vec<String>,
}

/// Returns the variables of a go command that may download, and the names of those that hold a password.
pub(crate) fn download_environment(
    go: &GoSupport,
    toolchain: &Toolchain,
    environment: Environment,
) -> (Vec<(String, String)>, Vec<String>) {
    let mut environment = environment.for_process();
    // The user's HOME for netrc, and their PATH for the version control of private modules.
    for (name, value) in [("HOME", go.caller("HOME")), ("PATH", go.caller("PATH"))] {
        if let Some(value) = value {
            environment.retain(|(other, _)| other != name);
            environment.push((name.to_owned(), value));
        }
    }
    let settings =
        if go.offline { vec![("GOPROXY".to_owned(), "off".to_owned())] } else { go.download_environment(toolchain) };
    for (name, value) in settings {
        environment.retain(|(other, _)| *other != name);
        environment.push((name, value));
    }
    let secret_names = environment.iter().filter(|(name, value)| holds_password(name, value));
    let secret_names = secret_names.map(|(name, _)| name.clone()).collect();
    (environment, secret_names)
}

/// Runs `go mod download`. A module that can't be had is no failure: the build says whether it needs it.
pub(crate) fn download(go: &GoSupport, context: &StepContext<'_>) -> Result<Downloads, StepError> {
    readable::check(&go.module_files())?;
    let toolchain = go.toolchain(context)?;
    // Any platform: modules are the same for all.
    let platform = Platform::new("linux/amd64").expect("a platform that Go knows");
    let mut environment = go.compile_environment(&toolchain.root, &platform);
    turn_index_off(&mut environment);
    let (environment, secret_names) = download_environment(go, &toolchain, environment);
    context.progress("downloading modules", 0, 0);
    let mut line =
        CommandLine::new(toolchain.go(), &go.module).arguments(["mod", "download", "-json"]).environment(environment);
    line.secret_names = secret_names;
    line.timeout = Some(DOWNLOAD_WITHIN);
    let captured = context.try_capture(&line).map_err(|error| match error {
        StepError::User(_) => {
            error.hint("a proxy may not answer: check GOPROXY; what has arrived is kept, so run again")
        }
        error => error,
    })?;
    let mut found = Downloads::default();
    for module in serde_json::Deserializer::from_slice(&captured.stdout).into_iter::<Downloaded>().map_while(Result::ok)
    {
        if module.error.is_empty() {
            found.directories.push(module.dir);
        } else {
            let version = if module.version.is_empty() { String::new() } else { format!("@{}", module.version) };
            found.missing.push(format!("{}{version}: {}", module.path, module.error.trim()));
        }
    }
    if !captured.finished.status.success() && found.missing.is_empty() {
        // The graph of modules could not be read to its end, which a build need not do either.
        found.missing.extend(captured.stderr.lines().map(str::to_owned));
    }
    // Wrong contents are no matter of need.
    let is_wrong = |error: &String| error.contains("checksum mismatch") || error.contains("SECURITY ERROR");
    if found.missing.iter().any(is_wrong) || captured.stderr.contains("SECURITY ERROR") {
        let mut errors = found.missing;
        errors.extend(captured.stderr.lines().map(str::to_owned));
        return Err(StepError::Command {
            summary: "go mod download".to_owned(),
            status: captured.finished.describe(),
            output: errors,
            told: 0,
            hint: Some(DOWNLOAD_HINT.to_owned()),
        });
    }
    if let Some(first) = found.missing.first() {
        let more = match found.missing.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        context.note(format!("not downloaded: {first}{more}; the build tells whether it is needed"));
    }
    go.note_missing_modules(&found.missing);
    Ok(found)
}

/// Returns true if a user and password are in a download setting. Others are shown with the command.
fn holds_password(name: &str, value: &str) -> bool {
    name == "GOAUTH"
        || value.split([',', '|']).any(|url| url.split_once("://").is_some_and(|(_, rest)| rest.contains('@')))
}
