//! `PublishedToolStep`: a command of another module at a version, built once for this machine, as `go install` builds it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{RelativePath, TEXT_MAX, read_text_at_most};
use rondel_engine::{
    ActionSpec, Class, Environment, Job, OutputKind, OutputSpec, PROGRAM, Prepared, Query, Report, Step, StepError,
};
use rondel_names::Platform;
use rondel_process::CommandLine;
use rondel_tree::StatSnapshot;

use crate::build_info::{BuildInfo, ModuleVersion};
use crate::environment::turn_index_off;
use crate::executable_names::executable_name;
use crate::module_cache::{module_sums, tampered_module};
use crate::module_download::{download_environment, give_up};
use crate::published::{ToolPin, escaped};
use crate::support::GoSupport;

/// One command.
pub struct PublishedToolStep {
    /// The toolchain, and how modules are reached.
    pub go: Arc<GoSupport>,
    /// This machine.
    pub platform: Platform,
    /// Import path.
    pub package: String,
    /// Version of its module.
    pub version: String,
    /// Build tags.
    pub tags: Vec<String>,
    /// What build.lock says of the module.
    pub pin: Option<ToolPin>,
    /// Place of the executable, relative to the workspace.
    pub out: RelativePath,
}

impl PublishedToolStep {
    fn environment(&self, root: &Path) -> Environment {
        let mut environment = self.go.compile_environment(root, &self.platform);
        environment.set(Class::Keyed, "GOWORK", "off");
        environment
    }

    fn name(&self) -> String {
        format!("{}@{}", self.package, self.version)
    }

    /// Compares the modules that were built from with their hashes: that of build.lock, those of the module's go.sum.
    /// Returns false if one was changed in the module cache; it is removed.
    fn check(&self, executable: &Path, job: &Job<'_>) -> Result<bool, StepError> {
        let unreadable = |error| StepError::unreadable(executable, &error);
        let info = BuildInfo::of_file(executable).map_err(unreadable)?.unwrap_or_default();
        let main = info.main.clone().unwrap_or_default();
        if let Some(pin) = &self.pin
            && (main.path != pin.module || main.sum != pin.sum || main.version != self.version)
        {
            let message = format!(
                "`{}` is not what build.lock pins\n  pinned: {} {}\n  found:  {} {}",
                self.name(),
                pin.module,
                pin.sum,
                main.path,
                main.sum
            );
            return Err(StepError::environment(message)
                .hint(format!("it was not run; to move the pin, run `{PROGRAM} lock --update tools`")));
        }
        let cache = &self.go.directories.module_cache;
        let place = |module: &ModuleVersion| -> PathBuf {
            cache.join(format!("{}@{}", escaped(&module.path), escaped(&module.version)))
        };
        let own_sums = read_text_at_most(&place(&main).join("go.sum"), TEXT_MAX).unwrap_or_default();
        let mut sums = module_sums(&[own_sums]);
        let mut directories = BTreeSet::new();
        for module in info.dependencies.iter().chain([&main]).filter(|module| !module.sum.is_empty()) {
            let name = format!("{}@{}", module.path, module.version);
            let pinned = sums.entry(name).or_insert_with(|| module.sum.clone());
            if *pinned != module.sum {
                let message =
                    format!("`{}@{}` is not what go.sum of `{}` says", module.path, module.version, main.path);
                return Err(StepError::environment(format!("{message}\n  go.sum: {pinned}\n  found:  {}", module.sum))
                    .hint("it was not run; find out where it came from: check GOPROXY and GOSUMDB"));
            }
            directories.insert(place(module));
        }
        let snapshot = StatSnapshot::open(&job.workspace.state.join("snapshot-modules"));
        let unreadable = |error: std::io::Error| StepError::unreadable(cache, &error);
        let Some(tampered) = tampered_module(cache, &directories, &sums, &snapshot).map_err(unreadable)? else {
            // A snapshot that can't be saved costs time.
            let _ = snapshot.save();
            return Ok(true);
        };
        give_up(&self.go, job, &tampered, "run of it").map(|()| false)
    }
}

impl Step for PublishedToolStep {
    type Findings = ();

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared, StepError> {
        if self.pin.is_none() && self.go.locked {
            let message = format!("build.lock does not pin `{}`, and --locked forbids to go on", self.name());
            return Err(StepError::environment(message).hint(format!("run `{PROGRAM} lock` and commit build.lock")));
        }
        let name = executable_name(&self.package, self.platform.os());
        let name = RelativePath::new(&name).map_err(|error| StepError::failed(error.to_string()))?;
        let mut spec = ActionSpec {
            arguments: ["go", "install", "-trimpath", "-ldflags=-buildid="].map(str::to_owned).to_vec(),
            environment: self.environment(Path::new("/")),
            settings: BTreeMap::from([("platform".to_owned(), self.platform.to_string())]),
            tools: BTreeMap::from([("go".to_owned(), self.go.identity(query)?)]),
            outputs: vec![OutputSpec { name, destination: self.out.clone(), kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        if !self.tags.is_empty() {
            spec.arguments.push(format!("-tags={}", self.tags.join(",")));
        }
        spec.arguments.push(self.name());
        let pinned = self.pin.as_ref().map(|pin| format!("{} {}", pin.module, pin.sum));
        spec.settings.insert("module".to_owned(), pinned.unwrap_or_else(|| "not pinned".to_owned()));
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, prepared: &Prepared, job: &Job<'_>) -> Result<Report, StepError> {
        if self.pin.is_none() {
            let name = self.name();
            job.warn(format!(
                "build.lock does not pin `{name}`: GOSUMDB alone checks what is fetched (run `{PROGRAM} lock`)"
            ));
        }
        let toolchain = self.go.toolchain(job)?;
        let mut environment = self.environment(&toolchain.root);
        turn_index_off(&mut environment);
        let (mut environment, secret_names) = download_environment(&self.go, &toolchain, environment);
        environment.push(("GOBIN".to_owned(), job.staging.display().to_string()));
        let executable = job.staging.join(prepared.spec.outputs[0].name.as_str());
        for _ in 0..3 {
            let mut line = CommandLine::new(toolchain.go(), job.staging)
                .arguments(prepared.spec.arguments[1..].iter().cloned())
                .environment(environment.clone());
            line.secret_names.clone_from(&secret_names);
            job.run(&line).map_err(|error| {
                error.hint(
                    "it is built as `go install` does: check its path and version, GOPROXY, and the Go that it needs",
                )
            })?;
            if self.check(&executable, job)? {
                return Ok(Report::default());
            }
        }
        Err(StepError::environment(format!("the modules of `{}` change while they are used", self.name())))
    }
}
