//! `ArchiveBillsStep`: the bill of materials of an archive or a package: what the executables in it are made of.

use rondel_cas::{Entry, RelativePath};
use rondel_engine::{ActionSpec, Artefact, Job, Prepared, Query, Report, Step, StepContext, StepError};
use rondel_evidence::{Bill, BillForm, Component, ComponentKind, Relation};

use super::{add_documents, read_bill, write_documents};

pub(crate) struct ArchiveBillsStep {
    /// Name of the project.
    pub project: String,
    pub forms: Vec<BillForm>,
    /// Directory of the release, relative to the workspace.
    pub out: RelativePath,
}

impl ArchiveBillsStep {
    /// Returns the archive or package, which is the first upstream result; the others are bills.
    fn archive<'a>(&self, context: &'a StepContext<'_>) -> Result<&'a Artefact, StepError> {
        let archive = context.upstream.first().and_then(|upstream| upstream.artefacts.first());
        archive.ok_or_else(|| StepError::failed("a file of the release is missing").hint("run again with --force"))
    }
}

impl Step for ArchiveBillsStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec { arguments: vec!["sbom".to_owned()], ..ActionSpec::default() };
        spec.settings.insert("project".to_owned(), self.project.clone());
        let archive = self.archive(context)?;
        spec.upstream.insert(archive.name.clone(), archive.entry.clone());
        for (index, upstream) in context.upstream.iter().enumerate().skip(1) {
            for bill in &upstream.artefacts {
                let place = RelativePath::new(&format!("bills/{index}/{}", bill.name));
                let place = place.map_err(|error| StepError::failed(error.to_string()))?;
                spec.upstream.insert(place, bill.entry.clone());
            }
        }
        add_documents(&mut spec, archive.name.as_str(), &self.forms, &self.out)?;
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let archive = self.archive(context)?;
        let name = archive.name.as_str();
        let mut subject = Component::named(ComponentKind::Archive, name);
        if let Entry::File { digest, .. } = archive.entry {
            subject.digest = Some(digest);
        }
        let mut bill = Bill::of(&self.project, subject);
        for part in context.upstream.iter().skip(1).flat_map(|upstream| &upstream.artefacts) {
            bill.add_bill(Relation::Contains, &read_bill(part)?);
        }
        write_documents(&bill, name, &self.forms, context.staging)?;
        Ok(Report::default())
    }
}
