//! `RefsStep`: the file that names what was pushed, a line for each name.

use std::fs;

use rondel_cas::RelativePath;
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError};

use crate::push::step::PushMetadata;

pub(crate) struct RefsStep {
    /// The file, relative to the workspace.
    pub destination: RelativePath,
}

impl RefsStep {
    fn text(context: &StepContext<'_>) -> Result<String, StepError> {
        let pushed: Option<PushMetadata> = context.upstream.first().and_then(|upstream| upstream.metadata.get());
        let pushed = pushed.ok_or_else(|| StepError::failed("the record of the push is incomplete"))?;
        Ok(pushed.references.iter().map(|reference| format!("{reference}\n")).collect())
    }
}

impl Step for RefsStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = RelativePath::new("refs").expect("a constant");
        Ok(Prepared::by_key(ActionSpec {
            arguments: vec!["refs".to_owned()],
            settings: [("references".to_owned(), RefsStep::text(context)?)].into(),
            outputs: vec![OutputSpec { name, destination: self.destination.clone(), kind: OutputKind::File }],
            ..ActionSpec::default()
        }))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let path = context.staging.join("refs");
        fs::write(&path, RefsStep::text(context)?).map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report::default())
    }
}
