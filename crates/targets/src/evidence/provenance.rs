//! `ProvenanceStep`: what the files of a release were made from, as an in-toto statement.

use rondel_cas::Entry;
use rondel_engine::{Job, Prepared, Query, Report, Step, StepError};
use rondel_evidence::Subject;

use super::recipe::Recipe;

pub(crate) struct ProvenanceStep {
    pub recipe: Recipe,
    /// Number of upstream steps whose outputs are the subjects; builds and bills follow.
    pub artifacts: usize,
}

impl Step for ProvenanceStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = self.recipe.action(context)?;
        for artefact in context.upstream.iter().take(self.artifacts).flat_map(|upstream| &upstream.artefacts) {
            spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
        }
        self.recipe.add_made(&mut spec, context, self.artifacts)?;
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let mut provenance = self.recipe.provenance(prepared, context, self.artifacts)?;
        for artefact in context.upstream.iter().take(self.artifacts).flat_map(|upstream| &upstream.artefacts) {
            if let Entry::File { digest, .. } = artefact.entry {
                provenance.subjects.push(Subject { name: artefact.name.to_string(), digest });
            }
        }
        self.recipe.write(&provenance, context.staging)?;
        Ok(Report::default())
    }
}
