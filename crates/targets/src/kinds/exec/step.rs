//! The step of a command or script: its key, its surroundings, its run. Knows no build.ron.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_buildfile::Platform;
use rondel_cas::RelativePath;
use rondel_engine::{
    ActionSpec, Artefact, Class, DeclaredInputs, Environment, EnvironmentValue, Freshness, Job, OutputKind, OutputRole,
    OutputSpec, OutputUse, Prepared, Query, Reason, Report, Step, StepContext, StepError, TreeAccess, copy_tree,
};
use rondel_golang::{GoSupport, INDEX_OFF};
use rondel_process::{CommandLine, ToolMissing, find_tool};
use rondel_supervise::Record;

use super::service::{ServicePlan, hidden_values, key_of};
use crate::closed::{Closed, Surroundings, output_directories};
use crate::late_texts::LateTexts;
use crate::tools::Tools;

pub(crate) struct ExecStep {
    /// Directory of the project: inputs and outputs are relative to it.
    pub root: PathBuf,
    /// Directory that the command runs in.
    pub directory: PathBuf,
    /// The directory in the key.
    pub directory_key: String,
    pub command: Vec<String>,
    pub inputs: Option<DeclaredInputs>,
    /// Outputs of other targets among inputs, words and variables.
    pub outputs_used: Vec<OutputUse>,
    /// Words and variables that name images, or what targets make; their values are in the key.
    pub late: LateTexts,
    /// Path below `root`, path below the workspace, file or directory.
    pub outputs: Vec<(RelativePath, RelativePath, OutputKind)>,
    pub env: Vec<(String, EnvironmentValue)>,
    pub passed: Vec<(String, Option<String>)>,
    pub path: String,
    pub home: Option<String>,
    /// Words of the command that are tools, and the upstream step of each.
    pub tools: Vec<(usize, usize)>,
    /// For `go` itself and for tools: the project's own toolchain, and this machine's platform.
    pub go: Option<(Arc<GoSupport>, Platform)>,
    /// The project's Go for a step that always runs, and whether its text names it.
    pub own_go: Option<(Arc<GoSupport>, bool)>,
    /// The surroundings of a step with a key.
    pub closed: Option<Closed>,
    /// True if the step got arguments and so always runs.
    pub has_arguments: bool,
    /// True if the value of a secret can't change the result.
    pub secret_is_not_keyed: bool,
    /// True if its standard output is data.
    pub is_captured: bool,
    /// True if the command has the terminal.
    pub is_interactive: bool,
    /// How it is kept running, if it is a program that goes on.
    pub service: Option<ServicePlan>,
}

impl ExecStep {
    /// `root` is GOROOT, for a step with Go. `around` are the surroundings of a run.
    fn environment(&self, root: &Path, around: Option<&Surroundings>) -> Environment {
        let mut environment = match &self.go {
            Some((go, platform)) => {
                let mut environment = go.compile_environment(root, platform);
                // What a command builds with `go` is not known, so no shield keeps the index from it.
                environment.set(Class::Keyed, "GODEBUG", INDEX_OFF);
                environment
            }
            None => Environment::new(),
        };
        environment.set(Class::Keyed, "LANG", "C.UTF-8");
        let path = match &self.go {
            Some(_) => format!("{}:{}", root.join("bin").display(), self.path),
            None => self.path.clone(),
        };
        let path = around.map_or(path, |around| around.programs.display().to_string());
        environment.set(Class::Located, "PATH", path);
        if self.closed.as_ref().is_some_and(|closed| closed.is_checked) {
            let own =
                |place: &dyn Fn(&Surroundings) -> &PathBuf| around.map(|around| place(around).display().to_string());
            environment.set_optional(Class::Located, "HOME", own(&|around| &around.home));
            environment.set_optional(Class::Located, "TMPDIR", own(&|around| &around.temporary));
        } else {
            environment.set_optional(Class::Located, "HOME", self.home.clone());
        }
        for (name, value) in &self.passed {
            environment.set_optional(Class::Passed, name, value.clone());
        }
        for (name, value) in &self.env {
            environment.declare(name, value);
        }
        environment
    }

    /// Returns the file of `Tool(…)`: the only output of the upstream step.
    fn tool<'c>(&self, context: &'c StepContext<'_>, index: usize) -> Result<&'c Artefact, StepError> {
        let tool = context.upstream.get(index).and_then(|upstream| upstream.artefacts.first());
        tool.ok_or_else(|| StepError::failed("a tool was not built").hint("run again with --force"))
    }

    /// Returns the words of the key: tools and outputs are placeholders.
    fn keyed_words(&self, context: &StepContext<'_>) -> Result<Vec<String>, StepError> {
        let mut words = self.command.clone();
        self.late.put_words(&mut words, context)?;
        Ok(words)
    }

    /// Returns the command with tools and outputs in their places.
    fn words(&self, context: &StepContext<'_>) -> Result<Vec<String>, StepError> {
        let mut words = self.keyed_words(context)?;
        for output in &self.outputs_used {
            if let OutputRole::Argument(position) = output.role {
                words[position] = output.path(context)?.display().to_string();
            }
        }
        for (position, index) in &self.tools {
            words[*position] = self.tool(context, *index)?.path.display().to_string();
        }
        Ok(words)
    }

    /// Adds the paths of outputs and the late texts to the environment.
    fn add_late(&self, context: &StepContext<'_>, environment: &mut Environment) -> Result<(), StepError> {
        for output in &self.outputs_used {
            if let OutputRole::Variable(name) = &output.role {
                environment.set(Class::Located, name, output.path(context)?.display().to_string());
            }
        }
        self.late.put_variables(environment, context)
    }

    /// Returns the output that is the program, if it is one.
    fn own_program(&self) -> Option<&OutputUse> {
        self.outputs_used.iter().find(|output| output.role == OutputRole::Argument(0))
    }

    fn program(&self, context: &StepContext<'_>) -> Result<PathBuf, StepError> {
        if let Some(output) = self.own_program() {
            return output.path(context);
        }
        if let Some((_, index)) = self.tools.iter().find(|(position, _)| *position == 0) {
            return Ok(self.tool(context, *index)?.path.clone());
        }
        if let Some((go, _)) = self.go.as_ref().filter(|_| self.command[0] == "go") {
            return Ok(go.toolchain(context)?.go());
        }
        find_tool(&self.command[0], &self.path, &self.directory)
            .map_err(|error| StepError::environment(error.to_string()).hint(missing_hint(&error, &self.command[0])))
    }

    /// Adds the identities of the programs that run. Returns where those are that somebody may exchange.
    fn identities(&self, context: &StepContext<'_>, spec: &mut ActionSpec) -> Result<Vec<PathBuf>, StepError> {
        if let Some((go, _)) = &self.go {
            spec.tools.insert("go".to_owned(), go.identity(context)?);
        }
        for (position, index) in &self.tools {
            let slot = RelativePath::new(&format!("tool/{position}")).expect("a number");
            spec.upstream.insert(slot, self.tool(context, *index)?.entry.clone());
        }
        let Some(closed) = &self.closed else { return Ok(Vec::new()) };
        for index in &closed.built {
            let tool = self.tool(context, *index)?;
            spec.upstream.insert(tools_slot().join(&tool.name), tool.entry.clone());
        }
        closed.settings(spec);
        let programs = self.programs(context, closed)?;
        spec.tools.extend(programs.identities(&context.workspace.snapshot)?);
        Ok(programs.of_others())
    }

    /// Returns the programs that a step with a key sees.
    fn programs(&self, context: &StepContext<'_>, closed: &Closed) -> Result<Tools, StepError> {
        self.programs_with(context, &closed.tools)
    }

    /// Returns the program that it starts, if it is one of the machine, and `others`.
    fn programs_with(&self, context: &StepContext<'_>, others: &[String]) -> Result<Tools, StepError> {
        let is_built = self.own_program().is_some()
            || self.tools.iter().any(|(position, _)| *position == 0)
            || (self.go.is_some() && self.command[0] == "go");
        let started = if is_built { None } else { Some((self.command[0].as_str(), self.program(context)?)) };
        Tools::find(others, started, &self.path, &self.directory)
    }

    /// Returns the PATH of a step that always runs: the project's own Go, then the caller's.
    fn open_path(&self, context: &StepContext<'_>) -> Option<String> {
        let (go, is_named) = self.own_go.as_ref()?;
        let found = if *is_named { go.toolchain(context).map(Some) } else { go.installed(context) };
        let toolchain = found.unwrap_or_else(|error| {
            context.warn(format!("the project's Go is not on PATH: {error}"));
            None
        });
        toolchain.map(|toolchain| format!("{}:{}", toolchain.root.join("bin").display(), self.path))
    }

    /// Makes the surroundings of a run with a key. `root` is GOROOT, for a step with Go.
    fn enter(&self, spec: &ActionSpec, job: &Job<'_>) -> Result<Option<Surroundings>, StepError> {
        let Some(closed) = &self.closed else { return Ok(None) };
        let tools = self.programs(job, closed)?;
        let (mut programs, mut others) = (None, Vec::new());
        if let Some((go, _)) = &self.go {
            let toolchain = go.toolchain(job)?;
            others = go.places(&toolchain);
            programs = Some(toolchain.root.join("bin"));
        }
        let made: Vec<&Artefact> = job.upstream.iter().flat_map(|upstream| &upstream.artefacts).collect();
        for output in &self.outputs_used {
            others.extend(output_directories(&output.path(job)?, &made));
        }
        closed.enter(spec, job, &tools, programs.as_deref(), others).map(Some)
    }

    /// Returns what to write if a `go` of the command wants modules, for which it has no proxy unless one is passed.
    fn missing_proxy(&self, error: &StepError, around: Option<&Surroundings>) -> Option<String> {
        let StepError::Command { output, .. } = error else { return None };
        let is_off = output.iter().any(|line| line.contains("disabled by GOPROXY=off"));
        if !is_off || self.passed.iter().any(|(name, _)| name == "GOPROXY") {
            return None;
        }
        let is_cut_off = around.and_then(|around| around.sandbox.as_ref()).is_some_and(|sandbox| !sandbox.network);
        let network = if is_cut_off { "`network: true` and " } else { "" };
        Some(format!("a command's `go` fetches no modules: add {network}`pass_env: [\"GOPROXY\"]` if it is to"))
    }

    fn is_directory(&self, path: &RelativePath) -> bool {
        self.outputs.iter().any(|(other, _, kind)| other == path && *kind == OutputKind::Directory)
    }
}

impl ExecStep {
    /// Prepares a program that goes on. In the background it stays if it was started from the same.
    fn prepare_service(
        &self,
        service: &ServicePlan,
        context: &Query<'_>,
        mut spec: ActionSpec,
    ) -> Result<Prepared, StepError> {
        let always = |spec, why: &str| Ok(Prepared { spec, freshness: Freshness::always(why), findings: () });
        if !service.is_detached {
            return always(spec, "it runs until it is stopped");
        }
        if self.has_arguments {
            return Ok(Prepared { spec, freshness: Freshness::always(Reason::GIVEN_ARGUMENTS), findings: () });
        }
        if self.env.iter().any(|(_, value)| matches!(value, EnvironmentValue::Secret(_))) {
            return always(spec, "its environment holds a secret, which nothing keeps");
        }
        self.identities(context, &mut spec)?;
        let programs = self.programs_with(context, &[])?;
        spec.tools.extend(programs.identities(&context.workspace.snapshot)?);
        if let Some(inputs) = &self.inputs {
            spec.inputs = inputs.hash(&self.root, &context.workspace.snapshot)?;
        }
        spec.inputs.watch_beside(programs.of_others());
        // What it reads otherwise can't be told, and was not declared.
        if let Some(why) = spec.inputs.blind_spot() {
            return always(spec, &why);
        }
        let key = key_of(&spec)?;
        let freshness = match Record::read(&service.place(context)) {
            Some(record) if record.is_running() && record.ends_soon() => {
                Freshness::not_present("what runs ends with the watch that has started it")
            }
            Some(record) if record.is_ready() && record.key == key => match service.is_reached(&record) {
                true => Freshness::UpToDate(rondel_engine::Metadata::default()),
                false => Freshness::not_present("the address of its proxy is not held"),
            },
            Some(record) if record.is_running() => Freshness::not_present("what runs was started from something else"),
            Some(_) | None => Freshness::not_present("it does not run"),
        };
        Ok(Prepared { spec, freshness, findings: () })
    }
}

impl Step for ExecStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec {
            arguments: self.keyed_words(context)?,
            environment: self.environment(Path::new("/"), None),
            ..ActionSpec::default()
        };
        spec.settings.insert("directory".to_owned(), self.directory_key.clone());
        self.add_late(context, &mut spec.environment)?;
        for output in &self.outputs_used {
            output.add_to(context, &mut spec)?;
        }
        spec.outputs = self.tree_outputs();
        if let Some(service) = &self.service {
            return self.prepare_service(service, context, spec);
        }
        let Some(inputs) = &self.inputs else {
            spec.outputs.clear();
            let why = if self.is_interactive { "it is interactive" } else { "it declares no inputs" };
            return Ok(Prepared { spec, freshness: Freshness::always(why), findings: () });
        };
        if self.has_arguments {
            spec.outputs.clear();
            return Ok(Prepared { spec, freshness: Freshness::always(Reason::GIVEN_ARGUMENTS), findings: () });
        }
        let programs = self.identities(context, &mut spec)?;
        spec.inputs = inputs.hash(&self.root, &context.workspace.snapshot)?;
        spec.inputs.watch_beside(programs);
        let has_secret = self.env.iter().any(|(_, value)| matches!(value, EnvironmentValue::Secret(_)));
        let freshness = if has_secret && !self.secret_is_not_keyed {
            Freshness::always("its environment holds a secret, which is in no key")
        } else {
            Freshness::of(&spec.inputs)
        };
        Ok(Prepared { spec, freshness, findings: () })
    }

    fn tree_access(&self) -> TreeAccess {
        if self.outputs.is_empty() { TreeAccess::MayWrite } else { TreeAccess::MakesOutputs }
    }

    fn tree_outputs(&self) -> Vec<OutputSpec> {
        let spec = |(path, destination, kind): &(RelativePath, RelativePath, OutputKind)| OutputSpec {
            name: path.clone(),
            destination: destination.clone(),
            kind: *kind,
        };
        self.outputs.iter().map(spec).collect()
    }

    fn run(&self, prepared: &Prepared<Self::Findings>, context: &Job<'_>) -> Result<Report, StepError> {
        let (spec, staging) = (&prepared.spec, context.staging);
        let mut program = self.program(context)?;
        let around = self.enter(spec, context)?;
        // In a working tree, the project's own outputs are out of reach.
        let (mut base, mut directory) = (self.root.clone(), self.directory.clone());
        if let (Some(around), Some(closed)) = (&around, &self.closed) {
            (base, directory) = (around.root(closed).to_owned(), around.directory(closed));
            program = Some(around.in_tree(closed, &program)).filter(|place| place.is_file()).unwrap_or(program);
        }
        let root = match &self.go {
            Some((go, _)) => go.toolchain(context)?.root,
            None => PathBuf::from("/"),
        };
        let mut environment = self.environment(&root, around.as_ref());
        self.add_late(context, &mut environment)?;
        if let Some(path) = self.open_path(context).filter(|_| around.is_none()) {
            environment.set(Class::Located, "PATH", path);
        }
        let words = self.words(context)?;
        let mut line = CommandLine::new(program, &directory)
            .arguments(words[1..].iter().cloned())
            .environment(environment.for_process());
        line.secret_names = environment.secret_names();
        line.is_merged = !self.is_captured;
        line.sandbox = around.as_ref().and_then(|around| around.sandbox.clone());
        if let Some(service) = &self.service {
            return service.run(&line, hidden_values(&self.env), prepared, context);
        }
        let outcome = if self.is_interactive { context.run_in_foreground(&line) } else { context.run(&line) };
        outcome.map_err(|error| match (self.missing_proxy(&error, around.as_ref()), &self.closed, &around) {
            (Some(hint), _, _) => error.hint(hint),
            (None, Some(closed), Some(around)) => closed.explain(error, around),
            (None, _, _) => error,
        })?;
        for path in spec.outputs.iter().map(|output| &output.name) {
            let from = path.below(&base);
            let (is_there, wanted_directory) = (from.exists(), self.is_directory(path));
            if !is_there || from.is_dir() != wanted_directory {
                let what = if wanted_directory { "directory" } else { "file" };
                return Err(StepError::failed(format!("the command did not make its output `{path}`, a {what}"))
                    .hint("correct `outputs`: they are relative to `root`, and a directory ends with `/`"));
            }
            copy_tree(&from, &path.below(staging)).map_err(|error| StepError::unwritable(&from, &error))?;
        }
        Ok(Report::default())
    }
}

/// Returns where tools of the module stand in a key.
fn tools_slot() -> RelativePath {
    RelativePath::new("tools").expect("a name")
}

/// Returns what helps where the program of a command is missing.
pub(super) fn missing_hint(error: &ToolMissing, program: &str) -> String {
    let words: Vec<String> = program.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    if words.len() > 1 {
        return format!("each word is a text of its own: `[{}]`", words.join(", "));
    }
    error.hint("install it, or correct `command`")
}
