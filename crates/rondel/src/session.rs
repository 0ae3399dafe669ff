//! The surroundings of a run: the process's environment and directory, build.ron and build.lock, the cache.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use rondel_buildfile::{BuildFile, LockFile, Target, suggest};
use rondel_cas::{TEXT_MAX, read_at_most, read_text_at_most};
use rondel_engine::{DeclaredTargets, Seal, Workspace};
use rondel_targets::{Analysis, GitNotes, PlatformChoice, Request, analyze};

use crate::VERSION;
use crate::asked::Asked;
use crate::cli::groups::{AnalysisOptions, Color};
use crate::cli::slips;
use crate::exit::Failure;
use crate::program;
use crate::relative::relative;

/// Arguments, environment and directory of the process.
pub(crate) struct ProcessContext {
    pub arguments: Vec<std::ffi::OsString>,
    pub environment: BTreeMap<String, String>,
    pub directory: PathBuf,
    /// The running program, without links.
    pub program: Option<PathBuf>,
}

impl ProcessContext {
    /// Reads arguments, environment and current directory: once, here.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> ProcessContext {
        // Variables that are not UTF-8 fit in no key and no build.ron, so they count as not set.
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut arguments = std::env::args_os();
        program::started_as(arguments.next().as_deref());
        ProcessContext {
            arguments: arguments.collect(),
            environment: environment.collect(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            program: std::env::current_exe().and_then(|program| program.canonicalize()).ok(),
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns true on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub fn wants_color_by_default(&self) -> bool {
        std::io::stderr().is_terminal() && self.get("NO_COLOR").is_none() && self.get("TERM") != Some("dumb")
    }

    pub fn wants_color(&self, color: Color) -> bool {
        match color {
            Color::Auto => self.wants_color_by_default(),
            Color::Always => true,
            Color::Never => false,
        }
    }

    /// Returns true if nobody wants colours, not even those of other programs.
    pub fn forbids_color(&self, color: Color) -> bool {
        match color {
            Color::Auto => self.get("NO_COLOR").is_some(),
            Color::Always => false,
            Color::Never => true,
        }
    }

    /// Returns `$RONDEL_CACHE_DIR`, else the platform's cache directory.
    pub fn cache_directory(&self) -> Result<PathBuf, Failure> {
        let chosen = if let Some(directory) = self.get("RONDEL_CACHE_DIR") {
            self.directory.join(directory)
        } else if let Some(directory) = self.get("XDG_CACHE_HOME").filter(|directory| directory.starts_with('/')) {
            Path::new(directory).join("rondel")
        } else if let Some(home) = self.get("HOME") {
            self.directory.join(home).join(if cfg!(target_os = "macos") {
                "Library/Caches/rondel"
            } else {
                ".cache/rondel"
            })
        } else if let Some(local) = self.get("LOCALAPPDATA") {
            self.directory.join(local).join("rondel")
        } else {
            return Err(Failure::environment(
                "there is no directory for the cache: neither RONDEL_CACHE_DIR nor HOME is set".to_owned(),
            )
            .hint("set RONDEL_CACHE_DIR"));
        };
        Ok(chosen)
    }
}

/// A read build.ron with its surroundings.
pub(crate) struct Session<'c> {
    pub context: &'c ProcessContext,
    pub file: BuildFile,
    pub text: String,
    /// Display name: relative to the current directory.
    pub name: String,
    pub lock: LockFile,
    pub root: PathBuf,
    /// The cache directory, or a missing one if there is no place for it (see `require_cache`).
    pub cache: PathBuf,
}

impl<'c> Session<'c> {
    /// Finds and reads build.ron and build.lock.
    pub fn open(context: &'c ProcessContext, file: Option<&str>) -> Result<Session<'c>, Failure> {
        let path = match file {
            Some(file) => context.directory.join(file),
            None => find_upwards(&context.directory)?,
        };
        let name = match relative(&path, &context.directory).display().to_string() {
            // The directory itself.
            name if name.is_empty() => ".".to_owned(),
            name => name,
        };
        let bytes = read_at_most(&path, rondel_buildfile::SIZE_MAX as u64)
            .map_err(|error| Failure::usage(format!("failed to read `{name}`: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::usage(format!("`{name}` is not valid UTF-8")))?;
        let file = BuildFile::parse(&text, VERSION).map_err(|diagnostics| Failure::BuildFile {
            name: name.clone(),
            text: text.clone(),
            diagnostics,
        })?;
        let root = path.parent().unwrap_or(Path::new("/")).to_owned();
        let lock = read_lock(&root)?;
        // A question needs no cache: without one, nothing is stored.
        let cache = context.cache_directory().unwrap_or_else(|_| root.join(".rondel/no-cache"));
        Ok(Session { context, file, text, name, lock, root, cache })
    }

    /// Makes sure that values of environment files have the same seal in the next run, before an analysis that builds.
    pub fn prepare_seal(&self) -> Result<(), Failure> {
        if !self.file.has_environment_files() {
            return Ok(());
        }
        let workspace = self.workspace();
        workspace.prepare()?;
        Seal::make(&workspace.state)
            .map_err(|error| Failure::environment(format!("failed to write `{}`: {error}", workspace.state.display())))
    }

    /// Fails if there is no place for the cache. Whatever writes asks this first.
    pub fn require_cache(&self) -> Result<(), Failure> {
        self.context.cache_directory().map(drop)
    }

    /// Returns the stores and directories of this workspace.
    pub fn workspace(&self) -> Workspace {
        self.workspace_in(&self.root)
    }

    /// Returns the stores of this workspace and the directories of a copy of it.
    pub fn workspace_in(&self, root: &Path) -> Workspace {
        let mut workspace = Workspace::open(root, &self.cache);
        workspace.build_file = self.build_file().to_owned();
        workspace.declared = Some(self.declared());
        workspace
    }

    /// Returns the name of build.ron, which `--file` can change.
    pub fn build_file(&self) -> &str {
        Path::new(&self.name).file_name().and_then(|name| name.to_str()).unwrap_or("build.ron")
    }

    /// Returns all targets, each with its platforms if build.ron lists them.
    fn declared(&self) -> DeclaredTargets {
        let platforms = |target: &Target| {
            let list = target.kind().platforms().unwrap_or(&self.file.platforms);
            (!list.is_empty()).then(|| list.iter().map(|platform| platform.value.clone()).collect())
        };
        self.file.targets.iter().map(|target| (target.name.value.clone(), platforms(target))).collect()
    }

    /// Returns the target of this name or alias.
    pub fn target(&self, word: &str) -> Option<&Target> {
        self.file.targets.iter().find(|target| target.is_called(word))
    }

    /// Returns the targets that the words name, and the values of their parameters, checked.
    pub fn asked(&self, words: &[String]) -> Result<Asked, Failure> {
        Asked::read(&self.file, words, &|word| self.unknown_target(word, &[], words))
    }

    /// Returns the error for a word that is no target; `others` are the other words that may stand there, `words` all that were
    /// given.
    pub fn unknown_target(&self, word: &str, others: &[&str], words: &[String]) -> Failure {
        let targets = self.file.targets.iter();
        let mut names: Vec<&str> = targets.clone().map(|target| target.name.value.as_str()).collect();
        names.extend(targets.flat_map(|target| &target.common.aliases).map(|alias| alias.value.as_str()));
        let failure = Failure::usage(format!("there is no target `{}`", word.escape_debug()));
        let program = program::name();
        let after = words.iter().position(|other| other == word).map_or(words, |place| &words[place + 1..]);
        if let Some(hint) = slips::word(&self.file, word, after) {
            return failure.hint(hint);
        }
        let near = suggest(word, names.iter().copied());
        if let Some(hint) = slips::missing_kind(word).filter(|_| near.is_none()) {
            return failure.hint(hint);
        }
        names.extend(others.iter().copied());
        match near.or_else(|| slips::nearest(word, &names)) {
            Some(near) => failure.hint(format!("did you mean `{near}`? `{program}` lists all targets")),
            None => failure.hint(format!("`{program}` lists all targets")),
        }
    }

    /// Returns the graph of `targets`, for the chosen platforms and variables. `rest` goes to the targets.
    pub fn analyze(&self, analysis: &AnalysisOptions, rest: &[String], asked: Asked) -> Result<Analysis, Failure> {
        let request =
            Request { platforms: analysis.platforms(), arguments: rest.to_vec(), ..self.request(analysis, asked) };
        self.analyze_request(&request)
    }

    /// Returns the request to the analysis, for the platform of this machine.
    pub fn request<'a>(&'a self, analysis: &'a AnalysisOptions, asked: Asked) -> Request<'a> {
        Request {
            file: &self.file,
            lock: &self.lock,
            root: self.root.clone(),
            repository: self.root.clone(),
            notes: GitNotes::default(),
            asks_policies: true,
            cache: self.cache.clone(),
            program: self.program_directory(),
            environment: &self.context.environment,
            overrides: &analysis.set,
            targets: asked.targets,
            parameters: asked.parameters,
            is_ordered: true,
            version_mode: analysis.version_mode(),
            platforms: PlatformChoice::Own,
            arguments: Vec::new(),
            signatures: None,
            kept: None,
            seal: Seal::of(&self.root.join(".rondel")),
            offline: analysis.offline,
            locked: analysis.locked,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Returns the directory of this workspace that holds the running program and what it was compiled from: Cargo's
    /// `target`, which bears the mark of a cache.
    pub fn program_directory(&self) -> Option<PathBuf> {
        let (root, program) = (self.root.canonicalize().ok()?, self.context.program.as_ref()?);
        let above = program.ancestors().skip(1).take_while(|directory| **directory != root);
        let above = above.filter(|directory| directory.starts_with(&root));
        let found = above.filter(|directory| directory.join("CACHEDIR.TAG").is_file()).last()?;
        Some(self.root.join(found.strip_prefix(&root).ok()?))
    }

    /// Returns the paths in the workspace that no copy of the sources has: those that Rondel makes wherever the sources are (its
    /// cache, its own program, the places in `dist` of the targets), and private keys.
    pub fn own_paths(&self) -> impl Iterator<Item = PathBuf> {
        let targets = self.file.targets.iter();
        let outputs = targets.flat_map(|target| self.file.outputs_of(target)).filter(|output| output.written.is_none());
        let places: Vec<PathBuf> = outputs.map(|output| self.root.join(&output.path)).collect();
        let real_cache = self.cache.canonicalize().ok();
        let keys = self.file.private_keys(&self.root);
        places.into_iter().chain(keys).chain([self.cache.clone()]).chain(real_cache).chain(self.program_directory())
    }

    /// Returns the graph of a request.
    pub fn analyze_request(&self, request: &Request<'_>) -> Result<Analysis, Failure> {
        analyze(request).map_err(|error| Failure::in_build_file(error, &self.name, &self.text))
    }

    /// Returns every public target that needs no values. Without those that remove what others make.
    pub fn all_targets(&self) -> Asked {
        let makes = |target: &&Target| !target.common.private && target.kind().removes().is_none();
        let public = self.file.targets.iter().filter(makes);
        let free = public.filter(|target| target.required_params().next().is_none());
        Asked::of(free.map(|target| target.name.value.clone()).collect())
    }
}

/// Reads the build.lock next to build.ron; a missing one pins nothing.
pub(crate) fn read_lock(root: &Path) -> Result<LockFile, Failure> {
    let path = root.join("build.lock");
    match read_text_at_most(&path, TEXT_MAX) {
        Ok(text) => LockFile::parse(&text).map_err(|error| {
            Failure::usage(format!("build.lock can't be read: {error}"))
                .hint(format!("restore it from version control, or delete it and run `{} lock`", program::name()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(LockFile::empty()),
        Err(error) => Err(Failure::usage(format!("failed to read `build.lock`: {error}"))),
    }
}

fn find_upwards(directory: &Path) -> Result<PathBuf, Failure> {
    let found =
        directory.ancestors().map(|ancestor| ancestor.join("build.ron")).find(|path| path.symlink_metadata().is_ok());
    found.ok_or_else(|| {
        Failure::usage(format!("there is no build.ron in `{}` or above", directory.display()))
            .hint(format!("`{} init` writes one for a Go repository; `--file PATH` names another", program::name()))
    })
}
