//! `GoFmtStep`: `gofmt` over the files of the module, as a change or as a check.

use std::path::Path;
use std::sync::Arc;

use rondel_engine::{ActionSpec, Environment, Freshness, Job, Prepared, Query, Report, Step, StepError, TreeAccess};
use rondel_process::CommandLine;

use crate::module_files::ModuleFiles;
use crate::support::GoSupport;

/// Files of one command line.
const FILES_AT_ONCE: usize = 500;
/// Number of files that an error names.
const NAMED_MAX: usize = 20;

/// The module's files.
pub struct GoFmtStep {
    /// The toolchain.
    pub go: Arc<GoSupport>,
    /// What is formatted.
    pub files: ModuleFiles,
    /// True to change nothing.
    pub check: bool,
    /// True for `-s`.
    pub simplify: bool,
}

impl GoFmtStep {
    fn environment(&self, root: &Path) -> Result<Environment, StepError> {
        Ok(self.go.compile_environment(root, &self.go.own_platform().map_err(StepError::User)?))
    }
}

impl Step for GoFmtStep {
    type Findings = ();

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec { arguments: vec!["gofmt".to_owned(), "-l".to_owned()], ..ActionSpec::default() };
        spec.arguments.extend(self.simplify.then(|| "-s".to_owned()));
        spec.tools.insert("go".to_owned(), self.go.identity(query)?);
        spec.inputs = self.files.inputs.hash(&self.files.root, &query.workspace.snapshot)?;
        let freshness =
            if self.check { Freshness::of(&spec.inputs) } else { Freshness::always("it formats files of the tree") };
        Ok(Prepared { spec, freshness, findings: () })
    }

    fn tree_access(&self) -> TreeAccess {
        if self.check { TreeAccess::Reads } else { TreeAccess::MayWrite }
    }

    fn run(&self, prepared: &Prepared, job: &Job<'_>) -> Result<Report, StepError> {
        let toolchain = self.go.toolchain(job)?;
        let environment = self.environment(&toolchain.root)?.for_process();
        let files = self.files.sources(prepared.spec.inputs.iter().map(|input| input.path));
        let mut found = Vec::new();
        for files in files.chunks(FILES_AT_ONCE) {
            let mut arguments = prepared.spec.arguments[1..].to_vec();
            arguments.extend((!self.check).then(|| "-w".to_owned()));
            // A name that begins with a dash is no flag.
            arguments.extend(files.iter().map(|file| format!("./{file}")));
            let line = CommandLine::new(toolchain.root.join("bin/gofmt"), &self.files.root)
                .arguments(arguments)
                .environment(environment.clone());
            let captured = job.capture(&line)?;
            let lines = String::from_utf8_lossy(&captured.stdout).into_owned();
            found.extend(lines.lines().map(|line| line.trim_start_matches("./").to_owned()));
        }
        if self.check && !found.is_empty() {
            let more = found.len().saturating_sub(NAMED_MAX);
            let mut message = match found.len() {
                1 => "1 file is not formatted".to_owned(),
                count => format!("{count} files are not formatted"),
            };
            found.iter().take(NAMED_MAX).for_each(|file| message.push_str(&format!("\n  {file}")));
            if more > 0 {
                message.push_str(&format!("\n  and {more} more"));
            }
            return Err(
                StepError::failed(message).hint("`gofmt -w FILE` formats one; so does a `GoFmt` without `check`")
            );
        }
        for file in &found {
            job.note(format!("formatted {file}"));
        }
        Ok(Report::default())
    }
}
