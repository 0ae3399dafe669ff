//! `GoTest`: tests of packages.
//!
//! A test is made of the closure of its package, which may reach outside of the root: through replacements by
//! directories, and members of a go.work. Besides, it may read any file, so everything below the root is its input unless
//! `inputs` says less. The wider key costs some unneeded runs. Go's own test cache makes those short.

use std::path::Path;

use rondel_engine::{
    ActionSpec, Class, DeclaredInputs, Environment, EnvironmentValue, Freshness, Input, Job, OutputRole, OutputUse,
    Prepared, Query, Report, Step, StepContext, StepError, TreeAccess,
};
use rondel_process::CommandLine;

use crate::closure::Closure;
use crate::module_download::check_modules;
use crate::packages::GoPackages;

/// `go test` of some packages, all texts resolved.
pub struct GoTestStep {
    /// What is tested.
    pub packages: GoPackages,
    /// `-run`
    pub run: Option<String>,
    /// `-short`
    pub short: bool,
    /// `-timeout`
    pub timeout: Option<String>,
    /// Declared variables.
    pub env: Vec<(String, EnvironmentValue)>,
    /// Globs of the files that the tests may read.
    pub inputs: DeclaredInputs,
    /// Outputs of other targets among inputs and variables.
    pub outputs_used: Vec<OutputUse>,
    /// Arguments after `--` on the command line.
    pub arguments: Vec<String>,
}

impl GoTestStep {
    fn environment(&self, root: &Path) -> Environment {
        let go = &self.packages.go;
        let mut environment = go.compile_environment(root, &self.packages.platform);
        // Tests start programs; the machine decides which exist.
        let path = format!("{}:{}", root.join("bin").display(), go.caller("PATH").unwrap_or_default());
        environment.set(Class::Located, "PATH", path);
        if let Some(c) = &self.packages.c {
            c.set(root, &mut environment);
        }
        for (name, value) in &self.env {
            match value {
                // The go command's own setting stays in force beside a declared one.
                EnvironmentValue::Plain(value) if name == "GODEBUG" => {
                    environment.set(Class::Keyed, name, format!("{value},goindex=0"));
                }
                EnvironmentValue::Plain(value) => environment.set(Class::Keyed, name, value),
                EnvironmentValue::Secret(value) => environment.set(Class::Secret, name, value),
            }
        }
        environment
    }

    /// Adds the paths of outputs of other targets.
    fn add_outputs(&self, context: &StepContext<'_>, environment: &mut Environment) -> Result<(), StepError> {
        for output in &self.outputs_used {
            if let OutputRole::Variable(name) = &output.role {
                environment.set(Class::Located, name, output.path(context)?.display().to_string());
            }
        }
        Ok(())
    }
}

impl GoTestStep {
    /// Returns the command line. Paths in the test binaries are real: tests find fixtures by them.
    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["go", "test", "-buildvcs=false"].map(str::to_owned).to_vec();
        arguments.extend(self.packages.selecting_flags());
        if self.short {
            arguments.push("-short".to_owned());
        }
        for (flag, value) in [("-run", &self.run), ("-timeout", &self.timeout)] {
            if let Some(value) = value {
                arguments.push(format!("{flag}={value}"));
            }
        }
        arguments.extend(self.packages.patterns.iter().cloned());
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }

    fn prepare_with(&self, query: &Query<'_>, former: Option<Closure>) -> Result<Prepared<Option<Closure>>, StepError> {
        let go = &self.packages.go;
        let mut spec = ActionSpec { arguments: self.arguments(), ..ActionSpec::default() };
        if let Some(c) = &self.packages.c {
            match c.digest(query)? {
                Ok(digest) => spec.tools.insert("C compiler".to_owned(), digest),
                Err(what) => return Ok(Prepared { spec, freshness: Freshness::not_present(what), findings: None }),
            };
        }
        spec.environment = self.environment(Path::new("/"));
        self.add_outputs(query, &mut spec.environment)?;
        for output in &self.outputs_used {
            output.add_to(query, &mut spec)?;
        }
        let identity = go.identity(query)?;
        let mut closure = match self.packages.closure(query, former, &identity)? {
            Ok(closure) => closure,
            Err(why) => return Ok(Prepared { spec, freshness: Freshness::not_present(why), findings: None }),
        };
        spec.tools.insert("go".to_owned(), identity);
        let read = closure.inputs()?;
        go.remember(query, &self.packages.key, &mut closure);
        spec.inputs = self.inputs.hash(&go.module, &query.workspace.snapshot)?;
        // Those below the root that `inputs` leaves out count too: the test is made of them.
        let globs = self.inputs.globs();
        let is_known = |input: &Input| {
            let below = input.absolute.strip_prefix(&go.module).ok().and_then(Path::to_str);
            below.is_some_and(|below| globs.matches(below))
        };
        for input in read.iter().filter(|input| !is_known(input)) {
            spec.inputs.insert(input);
        }
        let freshness = self.freshness(&spec, &closure);
        Ok(Prepared { spec, freshness, findings: Some(closure) })
    }

    fn freshness(&self, spec: &ActionSpec, closure: &Closure) -> Freshness {
        if self.env.iter().any(|(_, value)| matches!(value, EnvironmentValue::Secret(_))) {
            return Freshness::always("its environment holds a secret, which is in no key");
        }
        if !self.arguments.is_empty() {
            return Freshness::always("it was given arguments");
        }
        closure.untracked.clone().map_or_else(|| Freshness::of(&spec.inputs), Freshness::always)
    }
}

impl Step for GoTestStep {
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
        TreeAccess::MayWrite
    }

    fn run(&self, prepared: &Prepared<Option<Closure>>, job: &Job<'_>) -> Result<Report, StepError> {
        let (spec, go) = (&prepared.spec, &self.packages.go);
        job.prerequisites()?;
        let toolchain = go.toolchain(job)?;
        if let Some(closure) = &prepared.findings {
            check_modules(go, job, &closure.modules)?;
        }
        let mut environment = self.environment(&toolchain.root);
        self.add_outputs(job, &mut environment)?;
        let mut arguments = spec.arguments[1..].to_vec();
        let c_identity = spec.tools.get("C compiler").map_or("", String::as_str);
        self.packages.mark(prepared.findings.as_ref(), c_identity, job, &mut environment, &mut arguments)?;
        let mut line =
            CommandLine::new(toolchain.go(), &go.module).arguments(arguments).environment(environment.for_process());
        line.secret_names = environment.secret_names();
        job.run(&line)?;
        Ok(Report::default())
    }
}
