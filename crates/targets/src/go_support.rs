//! What all Go steps share: which toolchain, where things are, how modules are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rondel_buildfile::{BuildFile, GoChoice, LockFile, Platform};
use rondel_cas::StatSnapshot;
use rondel_engine::{Class, Environment, PROGRAM, StepContext, StepError};
use rondel_golang::{
    Closure, ClosureQuery, Credentials, DownloadSettings, Form, GoDirectories, GoMod, GoPin, Host, Provision,
    Toolchain, compile_environment, is_untouched, list_arguments, module_sums, remove_module, system_toolchain,
    tampered_module,
};
use rondel_process::{Cancellation, CommandLine, capture, find_tool};

use crate::go_version::{check_pins, check_system_version, go_work_of, module_directory, resolve_go_version};
use crate::request::LowerError;

/// Which Go a project is built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GoVersion {
    /// Exactly this.
    Exact(String),
    /// The `go` on PATH.
    System,
}

/// What all Go steps of a build share.
pub struct GoSupport {
    pub(crate) version: GoVersion,
    host: Host,
    pin: Option<GoPin>,
    pub(crate) directories: GoDirectories,
    settings: Mutex<DownloadSettings>,
    environment: BTreeMap<String, String>,
    /// Directory of go.mod.
    pub(crate) module: PathBuf,
    /// The go.work that is in force.
    pub(crate) go_work: Option<PathBuf>,
    /// Directory of build.ron: a go.work up to there that is not in force is worth a word.
    workspace: PathBuf,
    download_page: String,
    pub(crate) offline: bool,
    locked: bool,
    toolchain: Mutex<Option<Toolchain>>,
    /// What this run knows of the closures, by step: they are looked at again after a step.
    closures: Mutex<BTreeMap<String, Closure>>,
}

/// What `GoSupport` is made from.
pub(crate) struct GoRequest<'a> {
    pub choice: &'a GoChoice,
    pub lock: &'a LockFile,
    pub module: &'a Path,
    pub go_work: Option<PathBuf>,
    pub workspace: &'a Path,
    pub cache: &'a Path,
    pub environment: &'a BTreeMap<String, String>,
    pub offline: bool,
    pub locked: bool,
}

impl GoSupport {
    pub(crate) fn new(request: &GoRequest<'_>) -> Result<GoSupport, LowerError> {
        let host = Host::current();
        let version = match resolve_go_version(request.choice, request.module, request.go_work.as_deref())? {
            Some(version) => GoVersion::Exact(version),
            None => GoVersion::System,
        };
        check_pins(request.lock, &version)?;
        if version == GoVersion::System {
            check_system_version(request)?;
        }
        let pin = match &version {
            GoVersion::Exact(version) => pin_of(request.lock, version, &host)?,
            GoVersion::System => None,
        };
        let go_env_file = request.environment.get("GOENV").map(PathBuf::from).or_else(|| {
            let (config, home) = (request.environment.get("XDG_CONFIG_HOME"), request.environment.get("HOME"));
            let config = match (config, home, host.os.as_str()) {
                (_, Some(home), "darwin") => PathBuf::from(home).join("Library/Application Support"),
                (Some(config), ..) => PathBuf::from(config),
                (None, Some(home), _) => PathBuf::from(home).join(".config"),
                _ => return None,
            };
            Some(config.join("go/env"))
        });
        Ok(GoSupport {
            version,
            host,
            pin,
            directories: GoDirectories::below(request.cache),
            settings: Mutex::new(DownloadSettings::new(request.environment, go_env_file.as_deref())),
            environment: request.environment.clone(),
            module: request.module.to_owned(),
            go_work: request.go_work.clone(),
            workspace: request.workspace.to_owned(),
            download_page: request
                .environment
                .get("RONDEL_GO_DOWNLOAD_PAGE")
                .cloned()
                .unwrap_or_else(|| crate::DEFAULT_DOWNLOAD_PAGE.to_owned()),
            offline: request.offline,
            locked: request.locked,
            toolchain: Mutex::new(None),
            closures: Mutex::default(),
        })
    }

    /// For `lock`: the same, whatever is pinned.
    pub fn unpinned(
        file: &BuildFile,
        workspace: &Path,
        cache: &Path,
        environment: &BTreeMap<String, String>,
        offline: bool,
    ) -> Result<GoSupport, LowerError> {
        let module = module_directory(file, workspace);
        GoSupport::new(&GoRequest {
            choice: &file.go.value,
            lock: &LockFile::empty(),
            module: &module,
            go_work: go_work_of(file, &module)?,
            workspace,
            cache,
            environment,
            offline,
            locked: false,
        })
    }

    fn search_path(&self) -> &str {
        self.environment.get("PATH").map_or("", String::as_str)
    }

    /// The identity of the toolchain, for keys. With a pin it is known without the toolchain.
    pub(crate) fn identity(&self, context: &StepContext<'_>) -> Result<String, StepError> {
        match (&self.version, self.pin.as_ref().and_then(|pin| pin.identity)) {
            (GoVersion::Exact(version), Some(identity)) => Ok(format!("go{version} {identity}")),
            (GoVersion::System, _) if self.locked => {
                Err(StepError::environment("`go: System` is whatever is installed, and --locked forbids to go on")
                    .hint(format!("write `go: Version(\"…\")` and run `{PROGRAM} lock`")))
            }
            (GoVersion::Exact(version), None) if self.locked => Err(StepError::environment(format!(
                "build.lock does not pin Go {version} for {}, and --locked forbids to go on",
                self.host
            ))
            .hint(format!("run `{PROGRAM} lock` and commit build.lock"))),
            _ => {
                if context.is_query && self.installed(context)?.is_none() {
                    return Err(StepError::environment(
                        "the Go toolchain has not been fetched yet, so its identity is not known",
                    ));
                }
                let toolchain = self.toolchain(context)?;
                Ok(format!("go{} {}", toolchain.version, toolchain.identity))
            }
        }
    }

    fn installed(&self, context: &StepContext<'_>) -> Result<Option<Toolchain>, StepError> {
        match &self.version {
            GoVersion::System => self.system(context).map(Some),
            GoVersion::Exact(version) => {
                let settings = DownloadSettings::default();
                Ok(self.provision(version, &settings).installed()?.map(|found| found.toolchain))
            }
        }
    }

    fn system(&self, context: &StepContext<'_>) -> Result<Toolchain, StepError> {
        let program = find_tool("go", self.search_path(), &self.module).map_err(|error| {
            StepError::environment(error.to_string())
                .hint("install Go, or write `go: Version(\"…\")` and Rondel fetches it")
        })?;
        system_toolchain(&program, &context.workspace.snapshot).map_err(StepError::environment)
    }

    fn provision<'a>(&'a self, version: &'a str, settings: &'a DownloadSettings) -> Provision<'a> {
        self.provision_for(version, &self.host, settings)
    }

    /// For any host; pins are known of the own one only.
    fn provision_for<'a>(&'a self, version: &'a str, host: &'a Host, settings: &'a DownloadSettings) -> Provision<'a> {
        Provision {
            version,
            host,
            pin: self.pin.as_ref().filter(|_| *host == self.host),
            settings,
            credentials: Credentials::new(&self.environment, settings.get("GOAUTH")),
            download_page: &self.download_page,
            toolchains: &self.directories.toolchains,
            offline: self.offline,
        }
    }

    /// The toolchain, fetched if need be.
    pub(crate) fn toolchain(&self, context: &StepContext<'_>) -> Result<Toolchain, StepError> {
        let mut cell = self.toolchain.lock().expect("no panic while locked");
        if let Some(toolchain) = cell.as_ref() {
            return Ok(toolchain.clone());
        }
        let toolchain = match &self.version {
            GoVersion::System => self.system(context)?,
            GoVersion::Exact(version) => {
                if self.pin.is_none() {
                    context.warn(format!("build.lock does not pin Go {version} for {}: what is fetched can't be checked (run `{PROGRAM} lock`)", self.host));
                }
                self.fetch(version, &|message, done, total| {
                    context.progress(message, done, total);
                    !context.cancellation.is_raised()
                })?
                .0
            }
        };
        if self.locked && self.pin.is_some() {
            self.check_toolchain(context, &toolchain)?;
        }
        for directory in [&self.directories.home, &self.directories.build_cache, &self.directories.module_cache] {
            std::fs::create_dir_all(directory).map_err(|error| StepError::unwritable(directory, &error))?;
        }
        *cell = Some(toolchain.clone());
        Ok(toolchain)
    }

    /// With `--locked`: is the unpacked toolchain, which others could have edited, still what is pinned?
    fn check_toolchain(&self, context: &StepContext<'_>, toolchain: &Toolchain) -> Result<(), StepError> {
        let snapshot = StatSnapshot::open(&context.workspace.state.join("snapshot-toolchain"));
        let sound =
            is_untouched(toolchain, &snapshot).map_err(|error| StepError::unreadable(&toolchain.root, &error))?;
        if let Err(error) = snapshot.save() {
            context.warn(format!("the digests of the toolchain were not kept: {error}"));
        }
        if sound {
            return Ok(());
        }
        Err(StepError::environment(format!(
            "the toolchain in `{}` was changed after it was unpacked: it is not what build.lock pins",
            toolchain.root.display()
        ))
        .hint(format!(
            "nothing of it was run; `{PROGRAM} cache clean --all` removes it, and the next run fetches it again"
        )))
    }

    fn fetch(&self, version: &str, progress: &dyn Fn(&str, u64, u64) -> bool) -> Result<(Toolchain, GoPin), StepError> {
        // How to reach a proxy is asked only if one has to be: an installed `go` takes its time to answer.
        let found = self.provision(version, &DownloadSettings::default()).installed()?;
        let provisioned = match found {
            Some(found) => found,
            None => self.provision(version, &self.effective_settings()).ensure(progress)?,
        };
        Ok((provisioned.toolchain, provisioned.seen))
    }

    /// The version that `lock` pins; `None` for the installed Go.
    pub fn version(&self) -> Option<&str> {
        match &self.version {
            GoVersion::Exact(version) => Some(version),
            GoVersion::System => None,
        }
    }

    /// For `lock`: fetches the toolchain for `host` in both forms and says what can be pinned; and why a form
    /// could not be looked at. One form must be there, and both must unpack to the same.
    pub fn pins(
        &self,
        host: &Host,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<(GoPin, Option<String>), StepError> {
        let version = self.version().ok_or_else(|| StepError::configuration("`go: System` can't be pinned"))?;
        if self.offline {
            return Err(StepError::environment("pins can't be looked up with --offline"));
        }
        let settings = self.effective_settings();
        let provision = self.provision_for(version, host, &settings);
        let of = |form, what: &str| {
            provision
                .look(form, &|message, done, total| progress(&format!("{message} for {host} ({what})"), done, total))
        };
        let module = of(Form::Module, "module");
        let archive = of(Form::Archive, "archive");
        match (module, archive) {
            (Ok(Some(module)), Ok(Some(archive))) => {
                if module.identity != archive.identity {
                    return Err(StepError::environment(format!(
                        "the module proxy and the download page give two different toolchains of Go {version} for {host}"
                    ))
                    .hint("nothing was pinned; find out which of the two is wrong"));
                }
                Ok((GoPin { archive: archive.archive, ..module }, None))
            }
            (Ok(Some(module)), other) => {
                Ok((module, Some(other.err().map_or_else(String::new, |error| error.to_string()))))
            }
            (other, Ok(Some(archive))) => {
                let why = match other {
                    Err(error) => error.to_string(),
                    Ok(_) => "GOPROXY names no proxy".to_owned(),
                };
                Ok((archive, Some(why)))
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(None), Ok(None)) => Err(StepError::environment("there is no place to fetch Go from")),
        }
    }

    /// The user's settings; where they name no proxy, what an installed `go env` says.
    fn effective_settings(&self) -> DownloadSettings {
        let mut settings = self.settings.lock().expect("no panic while locked");
        if settings.proxies().is_none()
            && let Ok(go) = find_tool("go", self.search_path(), &self.module)
        {
            let line = CommandLine::new(go, "/").arguments(["env"]).environment(self.environment.clone());
            if let Ok(captured) = capture(&line, &Cancellation::new())
                && captured.finished.status.success()
            {
                settings.fill_in(&String::from_utf8_lossy(&captured.stdout));
            }
        }
        settings.clone()
    }

    /// How a download runs: the user's settings, and the toolchain's own where there are none.
    pub(crate) fn download_environment(&self, toolchain: &Toolchain) -> Vec<(String, String)> {
        let mut settings = self.effective_settings();
        settings.fill_in(&std::fs::read_to_string(toolchain.root.join("go.env")).unwrap_or_default());
        settings.for_process()
    }

    /// A variable of the caller's environment.
    pub(crate) fn caller(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// Is what the build needs vendored?
    pub(crate) fn is_vendored(&self) -> bool {
        let directory = self.go_work.as_deref().and_then(Path::parent).unwrap_or(&self.module);
        directory.join("vendor/modules.txt").is_file()
    }

    /// `-mod=`: Go's own rule, written out.
    pub(crate) fn mod_flag(&self) -> String {
        format!("-mod={}", if self.is_vendored() { "vendor" } else { "readonly" })
    }

    /// The closed environment of a compiling `go` whose GOROOT is `root`.
    pub(crate) fn compile_environment(&self, root: &Path, platform: &Platform) -> Environment {
        let mut environment = compile_environment(root, &self.directories, platform.os(), platform.architecture());
        if let Some((name, value)) = platform.variant_setting() {
            environment.set(Class::Keyed, name, value);
        }
        if let Some(go_work) = &self.go_work {
            environment.set(Class::Located, "GOWORK", go_work.to_string_lossy());
        }
        environment
    }

    /// The platform that programs for this machine are built for.
    pub(crate) fn own_platform(&self) -> Result<Platform, LowerError> {
        Platform::new(&self.host.to_string()).map_err(|error| LowerError::environment(error.to_string()))
    }

    /// go.mod, go.sum and those of a go.work: what says which modules there are.
    pub(crate) fn module_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.module.join("go.mod"), self.module.join("go.sum")];
        if let Some(go_work) = &self.go_work {
            let base = go_work.parent().unwrap_or(Path::new("/"));
            files.extend([go_work.clone(), base.join("go.work.sum")]);
            let text = std::fs::read_to_string(go_work).unwrap_or_default();
            for used in GoMod::parse(&text).uses {
                files.extend([base.join(&used).join("go.mod"), base.join(&used).join("go.sum")]);
            }
        }
        files
    }

    /// The go.sum and go.work.sum that are there.
    pub(crate) fn sum_files(&self) -> Vec<PathBuf> {
        let mut files = self.module_files();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "sum") && path.is_file());
        files.sort();
        files.dedup();
        files
    }

    /// Before bytes of the module cache reach a build: are they what go.sum says? With `--locked` others are
    /// refused; else they are removed and fetched anew, and that is said.
    pub(crate) fn check_modules(
        &self,
        context: &StepContext<'_>,
        directories: &BTreeSet<PathBuf>,
    ) -> Result<(), StepError> {
        let texts = self.sum_files().into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
        let sums = module_sums(&texts.collect::<Vec<_>>());
        let cache = &self.directories.module_cache;
        let unreadable = |error: std::io::Error| StepError::unreadable(cache, &error);
        let snapshot = StatSnapshot::open(&context.workspace.state.join("snapshot-modules"));
        for _ in 0..directories.len() {
            let Some(tampered) = tampered_module(cache, directories, &sums, &snapshot).map_err(unreadable)? else {
                break;
            };
            let message = format!(
                "`{}` in the module cache was changed after it was downloaded\n  go.sum: {}\n  found:  {}",
                tampered.module, tampered.pinned, tampered.found
            );
            if self.locked {
                return Err(StepError::environment(message).hint(format!(
                    "nothing was built from it; find out who changed `{}`, then remove it",
                    tampered.directory.display()
                )));
            }
            context.warn(format!("{message}\nit is fetched anew"));
            remove_module(cache, &tampered.directory).map_err(unreadable)?;
            crate::steps::go_mod_download::download(self, context)?;
        }
        if let Err(error) = snapshot.save() {
            context.warn(format!("the digests of the modules were not kept: {error}"));
        }
        Ok(())
    }

    /// The closure for `query`: remembered, or asked of `go`. `None` in a query that would have to ask; with it
    /// comes the reason why it would.
    pub(crate) fn closure(
        &self,
        context: &StepContext<'_>,
        label: &str,
        query: &ClosureQuery,
        flags: &[String],
        environment: &dyn Fn(&Toolchain) -> Vec<(String, String)>,
    ) -> Result<Result<Closure, String>, StepError> {
        let file = closure_file(context, label);
        let known = self.closures.lock().expect("no panic while locked").remove(label);
        let recalled = match known {
            Some(closure) => closure.again(query, &context.workspace.snapshot),
            None => Closure::recall(&file, query, &context.workspace.snapshot),
        };
        let why = match recalled {
            Ok(closure) => return Ok(Ok(closure)),
            Err(why) => why,
        };
        if context.is_query {
            return Ok(Err(why));
        }
        context.prerequisites()?;
        let toolchain = self.toolchain(context)?;
        if self.go_work.is_none()
            && let Some(unused) = self
                .module
                .ancestors()
                .take_while(|path| path.starts_with(&self.workspace))
                .find_map(|path| Some(path.join("go.work")).filter(|path| path.is_file()))
        {
            let unused = unused.strip_prefix(&self.workspace).unwrap_or(&unused).display().to_string();
            context.note(format!("`{unused}` is not used; `go_work: \"…\"` in build.ron builds with it"));
        }
        let line = CommandLine::new(toolchain.go(), &self.module)
            .arguments(list_arguments(query, flags))
            .environment(environment(&toolchain));
        let outside = [toolchain.root.clone(), self.directories.module_cache.clone()];
        let snapshot = &context.workspace.snapshot;
        // What changes between the reading of `go list` and ours would be taken for what `go list` has seen. So it is
        // asked again until nothing changed meanwhile, or until what looks new looked so the last time too.
        let mut last: Option<Closure> = None;
        for _ in 0..LISTS_MAX {
            let before = snapshot.settle();
            let captured = context.capture(&line)?;
            let closure = Closure::from_list(query, &captured.stdout, &outside, snapshot)?;
            if !closure.is_younger_than(&before) || last.is_some_and(|last| closure.looks_like(&last)) {
                return Ok(Ok(closure));
            }
            last = Some(closure);
        }
        Err(StepError::failed("the sources change all the time while `go list` reads them")
            .hint("run again when nothing writes to them"))
    }

    /// Keeps a closure for the next time, in this run and in the next.
    pub(crate) fn remember(&self, context: &StepContext<'_>, label: &str, mut closure: Closure) {
        if context.is_query {
            return;
        }
        if let Err(error) = closure.remember(&closure_file(context, label), &context.workspace.scratch()) {
            context.warn(format!("the packages of `{label}` were not remembered: {error}"));
        }
        self.closures.lock().expect("no panic while locked").insert(label.to_owned(), closure);
    }
}

/// How often `go list` is asked while the sources change.
const LISTS_MAX: usize = 20;

/// Where the closure of the step `label` is kept.
fn closure_file(context: &StepContext<'_>, label: &str) -> PathBuf {
    context.workspace.state.join("closures.6").join(rondel_cas::Digest::of(label.as_bytes()).short())
}

fn pin_of(lock: &LockFile, version: &str, host: &Host) -> Result<Option<GoPin>, LowerError> {
    let Some(locked) = lock.go.get(version).and_then(|hosts| hosts.get(&host.to_string())) else { return Ok(None) };
    let identity = locked.identity.parse().map_err(|error| {
        LowerError::configuration(format!("build.lock: the identity of Go {version}: {error}"))
            .hint(format!("run `{PROGRAM} lock --update go`"))
    })?;
    Ok(Some(GoPin { module: locked.module.clone(), archive: locked.archive.clone(), identity: Some(identity) }))
}
