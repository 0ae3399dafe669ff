//! `ExecutableBillsStep`: a bill of materials beside each executable of a build.

use rondel_cas::RelativePath;
use rondel_engine::{ActionSpec, Artefact, Job, Prepared, Query, Report, Step, StepError};
use rondel_evidence::BillForm;
use rondel_golang::BILL_ENDING;

use super::{add_documents, read_bill, write_documents};

pub(crate) struct ExecutableBillsStep {
    pub forms: Vec<BillForm>,
    /// Directory of the executables, relative to the workspace.
    pub directory: RelativePath,
}

/// Returns the name of the executable that a bill is of.
fn executable(bill: &Artefact) -> &str {
    bill.name.as_str().strip_suffix(BILL_ENDING).unwrap_or(bill.name.as_str())
}

impl Step for ExecutableBillsStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec { arguments: vec!["sbom".to_owned()], ..ActionSpec::default() };
        for bill in &context.upstream[0].artefacts {
            spec.upstream.insert(bill.name.clone(), bill.entry.clone());
            add_documents(&mut spec, executable(bill), &self.forms, &self.directory)?;
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        for bill in &context.upstream[0].artefacts {
            write_documents(&read_bill(bill)?, executable(bill), &self.forms, context.staging)?;
        }
        Ok(Report::default())
    }
}
