//! `GoPackages`: some packages on one platform, and all that decides which files belong to them. A go command about them
//! is keyed by these files (the closure), and by nothing else of the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_cas::Digest;
use rondel_engine::{ActionSpec, Class, Environment, Freshness, Job, Prepared, Query, StepError, StepKey, UserError};
use rondel_names::Platform;
use rondel_process::CommandLine;

use crate::cgo::CSupport;
use crate::closure::Closure;
use crate::closure_lookup::ClosureRequest;
use crate::closure_query::{ClosureQuery, Scope};
use crate::environment::{collector_percent, spare_memory, turn_index_off};
use crate::go_overlay::write_overlay;
use crate::index_shield::index_is_trusted;
use crate::local_modules::{LocalModules, lexically};
use crate::module_download::check_modules;
use crate::support::GoSupport;

/// Packages on one platform, all texts resolved.
pub struct GoPackages {
    /// The toolchain, and how it is run.
    pub go: Arc<GoSupport>,
    /// Which step asks; names it in messages too.
    pub key: StepKey,
    /// What is built for.
    pub platform: Platform,
    /// Package patterns.
    pub patterns: Vec<String>,
    /// Build tags.
    pub tags: Vec<String>,
    /// True for the race detector, which is a build tag too.
    pub race: bool,
    /// Declared variables.
    pub env: Vec<(String, String)>,
    /// With cgo: by which compilers.
    pub c: Option<CSupport>,
    /// Which files of the packages count.
    pub scope: Scope,
    /// Files in the source tree that targets of this run make without being waited for, and their targets.
    pub foreign: Vec<(PathBuf, String)>,
}

impl GoPackages {
    /// Returns packages for this machine, without C and with no variables of their own.
    pub fn of_host(
        go: Arc<GoSupport>,
        key: StepKey,
        patterns: Vec<String>,
        tags: Vec<String>,
        scope: Scope,
    ) -> Result<GoPackages, UserError> {
        let (platform, env, foreign) = (go.own_platform()?, Vec::new(), Vec::new());
        Ok(GoPackages { go, key, platform, patterns, tags, race: false, env, c: None, scope, foreign })
    }

    /// What the command sees; `root` is GOROOT.
    pub(crate) fn environment(&self, root: &Path) -> Environment {
        let mut environment = self.go.compile_environment(root, &self.platform);
        for (name, value) in self.env.iter().filter(|(name, _)| !matches!(name.as_str(), "CC" | "CXX")) {
            environment.set(Class::Keyed, name, value);
        }
        if let Some(c) = &self.c {
            c.set(root, &mut environment);
        }
        environment
    }

    /// What the process sees. How much memory the tools may spend for speed is this machine's affair and in no key,
    /// unless the target says it.
    pub(crate) fn for_process(&self, environment: Environment) -> Vec<(String, String)> {
        let mut pairs = environment.for_process();
        if !self.env.iter().any(|(name, _)| name == "GOGC")
            && let Some(percent) = spare_memory().and_then(collector_percent)
        {
            pairs.push(("GOGC".to_owned(), percent.to_owned()));
        }
        pairs
    }

    /// Flags that decide which files belong to the build; `go list` gets them too.
    pub(crate) fn selecting_flags(&self) -> Vec<String> {
        let race = self.race.then(|| "-race".to_owned());
        let tags = (!self.tags.is_empty()).then(|| format!("-tags={}", self.tags.join(",")));
        race.into_iter().chain(tags).collect()
    }

    /// Returns the flags for C compilers and the linker of the declared environment.
    fn c_flags(&self) -> Vec<String> {
        let of_c = self.env.iter().filter(|(name, _)| name.starts_with("CGO_") && name.ends_with("FLAGS"));
        let flags = of_c.flat_map(|(_, value)| value.split_whitespace()).map(str::to_owned);
        let paths = self.env.iter().filter(|(name, _)| {
            matches!(name.as_str(), "CPATH" | "C_INCLUDE_PATH" | "CPLUS_INCLUDE_PATH" | "LIBRARY_PATH")
        });
        let paths = paths.flat_map(|(name, value)| {
            let flag = if name == "LIBRARY_PATH" { "-L" } else { "-I" };
            value.split(':').map(move |path| format!("{flag}{path}"))
        });
        flags.chain(paths).collect()
    }

    fn query(&self, identity: &str) -> ClosureQuery {
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        settings.insert("platform".to_owned(), self.platform.to_string());
        settings.insert("go".to_owned(), identity.to_owned());
        settings.insert("flags".to_owned(), self.selecting_flags().join(" "));
        settings.insert("cgo".to_owned(), self.c.is_some().to_string());
        if let Some(packages) = self.c.as_ref().and_then(CSupport::packages) {
            settings.insert("pkg-config".to_owned(), packages);
        }
        settings.extend(self.env.iter().map(|(name, value)| (format!("env {name}"), value.clone())));
        let go_work = self.go.go_work.clone();
        ClosureQuery {
            module: self.go.module.clone(),
            base: self.go.root.clone(),
            workspace: self.go.workspace.clone(),
            c_flags: self.c_flags(),
            go_work,
            packages: self.patterns.clone(),
            scope: self.scope,
            settings,
        }
    }

    /// The closure of the packages; in a question, the reason in words if it is not known. `former` is what the same step
    /// found before, in this run.
    pub(crate) fn closure(
        &self,
        query: &Query<'_>,
        former: Option<Closure>,
        identity: &str,
    ) -> Result<Result<Closure, String>, StepError> {
        let asked = ClosureRequest {
            key: &self.key,
            query: self.query(identity),
            flags: self.selecting_flags(),
            environment: &|toolchain| {
                // Which directories `go list` reads is not known before.
                let mut environment = self.environment(&toolchain.root);
                turn_index_off(&mut environment);
                self.for_process(environment)
            },
        };
        let found = self.go.closure(query, &asked, former)?;
        if let Ok(closure) = &found
            && let Some((file, target)) = self.foreign.iter().find(|(file, _)| closure.reads(file))
        {
            let name = file.strip_prefix(&self.go.root).unwrap_or(file).display();
            let message = format!("`{}` reads `{name}`, which `{target}` makes in the same run", self.key);
            return Err(StepError::input(message).hint(format!("write `after: [\"{target}\"]`")));
        }
        Ok(found)
    }

    /// Compares a closure with the tree again; `Err` says why it does not hold any more, in words.
    pub(crate) fn again(&self, closure: Closure, job: &Job<'_>) -> Result<Result<Closure, String>, StepError> {
        let query = self.query(&self.go.identity(job)?);
        Ok(closure.again(&query, &job.workspace.snapshot))
    }

    /// The action of a go command about the packages. `former` is what the same step found before, in this run; without
    /// it, what earlier runs remembered is asked. `describe` adds to the action what is the command's own.
    pub(crate) fn prepare(
        &self,
        query: &Query<'_>,
        former: Option<Closure>,
        describe: &dyn Fn(&mut ActionSpec, &Closure) -> Result<(), StepError>,
    ) -> Result<Prepared<Option<Closure>>, StepError> {
        let identity = self.go.identity(query)?;
        let mut closure = match self.closure(query, former, &identity)? {
            Ok(closure) => closure,
            Err(why) => return Ok(Prepared::unkeyed(Freshness::undecided(why)).with(None)),
        };
        let mut spec = ActionSpec { environment: self.environment(Path::new("/")), ..ActionSpec::default() };
        describe(&mut spec, &closure)?;
        spec.tools.insert("go".to_owned(), identity);
        spec.settings.insert("platform".to_owned(), self.platform.to_string());
        spec.inputs = closure.inputs()?;
        self.go.remember(query, &self.key, &mut closure);
        if let Some(c) = &self.c {
            match c.identity(query, &closure.c_directories)? {
                Ok(identity) => spec.tools.insert("C compiler".to_owned(), identity),
                Err(what) => {
                    return Ok(Prepared { spec, freshness: Freshness::undecided(what), findings: Some(closure) });
                }
            };
        }
        let freshness = closure.untracked.clone().map_or(Freshness::ByKey, Freshness::always);
        Ok(Prepared { spec, freshness, findings: Some(closure) })
    }

    /// Returns the modules whose sources are directories of this machine.
    pub(crate) fn local_modules(&self) -> LocalModules {
        LocalModules::of(&self.query(""))
    }

    /// Returns the Go files of a package of this machine's modules, if it is surely in the build: a list for each directory
    /// that could be its own.
    pub(crate) fn sources_of(&self, closure: &Closure, import_path: &str) -> Vec<Vec<PathBuf>> {
        if closure.mains.contains_key(import_path) {
            return Vec::new();
        }
        let modules = self.local_modules();
        let providers: Vec<(PathBuf, PathBuf)> = modules.providers(import_path).collect();
        if providers.iter().any(|(module, _)| modules.has_two_names(module)) {
            return Vec::new();
        }
        let directories: BTreeSet<PathBuf> = providers.into_iter().map(|(_, directory)| directory).collect();
        let files = directories.iter().map(|directory| closure.go_files(&lexically(directory)));
        files.filter(|files| !files.is_empty()).collect()
    }

    /// Makes the go command notice what it does not check itself: by variables, and by a flag after the subcommand, which
    /// is the first of `arguments`. Where not all files are known, they are others each time. Go's index of packages is
    /// kept away from the packages by a shield, or is turned off.
    pub(crate) fn mark(
        &self,
        closure: Option<&Closure>,
        c_identity: &str,
        job: &Job<'_>,
        environment: &mut Environment,
        arguments: &mut Vec<String>,
    ) -> Result<(), StepError> {
        let (mut by_c, mut by_assembler) = (Vec::new(), Vec::new());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        for (closure, (package, is_c, digest)) in
            closure.iter().flat_map(|closure| closure.unhashed().into_iter().map(move |of| (closure, of)))
        {
            let digest = match &closure.untracked {
                Some(_) => Digest::of(format!("{digest} {now}").as_bytes()),
                None => digest,
            };
            if is_c { by_c.push(digest) } else { by_assembler.push((package, digest)) }
        }
        if self.c.is_some() {
            CSupport::mark(environment, &self.env, c_identity, &by_c);
        }
        let shielded = self.shielded(closure, job, environment, arguments)?;
        if shielded.is_empty() {
            turn_index_off(environment);
        }
        let directory = job.workspace.state.join("go-overlays");
        let overlay = write_overlay(&directory, &job.workspace.scratch(), &by_assembler, &shielded);
        if let Some(overlay) = overlay.map_err(|error| StepError::unwritable(&directory, &error))? {
            arguments.insert(1, format!("-overlay={}", overlay.display()));
        }
        Ok(())
    }

    /// Returns the directories that get the index shield; none if the index has to be turned off instead.
    fn shielded(
        &self,
        closure: Option<&Closure>,
        job: &Job<'_>,
        environment: &Environment,
        arguments: &[String],
    ) -> Result<BTreeSet<PathBuf>, StepError> {
        // Of two overlays the go command takes the last one.
        let has_overlay = environment.get("GOFLAGS").is_some_and(|(_, flags)| flags.contains("-overlay"))
            || arguments.iter().any(|argument| argument.starts_with("-overlay") || argument.starts_with("--overlay"));
        let Some(closure) = closure.filter(|_| !has_overlay) else { return Ok(BTreeSet::new()) };
        let toolchain = self.go.toolchain(job)?;
        let outside = [toolchain.root.clone(), self.go.directories.module_cache.clone()];
        let Some(directories) = closure.shielded_directories(&outside) else { return Ok(BTreeSet::new()) };
        let identity = self.go.identity(job)?;
        let cache = &self.go.directories.build_cache;
        let is_trusted = index_is_trusted(cache, &job.workspace.scratch(), &toolchain.root, &identity);
        Ok(if is_trusted { directories } else { BTreeSet::new() })
    }

    /// Runs the go command with `arguments`, its output shown as it comes.
    pub(crate) fn run(
        &self,
        prepared: &Prepared<Option<Closure>>,
        job: &Job<'_>,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<(), StepError> {
        let toolchain = self.go.toolchain(job)?;
        if let Some(closure) = &prepared.findings {
            check_modules(&self.go, job, &closure.modules)?;
        }
        let mut environment = self.environment(&toolchain.root);
        let mut arguments: Vec<String> = arguments.into_iter().collect();
        let c_identity = prepared.spec.tools.get("C compiler").map_or("", String::as_str);
        self.mark(prepared.findings.as_ref(), c_identity, job, &mut environment, &mut arguments)?;
        let line = CommandLine::new(toolchain.go(), &self.go.module)
            .arguments(arguments)
            .environment(self.for_process(environment));
        job.run(&line)
    }
}
