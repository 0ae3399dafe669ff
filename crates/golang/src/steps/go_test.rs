//! `GoTest`: tests of packages.
//!
//! A test may read any file, so everything below the root is its input unless `inputs` says less. The wider key costs
//! some unneeded runs. Go's own test cache makes those short.

use std::path::Path;
use std::sync::Arc;

use rondel_engine::{
    ActionSpec, Class, DeclaredInputs, Environment, Freshness, Job, OutputRole, OutputUse, Prepared, Query, Report,
    Step, StepContext, StepError, TreeAccess,
};
use rondel_names::Platform;
use rondel_process::CommandLine;

use crate::cgo::CSupport;
use crate::support::GoSupport;
use rondel_engine::EnvironmentValue;

/// `go test` of some packages, all texts resolved.
pub struct GoTestStep {
    /// The toolchain and its settings.
    pub go: Arc<GoSupport>,
    /// This machine's platform.
    pub platform: Platform,
    /// Package patterns.
    pub packages: Vec<String>,
    /// Set for the race detector, which links with C.
    pub race: Option<CSupport>,
    /// Build tags.
    pub tags: Vec<String>,
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
        let mut environment = self.go.compile_environment(root, &self.platform);
        // Tests start programs; the machine decides which exist.
        let path = format!("{}:{}", root.join("bin").display(), self.go.caller("PATH").unwrap_or_default());
        environment.set(Class::Located, "PATH", path);
        if let Some(c) = &self.race {
            c.set(root, &mut environment);
        }
        for (name, value) in &self.env {
            match value {
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

impl Step for GoTestStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec {
            arguments: ["go", "test", "-trimpath", "-buildvcs=false"].map(str::to_owned).to_vec(),
            ..ActionSpec::default()
        };
        if let Some(c) = &self.race {
            spec.arguments.push("-race".to_owned());
            match c.digest(context)? {
                Ok(digest) => spec.tools.insert("C compiler".to_owned(), digest),
                Err(what) => {
                    let freshness = Freshness::not_present(what);
                    return Ok(Prepared { spec, freshness, findings: () });
                }
            };
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
        self.add_outputs(context, &mut spec.environment)?;
        for output in &self.outputs_used {
            output.add_to(context, &mut spec)?;
        }
        if self.env.iter().any(|(_, value)| matches!(value, EnvironmentValue::Secret(_))) {
            let freshness = Freshness::always("its environment holds a secret, which is in no key");
            return Ok(Prepared { spec, freshness, findings: () });
        }
        if !self.arguments.is_empty() {
            return Ok(Prepared { spec, freshness: Freshness::always("it was given arguments"), findings: () });
        }
        spec.tools.insert("go".to_owned(), self.go.identity(context)?);
        spec.inputs = self.inputs.hash(&self.go.module, &context.workspace.snapshot)?;
        let freshness = Freshness::of(&spec.inputs);
        Ok(Prepared { spec, freshness, findings: () })
    }

    fn tree_access(&self) -> TreeAccess {
        TreeAccess::MayWrite
    }

    fn run(&self, prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let spec = &prepared.spec;
        context.prerequisites()?;
        let toolchain = self.go.toolchain(context)?;
        let mut environment = self.environment(&toolchain.root);
        self.add_outputs(context, &mut environment)?;
        if self.race.is_some() {
            CSupport::mark(&mut environment, &[], spec.tools.get("C compiler").map_or("", String::as_str), &[]);
        }
        let mut line = CommandLine::new(toolchain.go(), &self.go.module)
            .arguments(spec.arguments[1..].iter().cloned())
            .environment(environment.for_process());
        line.secret_names = environment.secret_names();
        context.run(&line)?;
        Ok(Report::default())
    }
}
