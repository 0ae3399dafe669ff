//! `GoModTidyStep`: `go mod tidy`, as a change or as a check.

use std::path::Path;
use std::sync::Arc;

use rondel_cas::{TEXT_MAX, read_text_at_most};
use rondel_engine::{
    ActionSpec, Class, Environment, Freshness, Job, Prepared, Query, Report, Step, StepError, TreeAccess,
};
use rondel_process::CommandLine;

use crate::environment::turn_index_off;
use crate::go_mod::GoMod;
use crate::module_download::download_environment;
use crate::module_files::ModuleFiles;
use crate::readable::module_text;
use crate::support::GoSupport;

/// Number of lines of a difference that are shown.
const LINES_MAX: usize = 40;
/// The files that tidying changes.
const FILES: [&str; 2] = ["go.mod", "go.sum"];

/// The module's requirements.
pub struct GoModTidyStep {
    /// The toolchain, and how modules are reached.
    pub go: Arc<GoSupport>,
    /// What imports.
    pub files: ModuleFiles,
    /// True to change nothing.
    pub check: bool,
}

impl GoModTidyStep {
    fn environment(&self, root: &Path) -> Result<Environment, StepError> {
        let mut environment = self.go.compile_environment(root, &self.go.own_platform().map_err(StepError::User)?);
        turn_index_off(&mut environment);
        // The requirements are those of the module, whatever workspace it is in.
        environment.set(Class::Keyed, "GOWORK", "off");
        environment.set(Class::Keyed, "GOFLAGS", "-mod=mod");
        Ok(environment)
    }

    fn tidy(&self, flags: Vec<String>, job: &Job<'_>) -> Result<(), StepError> {
        let toolchain = self.go.toolchain(job)?;
        let environment = self.environment(&toolchain.root)?;
        let (environment, secret_names) = download_environment(&self.go, &toolchain, environment);
        let arguments = ["mod", "tidy"].map(str::to_owned).into_iter().chain(flags);
        let mut line = CommandLine::new(toolchain.go(), &self.go.module).arguments(arguments).environment(environment);
        line.secret_names = secret_names;
        job.run(&line)
    }

    fn text(&self, directory: &Path, name: &str) -> Result<Option<String>, StepError> {
        module_text(&directory.join(name)).map_err(StepError::User)
    }

    /// Tidies a copy in the staging directory and compares it.
    fn compare(&self, job: &Job<'_>) -> Result<(), StepError> {
        let write = |name: &str, text: &str| {
            let path = job.staging.join(name);
            std::fs::write(&path, text).map_err(|error| StepError::unwritable(&path, &error))
        };
        for name in FILES {
            if let Some(text) = self.text(&self.go.module, name)? {
                write(name, &text)?;
            }
        }
        self.tidy(vec![format!("-modfile={}", job.staging.join("go.mod").display())], job)?;
        let mut lines = Vec::new();
        for name in FILES {
            let (old, new) = (self.text(&self.go.module, name)?, self.text(job.staging, name)?);
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            if old != new {
                let gone = old.lines().filter(|line| !new.lines().any(|other| other == *line));
                let come = new.lines().filter(|line| !old.lines().any(|other| other == *line));
                lines.push(name.to_owned());
                lines.extend(gone.map(|line| format!("  - {}", line.trim())));
                lines.extend(come.map(|line| format!("  + {}", line.trim())));
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        if more > 0 {
            lines.push(format!("  and {more} more lines"));
        }
        Err(StepError::failed(format!("go.mod and go.sum are not tidy\n{}", lines.join("\n")))
            .hint("`go mod tidy` mends that; so does a `GoModTidy` without `check`"))
    }

    /// Returns why the files of the module alone don't decide what is tidy.
    fn blind_spot(&self) -> Option<String> {
        let text = read_text_at_most(&self.go.module.join("go.mod"), TEXT_MAX).ok()?;
        let replaced = GoMod::parse(&text).replaced_by;
        replaced.first().map(|(module, by)| format!("go.mod replaces `{module}` by the directory `{by}`"))
    }
}

impl Step for GoModTidyStep {
    type Findings = ();

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec {
            arguments: ["go", "mod", "tidy"].map(str::to_owned).to_vec(),
            environment: self.environment(Path::new("/"))?,
            ..ActionSpec::default()
        };
        spec.tools.insert("go".to_owned(), self.go.identity(query)?);
        spec.inputs = self.files.inputs.hash(&self.files.root, &query.workspace.snapshot)?;
        let freshness = match (self.check, self.blind_spot()) {
            (false, _) => Freshness::always("it changes files of the tree"),
            (true, Some(why)) => Freshness::always(why),
            (true, None) => Freshness::of(&spec.inputs),
        };
        Ok(Prepared { spec, freshness, findings: () })
    }

    fn tree_access(&self) -> TreeAccess {
        if self.check { TreeAccess::Reads } else { TreeAccess::MayWrite }
    }

    fn run(&self, _prepared: &Prepared, job: &Job<'_>) -> Result<Report, StepError> {
        if self.check {
            self.compare(job)?
        } else {
            self.tidy(Vec::new(), job)?
        }
        Ok(Report::default())
    }
}
