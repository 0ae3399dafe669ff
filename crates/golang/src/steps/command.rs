//! `GoCommandStep`: a go command that looks at packages and makes nothing, `go vet` for example. It runs again only when
//! a file of the packages or of what they import has changed.

use rondel_engine::{ActionSpec, Job, Prepared, Query, Report, Step, StepError};

use crate::closure::Closure;
use crate::packages::GoPackages;

/// One command on one platform, all texts resolved.
pub struct GoCommandStep {
    /// What it looks at.
    pub packages: GoPackages,
    /// The word after `go`: `vet`.
    pub subcommand: &'static str,
    /// Flags of the command's own.
    pub flags: Vec<String>,
}

impl GoCommandStep {
    fn describe(&self, spec: &mut ActionSpec) {
        spec.arguments = vec!["go".to_owned(), self.subcommand.to_owned()];
        spec.arguments.extend(self.packages.selecting_flags());
        spec.arguments.extend(self.flags.iter().cloned());
        spec.arguments.push("--".to_owned());
        spec.arguments.extend(self.packages.patterns.iter().cloned());
    }

    fn prepare_with(&self, query: &Query<'_>, former: Option<Closure>) -> Result<Prepared<Option<Closure>>, StepError> {
        self.packages.prepare(query, former, &|spec, _| {
            self.describe(spec);
            Ok(())
        })
    }
}

impl Step for GoCommandStep {
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

    fn run(&self, prepared: &Prepared<Option<Closure>>, job: &Job<'_>) -> Result<Report, StepError> {
        job.prerequisites()?;
        self.packages.run(prepared, job, prepared.spec.arguments[1..].iter().cloned())?;
        Ok(Report::default())
    }
}
