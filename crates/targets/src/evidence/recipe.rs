//! `Recipe`: what a statement of provenance says of the way to artefacts: what was asked for, the steps, and what they used.
//!
//! All that it says is in the key of the step that writes it, and none of it is of one machine or moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::{GitQuery, Platform, Target};
use rondel_cas::{Entry, RelativePath};
use rondel_engine::{ActionSpec, OutputKind, OutputSpec, Prepared, StepContext, StepError, UpstreamResult};
use rondel_evidence::{Bill, ComponentKind, Material, Provenance};
use rondel_golang::{BILL_ENDING, BillMetadata};

use super::read_bill;
use crate::analyzer::{Analyzed, Analyzer};
use crate::shown_variables::without_secrets;

pub(crate) struct Recipe {
    /// What is known before anything is made.
    pub stated: Provenance,
    /// Directory of build.ron.
    pub root: PathBuf,
    /// Labels of all upstream steps.
    pub labels: Vec<String>,
    /// Name of the file.
    pub name: RelativePath,
    /// Place of the file, relative to the workspace.
    pub destination: RelativePath,
}

/// Returns what is known before anything is made. For use in the step's closure: sources may be dirty.
pub(crate) fn stated(
    analyzer: &Analyzer<'_>,
    target: &Target,
    targets: &[&Target],
    platforms: &[Platform],
) -> Analyzed<Provenance> {
    let mut variables = BTreeMap::new();
    for name in targets.iter().flat_map(|target| analyzer.request.file.variables_of(target)) {
        // One without a value is used nowhere, or the step that uses it says so.
        if !analyzer.variables.is_late(&name)
            && let Ok(value) = analyzer.variables.value(&name)
        {
            variables.insert(name.to_string(), without_secrets(analyzer.request, value));
        }
    }
    let mut materials = Vec::new();
    if let Some(commit) = analyzer.variables.git(&GitQuery::Commit) {
        let mut material = Material::commit(analyzer.variables.git_remote().as_deref(), &commit);
        if analyzer.variables.is_dirty()? {
            material.annotations.insert("dirty".to_owned(), "true".to_owned());
        }
        materials.push(material);
    }
    Ok(Provenance {
        target: target.name.value.to_string(),
        platforms: platforms.iter().map(ToString::to_string).collect(),
        variables,
        materials,
        ..Provenance::default()
    })
}

/// Adds what a bill names: its modules, each with its hash in go.sum's own terms.
fn add_modules(bill: &Bill, materials: &mut Vec<Material>) {
    for component in bill.components.iter().filter(|one| one.kind == ComponentKind::Module) {
        let sum = component.facts.iter().find(|fact| fact.name == "go.sum").map_or("", |fact| fact.value.as_str());
        // What has no hash is part of the source, or of the toolchain.
        if !sum.is_empty() {
            let purl = component.purl.as_deref();
            materials.push(Material::go_module(&component.name, &component.version, purl, sum));
        }
    }
}

/// Returns the toolchain that a step of bills was made with.
fn toolchain(upstream: &UpstreamResult) -> Option<Material> {
    let metadata: BillMetadata = upstream.metadata.get()?;
    let (version, identity) = metadata.toolchain.split_once(' ')?;
    let number = version.strip_prefix("go").unwrap_or(version);
    let uri = Some(format!("pkg:generic/go@{}", number.replace('+', "%2B")));
    let mut material = Material { name: version.to_owned(), uri, ..Material::default() };
    // A digest of the SDK's directory, of Rondel's own making, and so none of DigestSet's.
    material.annotations.insert("rondel tree".to_owned(), identity.to_owned());
    Some(material)
}

impl Recipe {
    /// Returns the step's action, without what is of one kind of artefact.
    pub fn action(&self, context: &StepContext<'_>) -> Result<ActionSpec, StepError> {
        let wrong = |error: rondel_cas::PathError| StepError::failed(error.to_string());
        let mut spec = ActionSpec { arguments: vec!["provenance".to_owned()], ..ActionSpec::default() };
        spec.settings.insert("format".to_owned(), Provenance::FORMAT.to_owned());
        spec.settings.insert("stated".to_owned(), self.stated.statement().to_string());
        for (label, upstream) in self.labels.iter().zip(&context.upstream) {
            if let Some(action) = upstream.action {
                spec.settings.insert(format!("step {label}"), action.oci());
            }
        }
        for file in [context.workspace.build_file.as_str(), "build.lock"] {
            let path = self.root.join(file);
            if path.is_file() {
                spec.inputs.add(RelativePath::new(file).map_err(wrong)?, path, &context.workspace.snapshot)?;
            }
        }
        let (name, destination) = (self.name.clone(), self.destination.clone());
        spec.outputs = vec![OutputSpec { name, destination, kind: OutputKind::File }];
        Ok(spec)
    }

    /// Adds what the upstream results from `first` on are made of to the step's action.
    pub fn add_made(&self, spec: &mut ActionSpec, context: &StepContext<'_>, first: usize) -> Result<(), StepError> {
        for (index, upstream) in context.upstream.iter().skip(first).enumerate() {
            if let Some(toolchain) = upstream.metadata.get::<BillMetadata>() {
                spec.tools.insert(format!("go {index}"), toolchain.toolchain);
            }
            for artefact in &upstream.artefacts {
                let place = RelativePath::new(&format!("made/{index}/{}", artefact.name));
                let place = place.map_err(|error| StepError::failed(error.to_string()))?;
                spec.upstream.insert(place, artefact.entry.clone());
            }
        }
        Ok(())
    }

    /// Returns the statement, without subjects. Bills are looked for from the upstream result `first` on.
    pub fn provenance(
        &self,
        prepared: &Prepared,
        context: &StepContext<'_>,
        first: usize,
    ) -> Result<Provenance, StepError> {
        let mut provenance = self.stated.clone();
        for input in prepared.spec.inputs.iter() {
            if let Entry::File { digest, .. } = &input.entry {
                provenance.declared.push(Material::file(input.path.as_str(), digest));
            }
        }
        for (label, upstream) in self.labels.iter().zip(&context.upstream) {
            if let Some(action) = upstream.action {
                provenance.steps.insert(label.clone(), action.oci());
            }
        }
        for upstream in context.upstream.iter().skip(first) {
            provenance.materials.extend(toolchain(upstream));
            for artefact in upstream.artefacts.iter().filter(|one| one.name.as_str().ends_with(BILL_ENDING)) {
                if upstream.metadata.get::<BillMetadata>().is_some() {
                    add_modules(&read_bill(artefact)?, &mut provenance.materials);
                }
            }
        }
        Ok(provenance)
    }

    /// Writes the document into the staging directory.
    pub fn write(&self, provenance: &Provenance, staging: &Path) -> Result<(), StepError> {
        let path = self.name.below(staging);
        std::fs::write(&path, provenance.document()).map_err(|error| StepError::unwritable(&path, &error))
    }
}
