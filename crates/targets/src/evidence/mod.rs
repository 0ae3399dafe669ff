//! Steps that write documents about artefacts: bills of materials and provenance. What the documents say is made by
//! `rondel-evidence`; here it is gathered from the steps before.

mod archive_bills;
mod executable_bills;
mod image_bills;
mod image_provenance;
mod provenance;
mod recipe;

pub(crate) use archive_bills::ArchiveBillsStep;
pub(crate) use executable_bills::ExecutableBillsStep;
pub(crate) use image_bills::ImageBillsStep;
pub(crate) use image_provenance::{BaseMaterial, ImageProvenanceStep};
pub(crate) use provenance::ProvenanceStep;
pub(crate) use recipe::{Recipe, stated};

use rondel_buildfile::{BillForm as DeclaredForm, Bills};
use rondel_cas::{MEMORY_MAX, RelativePath, read_at_most};
use rondel_engine::{ActionSpec, Artefact, OutputKind, OutputSpec, StepError};
use rondel_evidence::{Bill, BillForm};

/// Returns the forms that a target declares.
pub(crate) fn forms(declared: &Bills) -> impl Iterator<Item = BillForm> {
    declared.iter().map(|form| match form {
        DeclaredForm::Spdx => BillForm::Spdx,
        DeclaredForm::CycloneDx => BillForm::CycloneDx,
    })
}

/// Reads a bill that a step made.
fn read_bill(artefact: &Artefact) -> Result<Bill, StepError> {
    let bytes = read_at_most(&artefact.path, MEMORY_MAX);
    let bytes = bytes.map_err(|error| StepError::unreadable(&artefact.path, &error))?;
    Bill::decode(&bytes).ok_or_else(|| {
        StepError::failed(format!("`{}` is no bill of materials", artefact.name)).hint("run again with --force")
    })
}

/// Adds a document for each form to a step: `name` with the ending of the form.
fn add_documents(
    spec: &mut ActionSpec,
    name: &str,
    forms: &[BillForm],
    directory: &RelativePath,
) -> Result<(), StepError> {
    for form in forms {
        spec.settings.insert(form.ending().to_owned(), form.format().to_owned());
        let name = document_name(name, *form)?;
        let destination = directory.join(&name);
        spec.outputs.push(OutputSpec { name, destination, kind: OutputKind::File });
    }
    Ok(())
}

fn document_name(name: &str, form: BillForm) -> Result<RelativePath, StepError> {
    RelativePath::new(&format!("{name}{}", form.ending())).map_err(|error| StepError::failed(error.to_string()))
}

/// Writes the documents of a bill into the staging directory.
fn write_documents(bill: &Bill, name: &str, forms: &[BillForm], staging: &std::path::Path) -> Result<(), StepError> {
    for form in forms {
        let path = document_name(name, *form)?.below(staging);
        std::fs::write(&path, bill.document(*form)).map_err(|error| StepError::unwritable(&path, &error))?;
    }
    Ok(())
}
