//! The Go version of a build.ron, checked against go.mod, build.lock and this machine before anything runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::{BuildFile, GoChoice, LockFile};
use rondel_engine::{PROGRAM, UserError};
use rondel_golang::{GoMod, GoPin, GoRequest, GoSupport, GoVersion, installed_version, module_text, needs_newer};
use rondel_names::Platform;
use rondel_process::find_tool;

/// Returns the version of `choice` for the module in `module`.
pub fn resolve_go_version(
    choice: &GoChoice,
    module: &Path,
    go_work: Option<&Path>,
) -> Result<Option<String>, UserError> {
    let read = |path: &Path| Ok::<_, UserError>(module_text(path)?.map(|text| GoMod::parse(&text)));
    // The lines of a go.work take precedence over those of its modules.
    let go_mod = match go_work.map(read).transpose()?.flatten() {
        Some(go_work) => Some(go_work),
        None => read(&module.join("go.mod"))?,
    };
    match choice {
        GoChoice::System => Ok(None),
        GoChoice::Version(version) => {
            if let Some(wanted) = go_mod.as_ref().and_then(|go_mod| needs_newer(go_mod, version)) {
                let message = format!("go.mod asks for Go {wanted}, and build.ron says Go {version}");
                return Err(
                    UserError::input(message).hint(format!("raise `go:` in build.ron, then run `{PROGRAM} lock`"))
                );
            }
            Ok(Some(version.clone()))
        }
        GoChoice::FromGoMod => {
            let go_mod = go_mod.ok_or_else(|| {
                UserError::input(format!("`go: FromGoMod`, but there is no `{}`", module.join("go.mod").display()))
                    .hint("write `go: Version(\"…\")`, or set `root`")
            })?;
            let version = go_mod.wanted_version().ok_or_else(|| {
                UserError::input("go.mod has neither a `go` nor a `toolchain` line").hint("write `go: Version(\"…\")`")
            })?;
            Ok(Some(version))
        }
    }
}

/// Returns the directory of go.mod.
pub fn module_directory(file: &BuildFile, workspace: &Path) -> PathBuf {
    file.root.as_ref().map_or_else(|| workspace.to_owned(), |root| workspace.join(&root.value))
}

/// Returns the go.work that build.ron names.
pub fn go_work_of(file: &BuildFile, module: &Path) -> Result<Option<PathBuf>, UserError> {
    let Some(named) = &file.go_work else { return Ok(None) };
    let path = module.join(&named.value);
    if path.is_file() {
        return Ok(Some(path));
    }
    Err(UserError::input(format!("there is no `{}`", named.value)).at(named.span))
}

/// Returns the Go of the file, checked against go.mod, build.lock and the version of an installed one.
pub(crate) fn go_version(
    file: &BuildFile,
    lock: &LockFile,
    module: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<GoVersion, UserError> {
    let go_work = go_work_of(file, module)?;
    match resolve_go_version(&file.go.value, module, go_work.as_deref())? {
        Some(version) => {
            check_pins(lock, &version)?;
            Ok(GoVersion::Exact(version))
        }
        None => {
            check_system_version(module, environment)?;
            Ok(GoVersion::System)
        }
    }
}

/// Returns the pin of `version` for this machine in build.lock.
pub(crate) fn pin_of(lock: &LockFile, version: &GoVersion) -> Result<Option<GoPin>, UserError> {
    let GoVersion::Exact(version) = version else { return Ok(None) };
    let host = Platform::host().to_string();
    let Some(locked) = lock.go.get(version).and_then(|hosts| hosts.get(&host)) else { return Ok(None) };
    // A build.lock of format 1 pins the download, and no identity.
    let identity = match locked.identity.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| {
            UserError::input(format!("build.lock: the identity of Go {version}: {error}"))
                .hint(format!("run `{PROGRAM} lock --update go`"))
        })?),
    };
    Ok(Some(GoPin { module: locked.module.clone(), archive: locked.archive.clone(), identity }))
}

/// For `lock`: returns the Go of the file, whatever is pinned.
pub fn unpinned_go(
    file: &BuildFile,
    workspace: &Path,
    cache: &Path,
    environment: &BTreeMap<String, String>,
    offline: bool,
) -> Result<GoSupport, UserError> {
    let module = module_directory(file, workspace);
    Ok(GoSupport::new(GoRequest {
        version: go_version(file, &LockFile::empty(), &module, environment)?,
        pin: None,
        go_work: go_work_of(file, &module)?,
        module: &module,
        workspace,
        cache,
        environment,
        offline,
        locked: false,
    }))
}

/// Refuses a version without a pin where others have one: it was changed without running `lock`.
fn check_pins(lock: &LockFile, version: &str) -> Result<(), UserError> {
    if lock.go.is_empty() || lock.go.contains_key(version) {
        return Ok(());
    }
    let pinned: Vec<&str> = lock.go.keys().map(String::as_str).collect();
    Err(UserError::input(format!("Go {version} is wanted, and build.lock pins Go {}", pinned.join(", ")))
        .hint(format!("run `{PROGRAM} lock` and commit build.lock")))
}

/// Checks that the Go of `go: System` is new enough for go.mod.
fn check_system_version(module: &Path, environment: &BTreeMap<String, String>) -> Result<(), UserError> {
    let go_mod = module_text(&module.join("go.mod"))?.map(|text| GoMod::parse(&text));
    let path = environment.get("PATH").map_or("", String::as_str);
    let (Some(go_mod), Ok(program)) = (go_mod, find_tool("go", path, module)) else { return Ok(()) };
    let Some(installed) = installed_version(&program) else { return Ok(()) };
    match needs_newer(&go_mod, &installed) {
        None => Ok(()),
        Some(wanted) => {
            Err(UserError::environment(format!("go.mod asks for Go {wanted}, and the Go on PATH is {installed}"))
                .hint("install a newer Go, or write `go: FromGoMod` and Rondel fetches it"))
        }
    }
}
