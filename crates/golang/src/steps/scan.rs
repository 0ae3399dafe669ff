//! `ScanStep`: `govulncheck` about the packages of a build, whose findings are kept as a result. Whether one of them counts is
//! another's to say: a scan with findings is no failure.

use std::fs;

use rondel_cas::RelativePath;
use rondel_engine::{Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError};

use crate::closure::Closure;
use crate::steps::checker::CheckerStep;
use crate::vulnerabilities::{VULNERABILITIES_FORMAT, Vulnerability};

/// The file of the findings.
const NAME: &str = "vulnerabilities.json";

/// A scan of packages.
pub struct ScanStep {
    /// The program, with arguments for output in JSON.
    pub checker: CheckerStep,
    /// Name of the place among Rondel's own results, unique in the workspace.
    pub place: String,
}

impl ScanStep {
    fn with_output(&self, mut prepared: Prepared<Option<Closure>>) -> Result<Prepared<Option<Closure>>, StepError> {
        prepared.spec.settings.insert("findings".to_owned(), VULNERABILITIES_FORMAT.to_owned());
        let name = RelativePath::new(NAME).expect("a constant");
        let destination = RelativePath::new(&format!(".rondel/out/vulnerabilities/{}/{NAME}", self.place));
        let destination = destination.map_err(|error| StepError::failed(error.to_string()))?;
        prepared.spec.outputs = vec![OutputSpec { name, destination, kind: OutputKind::File }];
        Ok(prepared)
    }
}

impl Step for ScanStep {
    type Findings = Option<Closure>;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Option<Closure>>, StepError> {
        self.with_output(self.checker.prepare(query)?)
    }

    fn review(
        &self,
        query: &Query<'_>,
        former: &Prepared<Option<Closure>>,
    ) -> Result<Prepared<Option<Closure>>, StepError> {
        self.with_output(self.checker.review(query, former)?)
    }

    fn run(&self, prepared: &Prepared<Option<Closure>>, job: &Job<'_>) -> Result<Report, StepError> {
        let line = self.checker.command(prepared, job)?;
        let said = job.capture(&line).map_err(|error| error.hint(self.checker.hint))?.stdout;
        let found = Vulnerability::all_of(&said).map_err(|error| {
            StepError::failed(format!("what `govulncheck` says is not understood: {error}"))
                .hint("use the version that is the default of `tool`")
        })?;
        let path = job.staging.join(NAME);
        fs::write(&path, Vulnerability::encode(&found)).map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report::default())
    }
}
