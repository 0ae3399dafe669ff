//! `GoTest`: tests of packages.
//!
//! A test may read any file, so everything below the root is its input unless `inputs` says less. What the
//! wider key costs in unneeded runs, Go's own test cache gives back: it answers in a moment where it can.

use std::path::Path;
use std::sync::Arc;

use rondel_engine::{
    ActionSpec, Class, Environment, Freshness, GlobSet, Plan, Reason, RunReport, Step, StepContext, StepError,
};
use rondel_golang::compile_environment;
use rondel_process::{CommandLine, find_tool};

use crate::go_support::GoSupport;
use crate::variables::EnvironmentValue;

pub(crate) struct GoTestStep {
    pub go: Arc<GoSupport>,
    pub packages: Vec<String>,
    pub race: bool,
    pub tags: Vec<String>,
    pub run: Option<String>,
    pub short: bool,
    pub timeout: Option<String>,
    pub env: Vec<(String, EnvironmentValue)>,
    pub inputs: GlobSet,
    /// What stood after `--` on the command line.
    pub arguments: Vec<String>,
}

impl GoTestStep {
    fn environment(&self, root: &Path) -> Environment {
        let host = rondel_golang::Host::current();
        let mut environment = compile_environment(root, &self.go.directories, &host.os, &host.architecture);
        // Tests start programs; which ones are there is the machine's affair.
        let path = format!("{}:{}", root.join("bin").display(), self.go.caller("PATH").unwrap_or_default());
        environment.set(Class::Located, "PATH", path);
        if self.race {
            environment.set(Class::Keyed, "CGO_ENABLED", "1");
        }
        for (name, value) in &self.env {
            match value {
                EnvironmentValue::Plain(value) => environment.set(Class::Keyed, name, value),
                EnvironmentValue::Secret(value) => environment.set(Class::Secret, name, value),
            }
        }
        environment
    }

    /// The C compiler that the race detector links with.
    fn compiler(&self, context: &StepContext<'_>) -> Result<String, StepError> {
        let path = self.go.caller("PATH").unwrap_or_default();
        let compiler = find_tool("gcc", &path, &self.go.module).or_else(|_| find_tool("cc", &path, &self.go.module));
        let compiler = compiler.map_err(|_| {
            StepError::environment("`race: true` needs a C compiler, and neither `gcc` nor `cc` is on PATH")
                .hint("install gcc, or write `race: false`")
        })?;
        let metadata = std::fs::metadata(&compiler).map_err(|error| StepError::unreadable(&compiler, &error))?;
        let digest = context.workspace.snapshot.digest(&compiler, &metadata);
        Ok(digest.map_err(|error| StepError::unreadable(&compiler, &error))?.to_string())
    }
}

impl Step for GoTestStep {
    fn prepare(&self, context: &StepContext<'_>) -> Result<Plan, StepError> {
        let mut spec = ActionSpec {
            arguments: ["go", "test", "-trimpath", "-buildvcs=false"].map(str::to_owned).to_vec(),
            ..ActionSpec::default()
        };
        spec.arguments.push(self.go.mod_flag());
        if self.race {
            spec.arguments.push("-race".to_owned());
            spec.tools.insert("cc".to_owned(), self.compiler(context)?);
        }
        if self.short {
            spec.arguments.push("-short".to_owned());
        }
        if !self.tags.is_empty() {
            spec.arguments.push(format!("-tags={}", self.tags.join(",")));
        }
        for (flag, value) in [("-run", &self.run), ("-timeout", &self.timeout)] {
            if let Some(value) = value {
                spec.arguments.push(format!("{flag}={value}"));
            }
        }
        spec.arguments.extend(self.packages.iter().cloned());
        spec.arguments.extend(self.arguments.iter().cloned());
        spec.environment = self.environment(Path::new("/"));
        if self.env.iter().any(|(_, value)| matches!(value, EnvironmentValue::Secret(_))) {
            let why = "its environment holds a secret, which is in no key".to_owned();
            return Ok(Plan { spec, freshness: Freshness::Run(vec![Reason::Always { why }]) });
        }
        if !self.arguments.is_empty() {
            let why = "it was given arguments".to_owned();
            return Ok(Plan { spec, freshness: Freshness::Run(vec![Reason::Always { why }]) });
        }
        spec.tools.insert("go".to_owned(), self.go.identity(context)?);
        spec.inputs = self.inputs.collect(&self.go.module, None, &context.workspace.snapshot)?;
        Ok(Plan { spec, freshness: Freshness::ByKey })
    }

    fn run(&self, context: &StepContext<'_>, spec: &ActionSpec, _staging: &Path) -> Result<RunReport, StepError> {
        context.prerequisites()?;
        let toolchain = self.go.toolchain(context)?;
        let environment = self.environment(&toolchain.root);
        let mut line = CommandLine::new(toolchain.go(), &self.go.module)
            .arguments(spec.arguments[1..].iter().cloned())
            .environment(environment.for_process());
        line.secret_names = environment.secret_names();
        context.run(&line)?;
        Ok(RunReport::default())
    }
}
