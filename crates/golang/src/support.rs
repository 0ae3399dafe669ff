//! What all Go steps share: which toolchain, where things are, how modules are reached. Knows no build.ron.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::{
    DownloadSettings, Form, GoDirectories, GoMod, GoPin, Provision, PublishedTool, SdkPlace, ToolPin, Toolchain,
    compile_environment, is_untouched, system_toolchain,
};
use rondel_cas::{SMALL_MAX, TEXT_MAX, read_text_at_most};
use rondel_engine::{Class, Environment, PROGRAM, StepContext, StepError, UserError};
use rondel_fetch::Credentials;
use rondel_names::Platform;
use rondel_process::{Cancellation, CommandLine, capture, find_tool};
use rondel_tree::StatSnapshot;

use crate::go_mod::go_version_of;

/// Where Go's archives are when no module proxy is known.
const DEFAULT_DOWNLOAD_PAGE: &str = "https://go.dev/dl";

/// Which Go a project is built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoVersion {
    /// Exactly this.
    Exact(String),
    /// The `go` on PATH.
    System,
}

/// What all Go steps of a build share.
#[derive(Clone)]
pub struct GoSupport {
    /// Which Go.
    pub version: GoVersion,
    host: Platform,
    pin: Option<GoPin>,
    pub(crate) directories: GoDirectories,
    settings: Arc<Mutex<DownloadSettings>>,
    environment: BTreeMap<String, String>,
    /// Directory of go.mod.
    pub(crate) module: PathBuf,
    /// The go.work that is in force.
    pub(crate) go_work: Option<PathBuf>,
    /// Where paths and globs of build.ron begin; the module is there or below.
    pub(crate) root: PathBuf,
    /// Directory of build.ron: a go.work up to there that is not in force is worth a word.
    pub(crate) workspace: PathBuf,
    /// True if build.ron names a go.work, whether or not it is in force for this module.
    pub(crate) has_go_work: bool,
    download_page: String,
    pub(crate) offline: bool,
    pub(crate) locked: bool,
    toolchain: Arc<Mutex<Option<Toolchain>>>,
    /// Modules that could not be downloaded in this run, with the reasons.
    pub(crate) missing_modules: Arc<Mutex<Vec<String>>>,
}

/// What `GoSupport` is made from.
pub struct GoRequest<'a> {
    /// Which Go.
    pub version: GoVersion,
    /// What build.lock says of it for this machine.
    pub pin: Option<GoPin>,
    /// Directory of go.mod.
    pub module: &'a Path,
    /// The go.work that is in force for the module.
    pub go_work: Option<PathBuf>,
    /// True if build.ron names a go.work, in force or not.
    pub has_go_work: bool,
    /// Where paths of build.ron begin.
    pub root: &'a Path,
    /// Directory of build.ron.
    pub workspace: &'a Path,
    /// The user's cache directory.
    pub cache: &'a Path,
    /// The caller's environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Never ask the network.
    pub offline: bool,
    /// Refuse what build.lock does not pin.
    pub locked: bool,
}

impl GoSupport {
    /// Nothing is fetched and nothing is started yet.
    pub fn new(request: GoRequest<'_>) -> GoSupport {
        let host = Platform::host();
        let go_env_file = request.environment.get("GOENV").map(PathBuf::from).or_else(|| {
            let (config, home) = (request.environment.get("XDG_CONFIG_HOME"), request.environment.get("HOME"));
            let config = match (config, home, host.os()) {
                (_, Some(home), "darwin") => PathBuf::from(home).join("Library/Application Support"),
                (Some(config), ..) => PathBuf::from(config),
                (None, Some(home), _) => PathBuf::from(home).join(".config"),
                _ => return None,
            };
            Some(config.join("go/env"))
        });
        GoSupport {
            version: request.version,
            host,
            pin: request.pin,
            directories: GoDirectories::below(request.cache),
            settings: Arc::new(Mutex::new(DownloadSettings::new(request.environment, go_env_file.as_deref()))),
            environment: request.environment.clone(),
            module: request.module.to_owned(),
            go_work: request.go_work,
            root: request.root.to_owned(),
            workspace: request.workspace.to_owned(),
            has_go_work: request.has_go_work,
            download_page: request
                .environment
                .get("RONDEL_GO_DOWNLOAD_PAGE")
                .cloned()
                .unwrap_or_else(|| DEFAULT_DOWNLOAD_PAGE.to_owned()),
            offline: request.offline,
            locked: request.locked,
            toolchain: Arc::new(Mutex::new(None)),
            missing_modules: Arc::default(),
        }
    }

    /// Returns the same Go for another module; the toolchain is looked for and fetched once for both.
    pub fn in_module(&self, module: &Path, go_work: Option<PathBuf>) -> GoSupport {
        GoSupport { module: module.to_owned(), go_work, missing_modules: Arc::default(), ..self.clone() }
    }

    /// Returns the place of the toolchain in the cache; `None` for an installed one.
    pub fn sdk_place(&self) -> Option<SdkPlace> {
        let GoVersion::Exact(version) = &self.version else { return None };
        let toolchains = self.directories.toolchains.clone();
        Some(SdkPlace { toolchains, version: version.clone(), host: self.host.clone() })
    }

    fn search_path(&self) -> &str {
        self.environment.get("PATH").map_or("", String::as_str)
    }

    /// The identity of the toolchain, for keys. With a pin it is known without the toolchain.
    pub fn identity(&self, context: &StepContext<'_>) -> Result<String, StepError> {
        match (&self.version, self.pin.as_ref().and_then(|pin| pin.identity)) {
            (GoVersion::Exact(version), Some(identity)) => Ok(format!("go{version} {identity}")),
            (GoVersion::System, _) if self.locked => {
                Err(StepError::environment("`go: System` is whatever is installed, and --locked forbids to go on")
                    .hint(format!("write `go: Version(\"…\")` and run `{PROGRAM} lock`")))
            }
            (GoVersion::Exact(version), None) if self.locked && self.pin.is_some() => {
                Err(StepError::environment(format!(
                    "build.lock pins the download of Go {version} but not the whole toolchain, and --locked forbids to go on"
                ))
                .hint(format!("an older Rondel wrote it: run `{PROGRAM} lock` and commit build.lock")))
            }
            (GoVersion::Exact(version), None) if self.locked => Err(StepError::environment(format!(
                "build.lock does not pin Go {version} for {}, and --locked forbids to go on",
                self.host
            ))
            .hint(format!("run `{PROGRAM} lock` and commit build.lock"))),
            _ => {
                if context.is_question() && self.installed(context)?.is_none() {
                    return Err(StepError::environment(
                        "the Go toolchain has not been fetched yet, so its identity is not known",
                    ));
                }
                let toolchain = self.toolchain(context)?;
                Ok(format!("go{} {}", toolchain.version, toolchain.identity))
            }
        }
    }

    /// Returns the toolchain if it is on this machine already.
    pub fn installed(&self, context: &StepContext<'_>) -> Result<Option<Toolchain>, StepError> {
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
            let hint = error.hint("install Go, or write `go: Version(\"…\")` and Rondel fetches it");
            StepError::environment(error.to_string()).hint(hint)
        })?;
        system_toolchain(&program, &context.workspace.snapshot, &self.directories.identities, !context.is_question())
            .map_err(StepError::environment)
    }

    fn provision<'a>(&'a self, version: &'a str, settings: &'a DownloadSettings) -> Provision<'a> {
        self.provision_for(version, &self.host, settings)
    }

    /// For any host; pins are known of the own one only.
    fn provision_for<'a>(
        &'a self,
        version: &'a str,
        host: &'a Platform,
        settings: &'a DownloadSettings,
    ) -> Provision<'a> {
        Provision {
            version,
            host,
            pin: self.pin.as_ref().filter(|_| *host == self.host),
            settings,
            credentials: self.credentials(settings),
            download_page: &self.download_page,
            toolchains: &self.directories.toolchains,
            offline: self.offline,
        }
    }

    /// What netrc says, unless `GOAUTH` leaves it out. Commands of `GOAUTH` are not run for the toolchain; the go
    /// command itself runs them for modules.
    fn credentials(&self, settings: &DownloadSettings) -> Credentials {
        let counts = settings.get("GOAUTH").is_none_or(|text| text.split(';').any(|word| word.trim() == "netrc"));
        if counts { Credentials::from_netrc(&self.environment) } else { Credentials::default() }
    }

    /// The toolchain, fetched if need be.
    pub fn toolchain(&self, context: &StepContext<'_>) -> Result<Toolchain, StepError> {
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

    /// For `lock`: returns the releases that there are for `host`, oldest first.
    pub fn releases(&self, host: &Platform, goes_on: &dyn Fn() -> bool) -> Result<Vec<String>, StepError> {
        if self.offline {
            return Err(StepError::environment("the releases of Go can't be listed with --offline"));
        }
        self.provision_for("", host, &self.effective_settings()).releases(goes_on)
    }

    /// For `lock`: looks up the module of a command of another module.
    pub fn look_up_tool(
        &self,
        tool: PublishedTool<'_>,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<ToolPin, StepError> {
        if self.offline {
            return Err(StepError::environment("tools can't be looked up with --offline"));
        }
        self.provision_for("", &self.host, &self.effective_settings()).look_up(tool, progress)
    }

    /// For `lock`: returns what can be pinned of the toolchain for `host`, and why one of its two forms could not be
    /// fetched. If the toolchain is unpacked and not `always_fetch`, nothing is fetched: its hashes were noted when it was.
    /// At least one form must be there, and both must unpack to the same.
    pub fn pins(
        &self,
        host: &Platform,
        always_fetch: bool,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<(GoPin, Option<String>), StepError> {
        let version = self.version().ok_or_else(|| StepError::input("`go: System` can't be pinned"))?;
        if !always_fetch
            && let Some(found) = self.provision_for(version, host, &DownloadSettings::default()).installed()?
        {
            return Ok((found.seen, None));
        }
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

    /// The user's settings; where they name no proxy, what an installed `go env` says, and then the toolchain that Rondel has fetched.
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
        if settings.proxies().is_none()
            && let Some(version) = self.version()
            && let Ok(Some(found)) = self.provision_for(version, &self.host, &DownloadSettings::default()).installed()
        {
            settings.fill_in(&go_env_of(&found.toolchain));
        }
        settings.clone()
    }

    /// How a download runs: the user's settings, and the toolchain's own where there are none.
    pub(crate) fn download_environment(&self, toolchain: &Toolchain) -> Vec<(String, String)> {
        let mut settings = self.effective_settings();
        settings.fill_in(&go_env_of(toolchain));
        settings.for_process()
    }

    /// A variable of the caller's environment.
    pub(crate) fn caller(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// Returns true if the go command takes packages from `vendor`: by its own rule, which it applies without `-mod`
    /// (`setDefaultBuildMod` in cmd/go/internal/modload).
    pub fn is_vendored(&self) -> bool {
        let (file, is_workspace) = match &self.go_work {
            Some(go_work) => (go_work.clone(), true),
            None => (self.module.join("go.mod"), false),
        };
        let vendor = file.with_file_name("vendor");
        let version = GoMod::parse(&read_text_at_most(&file, TEXT_MAX).unwrap_or_default()).go;
        if !vendor.is_dir() || version.is_none_or(|version| go_version_of(&version) < go_version_of("1.14")) {
            return false;
        }
        let list = read_text_at_most(&vendor.join("modules.txt"), TEXT_MAX).unwrap_or_default();
        let annotations = list.lines().next().and_then(|line| line.strip_prefix("## ")).unwrap_or("");
        annotations.split(';').any(|annotation| annotation.trim() == "workspace") == is_workspace
    }

    /// Returns the directory of go.mod.
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// Returns the go.work that is in force.
    pub fn go_work(&self) -> Option<&Path> {
        self.go_work.as_deref()
    }

    /// The closed environment of a compiling `go` whose GOROOT is `root`.
    pub fn compile_environment(&self, root: &Path, platform: &Platform) -> Environment {
        let mut environment = compile_environment(root, &self.directories, platform.os(), platform.architecture());
        if let Some((name, value)) = platform.variant_setting() {
            environment.set(Class::Keyed, name, value);
        }
        if let Some(go_work) = &self.go_work {
            environment.set(Class::Located, "GOWORK", go_work.to_string_lossy());
        }
        environment
    }

    /// The directories that a `go` of this toolchain reads, beside the sources: what its GOROOT holds or links to, the
    /// caches, its empty HOME.
    pub fn places(&self, toolchain: &Toolchain) -> Vec<PathBuf> {
        let directories = &self.directories;
        let mut places = vec![toolchain.root.clone(), directories.build_cache.clone()];
        places.extend([directories.module_cache.clone(), directories.home.clone()]);
        let entries = std::fs::read_dir(&toolchain.root).into_iter().flatten().flatten();
        places.extend(entries.map(|entry| entry.path()).filter(|path| path.is_symlink()));
        places
    }

    /// The platform that programs for this machine are built for.
    pub fn own_platform(&self) -> Result<Platform, UserError> {
        Platform::new(&self.host.to_string()).map_err(|error| UserError::environment(error.to_string()))
    }

    /// go.mod, go.sum and those of a go.work: what says which modules there are.
    pub fn module_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.module.join("go.mod"), self.module.join("go.sum")];
        if let Some(go_work) = &self.go_work {
            let base = go_work.parent().unwrap_or(Path::new("/"));
            files.extend([go_work.clone(), base.join("go.work.sum")]);
            let text = read_text_at_most(go_work, TEXT_MAX).unwrap_or_default();
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
}

/// Returns the defaults that a toolchain brings along.
fn go_env_of(toolchain: &Toolchain) -> String {
    read_text_at_most(&toolchain.root.join("go.env"), SMALL_MAX).unwrap_or_default()
}
