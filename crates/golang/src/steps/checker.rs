//! `CheckerStep`: a program that looks at packages, or at an executable, and makes nothing: `govulncheck`,
//! `golangci-lint`. It runs again if a file of the packages, a file that it reads beside them, or the program changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{RelativePath, TEXT_MAX, read_text_at_most};
use rondel_engine::{
    ActionSpec, Class, DeclaredInputs, Environment, Freshness, Job, OutputUse, Prepared, Query, Report, Step,
    StepContext, StepError, TreeAccess,
};
use rondel_process::CommandLine;

use crate::closure::Closure;
use crate::environment::turn_index_off;
use crate::module_download::check_modules;
use crate::packages::GoPackages;
use crate::program_source::ProgramSource;
use crate::support::GoSupport;

/// What a checker looks at.
pub enum CheckedCode {
    /// Packages: they are the last of its arguments.
    Packages(Box<GoPackages>),
    /// An executable: its place is the last argument.
    Executable(OutputUse),
}

/// One checker, all texts resolved.
pub struct CheckerStep {
    /// The toolchain, which is first on its PATH.
    pub go: Arc<GoSupport>,
    /// Where paths of build.ron begin.
    pub root: PathBuf,
    /// Name of the program, for the key.
    pub name: &'static str,
    /// The program.
    pub program: ProgramSource,
    /// The caller's `PATH`.
    pub search_path: String,
    /// Arguments before the packages or the executable. `ROOT` in one stands for `root`.
    pub arguments: Vec<String>,
    /// What it looks at.
    pub code: CheckedCode,
    /// Files that it reads beside them.
    pub files: Option<DeclaredInputs>,
    /// Its configuration.
    pub configuration: Option<Configuration>,
    /// Variables with the place of a directory of its own.
    pub directories: Vec<(&'static str, PathBuf)>,
    /// Why it always runs, in words.
    pub always: Option<String>,
    /// True if it changes sources.
    pub fixes: bool,
    /// What to do about a failure.
    pub hint: &'static str,
}

/// A file of the project that is looked for under several names.
pub struct Configuration {
    /// Names, relative to `root`; the first that exists counts.
    pub names: Vec<String>,
    /// The flag before its path: `--config=`.
    pub flag: &'static str,
    /// The argument if there is none; `None` if there has to be one.
    pub without: Option<&'static str>,
    /// Words of its text that make the result depend on more than a key holds.
    pub unkeyed: &'static [&'static str],
}

impl CheckerStep {
    /// Stands for `root` in an argument.
    pub const ROOT: &'static str = "{root}";

    fn environment(&self, root: &Path) -> Result<Environment, StepError> {
        let mut environment = match &self.code {
            CheckedCode::Packages(packages) => packages.environment(root),
            CheckedCode::Executable(_) => {
                self.go.compile_environment(root, &self.go.own_platform().map_err(StepError::User)?)
            }
        };
        for (name, place) in &self.directories {
            environment.set(Class::Located, name, place.display().to_string());
        }
        Ok(environment)
    }

    /// Returns the configuration that counts now, relative to `root`.
    fn configuration(&self) -> Option<&String> {
        let names = self.configuration.iter().flat_map(|configuration| &configuration.names);
        names.into_iter().find(|name| self.root.join(name).is_file())
    }

    /// Returns the arguments before the packages, as a key has them: `root` is what precedes the path of a configuration.
    fn all_arguments(&self, root: &str) -> Result<Vec<String>, StepError> {
        let mut arguments = self.arguments.clone();
        if let Some(Configuration { names, flag, without, .. }) = &self.configuration {
            arguments.push(match (self.configuration(), without) {
                (Some(name), _) => format!("{flag}{root}{name}"),
                (None, Some(other)) => (*other).to_owned(),
                (None, None) => {
                    let message = format!("there is no configuration `{}`", names.join("`, `"));
                    return Err(StepError::input(message).hint("correct `config`: it is relative to `root`"));
                }
            });
        }
        Ok(arguments)
    }

    /// Returns why a key does not hold all that decides the result, in words.
    fn blind_spot(&self) -> Option<String> {
        let name = self.configuration()?;
        let text = read_text_at_most(&self.root.join(name), TEXT_MAX).ok()?;
        let words = self.configuration.iter().flat_map(|configuration| configuration.unkeyed);
        let found = words.into_iter().find(|words| text.contains(**words))?;
        Some(format!("`{found}` in `{name}` depends on the history of git"))
    }

    /// Adds the program and what else is read to a key.
    fn describe(&self, query: &StepContext<'_>, spec: &mut ActionSpec) -> Result<(), StepError> {
        let found_in = (self.search_path.as_str(), self.go.module());
        self.program.identify(query, self.name, found_in, spec)?;
        spec.arguments.insert(0, self.name.to_owned());
        let snapshot = &query.workspace.snapshot;
        let root = &self.root;
        if let Some(files) = &self.files {
            for input in files.hash(root, snapshot)?.iter().filter(|input| !input.is_behind_link()) {
                spec.inputs.add(input.path, input.absolute, snapshot)?;
            }
        }
        if let Some(name) = self.configuration() {
            let path = RelativePath::new(name).map_err(|error| StepError::input(error.to_string()))?;
            spec.inputs.add(path, root.join(name), snapshot)?;
        }
        Ok(())
    }

    fn prepare_with(&self, query: &Query<'_>, former: Option<Closure>) -> Result<Prepared<Option<Closure>>, StepError> {
        let mut prepared = match &self.code {
            CheckedCode::Packages(packages) => packages.prepare(query, former, &|spec, _| {
                spec.arguments = self.all_arguments("")?;
                spec.arguments.extend(packages.patterns.iter().cloned());
                spec.environment = self.environment(Path::new("/"))?;
                Ok(())
            })?,
            CheckedCode::Executable(output) => {
                let mut spec = ActionSpec {
                    arguments: self.all_arguments("")?,
                    environment: self.environment(Path::new("/"))?,
                    ..ActionSpec::default()
                };
                output.add_to(query, &mut spec)?;
                spec.tools.insert("go".to_owned(), self.go.identity(query)?);
                Prepared { spec, freshness: Freshness::ByKey, findings: None }
            }
        };
        self.describe(query, &mut prepared.spec)?;
        let why = self.always.clone().or_else(|| self.blind_spot());
        if let (Some(why), Freshness::ByKey) = (why, &prepared.freshness) {
            prepared.freshness = Freshness::always(why);
        }
        Ok(prepared)
    }
}

impl Step for CheckerStep {
    type Findings = Option<Closure>;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Option<Closure>>, StepError> {
        self.prepare_with(query, None)
    }

    fn review(
        &self,
        query: &Query<'_>,
        former: &Prepared<Option<Closure>>,
    ) -> Result<Prepared<Option<Closure>>, StepError> {
        self.prepare_with(query, former.findings.clone())
    }

    fn tree_access(&self) -> TreeAccess {
        if self.fixes { TreeAccess::MayWrite } else { TreeAccess::Reads }
    }

    fn run(&self, prepared: &Prepared<Option<Closure>>, job: &Job<'_>) -> Result<Report, StepError> {
        let line = self.command(prepared, job)?;
        job.run(&line).map_err(|error| error.hint(self.hint))?;
        Ok(Report::default())
    }
}

impl CheckerStep {
    /// Returns the command, once all that it needs is there.
    pub(crate) fn command(
        &self,
        prepared: &Prepared<Option<Closure>>,
        job: &Job<'_>,
    ) -> Result<CommandLine, StepError> {
        job.prerequisites()?;
        let toolchain = self.go.toolchain(job)?;
        if let Some(closure) = &prepared.findings {
            check_modules(&self.go, job, &closure.modules)?;
        }
        let mut environment = self.environment(&toolchain.root)?;
        // Packages are loaded by a `go` that the checker starts: no shield keeps the index from it.
        turn_index_off(&mut environment);
        for (_, place) in &self.directories {
            std::fs::create_dir_all(place).map_err(|error| StepError::unwritable(place, &error))?;
        }
        let root = self.root.display().to_string();
        let place = |argument: String| argument.replacen(CheckerStep::ROOT, &root, 1);
        let prefix = if self.root == self.go.module() { String::new() } else { format!("{root}/") };
        let mut arguments: Vec<String> = self.all_arguments(&prefix)?.into_iter().map(place).collect();
        let environment = match &self.code {
            CheckedCode::Packages(packages) => {
                arguments.extend(packages.patterns.iter().cloned());
                packages.for_process(environment)
            }
            CheckedCode::Executable(output) => {
                arguments.push(output.path(job)?.display().to_string());
                environment.for_process()
            }
        };
        let program = self.program.place(job, &self.search_path, self.go.module())?;
        Ok(CommandLine::new(program, self.go.module()).arguments(arguments).environment(environment))
    }
}
