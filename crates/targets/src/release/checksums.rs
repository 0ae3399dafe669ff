//! `ChecksumsStep`: the file of checksums of a release.

use std::collections::BTreeMap;

use rondel_cas::{Entry, RelativePath};
use rondel_dist::checksums_text;
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError};

pub(crate) struct ChecksumsStep {
    /// Name of the file.
    pub name: RelativePath,
    /// Directory of the release, relative to the workspace.
    pub out: RelativePath,
}

impl Step for ChecksumsStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let destination = self.out.join(&self.name);
        let mut spec = ActionSpec {
            arguments: vec!["checksums".to_owned(), "sha256".to_owned()],
            outputs: vec![OutputSpec { name: self.name.clone(), destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        add_files(context, &mut spec)?;
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let digests = prepared.spec.upstream.iter().filter_map(|(name, entry)| match entry {
            Entry::File { digest, .. } => Some((name.to_string(), *digest)),
            Entry::Symlink { .. } | Entry::Directory { .. } => None,
        });
        let text = checksums_text(&digests.collect());
        let path = self.name.below(context.staging);
        std::fs::write(&path, text).map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report::default())
    }
}

/// Adds all upstream files to a key by their names, which are those in the directory of the release.
pub(super) fn add_files(context: &StepContext<'_>, spec: &mut ActionSpec) -> Result<(), StepError> {
    let mut places: BTreeMap<String, &RelativePath> = BTreeMap::new();
    for artefact in context.upstream.iter().flat_map(|upstream| &upstream.artefacts) {
        // Some file systems, and some forges, take no two names that differ in case alone.
        if let Some(other) = places.insert(artefact.name.as_str().to_lowercase(), &artefact.name) {
            let message = format!("two files of the release have the name `{other}`");
            return Err(StepError::input(message).hint("give one of them another name"));
        }
        spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
    }
    Ok(())
}
