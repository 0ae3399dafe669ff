//! The health probe: a small static program for images that have no shell and no curl.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rondel_cas::{Digest, RelativePath};
use rondel_engine::{ActionSpec, Class, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError};
use rondel_names::Platform;
use rondel_process::CommandLine;

use crate::environment::turn_index_off;
use crate::support::GoSupport;

/// Path of the probe in an image.
pub const PROBE_PATH: &str = "rondel-probe";

const SOURCE: &str = include_str!("probe.go.txt");
const GO_MOD: &str = "module rondel.invalid/probe\n\ngo 1.20\n";

/// Compiles the health probe for one platform.
pub struct ProbeStep {
    /// The toolchain and its settings.
    pub go: Arc<GoSupport>,
    /// The target platform.
    pub platform: Platform,
}

impl ProbeStep {
    fn environment(&self, root: &Path) -> rondel_engine::Environment {
        let mut environment = self.go.compile_environment(root, &self.platform);
        // The probe is a module of its own.
        environment.set(Class::Keyed, "GOWORK", "off");
        environment
    }
}

impl Step for ProbeStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = RelativePath::new("probe").expect("a constant");
        let platform = self.platform.directory_name();
        let destination = RelativePath::new(&format!(".rondel/out/probe/{platform}")).expect("a platform's name");
        let spec = ActionSpec {
            arguments: [
                "go",
                "build",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags=-s -w -buildid=",
                "-o",
                "{out}/probe",
                ".",
            ]
            .map(str::to_owned)
            .to_vec(),
            environment: self.environment(Path::new("/")),
            settings: BTreeMap::from([
                ("platform".to_owned(), self.platform.to_string()),
                ("source of the probe".to_owned(), Digest::of(format!("{GO_MOD}{SOURCE}").as_bytes()).to_string()),
            ]),
            tools: BTreeMap::from([("go".to_owned(), self.go.identity(context)?)]),
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, prepared: &Prepared<Self::Findings>, context: &Job<'_>) -> Result<Report, StepError> {
        let (spec, staging) = (&prepared.spec, context.staging);
        let toolchain = self.go.toolchain(context)?;
        let source = staging.join("source");
        let write = |name: &str, text: &str| {
            let path = source.join(name);
            std::fs::create_dir_all(&source)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| StepError::unwritable(&path, &error))
        };
        write("main.go", SOURCE)?;
        write("go.mod", GO_MOD)?;
        let out = staging.join("probe").display().to_string();
        let arguments = spec.arguments[1..]
            .iter()
            .map(|argument| if argument.starts_with("{out}") { out.clone() } else { argument.clone() });
        let mut environment = self.environment(&toolchain.root);
        turn_index_off(&mut environment);
        let line =
            CommandLine::new(toolchain.go(), &source).arguments(arguments).environment(environment.for_process());
        context.run(&line)?;
        Ok(Report::default())
    }
}
