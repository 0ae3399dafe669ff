//! Which Go a build.ron means, and whether go.mod, build.lock and this machine agree: looked at before anything
//! runs.

use std::path::{Path, PathBuf};

use rondel_buildfile::{BuildFile, GoChoice, LockFile};
use rondel_engine::PROGRAM;
use rondel_golang::{GoMod, installed_version, needs_newer};
use rondel_process::find_tool;

use crate::go_support::{GoRequest, GoVersion};
use crate::request::LowerError;

/// The version that `choice` means for the module in `module`.
pub fn resolve_go_version(
    choice: &GoChoice,
    module: &Path,
    go_work: Option<&Path>,
) -> Result<Option<String>, LowerError> {
    let read = |path: PathBuf| std::fs::read_to_string(path).ok().map(|text| GoMod::parse(&text));
    // The lines of a go.work decide over those of its modules.
    let go_mod = go_work.and_then(|path| read(path.to_owned())).or_else(|| read(module.join("go.mod")));
    match choice {
        GoChoice::System => Ok(None),
        GoChoice::Version(version) => {
            if let Some(wanted) = go_mod.as_ref().and_then(|go_mod| needs_newer(go_mod, version)) {
                let message = format!("go.mod asks for Go {wanted}, and build.ron says Go {version}");
                return Err(LowerError::configuration(message)
                    .hint(format!("raise `go:` in build.ron, then run `{PROGRAM} lock`")));
            }
            Ok(Some(version.clone()))
        }
        GoChoice::FromGoMod => {
            let go_mod = go_mod.ok_or_else(|| {
                LowerError::configuration(format!(
                    "`go: FromGoMod`, but there is no `{}`",
                    module.join("go.mod").display()
                ))
                .hint("write `go: Version(\"…\")`, or set `root`")
            })?;
            let version = go_mod.wanted_version().ok_or_else(|| {
                LowerError::configuration("go.mod has neither a `go` nor a `toolchain` line")
                    .hint("write `go: Version(\"…\")`")
            })?;
            Ok(Some(version))
        }
    }
}

/// The directory that holds go.mod.
pub fn module_directory(file: &BuildFile, workspace: &Path) -> PathBuf {
    file.root.as_ref().map_or_else(|| workspace.to_owned(), |root| workspace.join(&root.value))
}

/// The go.work that build.ron names.
pub fn go_work_of(file: &BuildFile, module: &Path) -> Result<Option<PathBuf>, LowerError> {
    let Some(named) = &file.go_work else { return Ok(None) };
    let path = module.join(&named.value);
    if path.is_file() {
        return Ok(Some(path));
    }
    Err(LowerError::configuration(format!("there is no `{}`", named.value)).at(named.span))
}

/// A version that is not pinned where others are: it was moved, and `lock` was forgotten.
pub(crate) fn check_pins(lock: &LockFile, version: &GoVersion) -> Result<(), LowerError> {
    let GoVersion::Exact(version) = version else { return Ok(()) };
    if lock.go.is_empty() || lock.go.contains_key(version) {
        return Ok(());
    }
    let pinned: Vec<&str> = lock.go.keys().map(String::as_str).collect();
    Err(LowerError::configuration(format!("Go {version} is wanted, and build.lock pins Go {}", pinned.join(", ")))
        .hint(format!("run `{PROGRAM} lock` and commit build.lock")))
}

/// `go: System` with a go.mod that asks for more than is installed.
pub(crate) fn check_system_version(request: &GoRequest<'_>) -> Result<(), LowerError> {
    let go_mod = std::fs::read_to_string(request.module.join("go.mod")).ok().map(|text| GoMod::parse(&text));
    let path = request.environment.get("PATH").map_or("", String::as_str);
    let (Some(go_mod), Ok(program)) = (go_mod, find_tool("go", path, request.module)) else { return Ok(()) };
    let Some(installed) = installed_version(&program) else { return Ok(()) };
    match needs_newer(&go_mod, &installed) {
        None => Ok(()),
        Some(wanted) => {
            Err(LowerError::environment(format!("go.mod asks for Go {wanted}, and the Go on PATH is {installed}"))
                .hint("install a newer Go, or write `go: FromGoMod` and Rondel fetches it"))
        }
    }
}
