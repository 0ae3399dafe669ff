//! The Go version of a build.ron with the pins of build.lock, checked against this machine before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rondel_buildfile::{BuildFile, GoChoice, LockFile};
use rondel_engine::{PROGRAM, UserError};
use rondel_golang::{
    GoMod, GoPin, GoRequest, GoSupport, GoVersion, OLDEST_GO, go_version_of, installed_version, later_patches,
    module_text, needs_newer,
};
use rondel_names::Platform;
use rondel_process::find_tool;

use crate::go_choice::{WantedGo, wanted_go};
use crate::modules::Module;

/// Returns the version that a wish comes to with the pins of build.lock; `None` for the installed Go.
pub fn resolve_go_version(wanted: &WantedGo, lock: &LockFile) -> Result<Option<String>, UserError> {
    let (version, named_by) = match wanted {
        WantedGo::Installed => return Ok(None),
        WantedGo::Exact { version, named_by } => (version, named_by),
        WantedGo::Line { at_least, named_by } => match newest_pinned(lock, at_least) {
            Some(version) => return Ok(Some(version.to_owned())),
            None => (at_least, named_by),
        },
    };
    if lock.go.is_empty() || lock.go.contains_key(version) {
        return Ok(Some(version.clone()));
    }
    // It was changed without running `lock`.
    let pinned: Vec<&str> = lock.go.keys().map(String::as_str).collect();
    Err(UserError::input(format!("{named_by} asks for Go {version}, and build.lock pins Go {}", pinned.join(", ")))
        .hint(format!("run `{PROGRAM} lock` and commit build.lock")))
}

/// Returns the newest release of the line of `at_least` that build.lock pins, and that is not older.
pub fn newest_pinned<'l>(lock: &'l LockFile, at_least: &str) -> Option<&'l str> {
    let pinned: Vec<String> = lock.go.keys().cloned().collect();
    let newest = later_patches(&pinned, at_least).into_iter().max_by_key(|version| go_version_of(version));
    let name = newest.unwrap_or_else(|| at_least.to_owned());
    lock.go.get_key_value(&name).map(|(version, _)| version.as_str())
}

/// Returns the Go of the file: that of the module in `root`. Without one there, it is the newest that a module asks for
/// which a target names.
pub fn go_of_file(file: &BuildFile, workspace: &Path) -> Result<WantedGo, UserError> {
    let root = Module::of_root(file, workspace)?;
    let modules = file.modules();
    if root.exists() || modules.is_empty() || file.go.value != GoChoice::FromGoMod {
        return wanted_go(&file.go.value, &root, workspace);
    }
    let all = go_of_modules(file, workspace)?;
    let newest = all.into_iter().max_by_key(|wanted| wanted.version().and_then(go_version_of));
    Ok(newest.expect("a module at least"))
}

/// Returns each Go that a target of the file is built with.
pub fn all_go_of_file(file: &BuildFile, workspace: &Path) -> Result<Vec<WantedGo>, UserError> {
    let mut all = vec![go_of_file(file, workspace)?];
    all.extend(go_of_modules(file, workspace)?);
    let mut seen: Vec<Option<String>> = Vec::new();
    all.retain(|wanted| {
        let version = wanted.version().map(str::to_owned);
        let is_new = !seen.contains(&version);
        seen.push(version);
        is_new
    });
    Ok(all)
}

/// Returns the Go of each module that a target names.
fn go_of_modules(file: &BuildFile, workspace: &Path) -> Result<Vec<WantedGo>, UserError> {
    let fields = file.targets.iter().filter_map(|target| target.kind().module());
    let modules: Result<BTreeSet<Module>, UserError> =
        fields.map(|field| Module::of(file, workspace, Some(field))).collect();
    modules?.iter().map(|module| wanted_go(&file.go.value, module, workspace)).collect()
}

/// Returns the Go that is wanted, checked against build.lock and the version of an installed one.
pub(crate) fn go_version(
    wanted: &WantedGo,
    lock: &LockFile,
    module: &Module,
    environment: &BTreeMap<String, String>,
) -> Result<GoVersion, UserError> {
    match resolve_go_version(wanted, lock)? {
        Some(version) => Ok(GoVersion::Exact(version)),
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

/// For `lock`: returns the Go of this version, whatever is pinned.
pub fn unpinned_go(
    file: &BuildFile,
    version: GoVersion,
    (workspace, cache): (&Path, &Path),
    environment: &BTreeMap<String, String>,
    offline: bool,
) -> Result<GoSupport, UserError> {
    let module = Module::of_root(file, workspace)?;
    Ok(GoSupport::new(GoRequest {
        version,
        pin: None,
        module: &module.directory,
        go_work: module.go_work,
        has_go_work: file.go_work.is_some(),
        root: &module.directory,
        workspace,
        cache,
        environment,
        offline,
        locked: false,
    }))
}

/// Checks that the Go of `go: System` is new enough for go.mod.
fn check_system_version(module: &Module, environment: &BTreeMap<String, String>) -> Result<(), UserError> {
    let go_mod = module_text(&module.directory.join("go.mod"))?.map(|text| GoMod::parse(&text));
    let path = environment.get("PATH").map_or("", String::as_str);
    let Ok(program) = find_tool("go", path, &module.directory) else { return Ok(()) };
    let Some(installed) = installed_version(&program) else { return Ok(()) };
    if go_version_of(&installed).is_some_and(|version| Some(version) < go_version_of(OLDEST_GO)) {
        let message = format!("the Go on PATH is {installed}, and Rondel builds with Go {OLDEST_GO} and later");
        return Err(
            UserError::environment(message).hint("install a newer Go, or write `go: FromGoMod` and Rondel fetches it")
        );
    }
    let Some(go_mod) = go_mod else { return Ok(()) };
    match needs_newer(&go_mod, &installed) {
        None => Ok(()),
        Some(wanted) => {
            let file = module.file("go.mod");
            Err(UserError::environment(format!("{file} asks for Go {wanted}, and the Go on PATH is {installed}"))
                .hint("install a newer Go, or write `go: FromGoMod` and Rondel fetches it"))
        }
    }
}
