//! `ImageBillsStep`: the bill of materials of one platform of an image: its executables with their modules, and the packages
//! of its base. The documents stand beside the layout, so that the image's digest does not depend on them.

use std::collections::BTreeMap;

use rondel_cas::{Digest, RelativePath};
use rondel_engine::{ActionSpec, Job, Prepared, Query, Report, Step, StepContext, StepError};
use rondel_evidence::{
    Bill, BillForm, Component, ComponentKind, Relation, SYSTEM_PACKAGES_FORMAT, SystemPackages, is_package_database,
};

use rondel_buildfile::Platform;

use super::{add_documents, read_bill, write_documents};
use crate::base::ImageView;
use crate::base::layout::find;

pub(crate) struct ImageBillsStep {
    /// Name of the project.
    pub project: String,
    /// Name of the target.
    pub name: String,
    pub platform: Platform,
    pub forms: Vec<BillForm>,
    /// The layout, relative to the workspace; its step is the first upstream one.
    pub layout: RelativePath,
    /// The upstream step of the base, and its name; `Static` has none.
    pub base: Option<(usize, String)>,
    /// The upstream steps that are bills of executables.
    pub bills: Vec<usize>,
    /// Directory of the documents, relative to the workspace.
    pub out: RelativePath,
}

impl ImageBillsStep {
    /// Returns the manifest of the platform.
    fn manifest(&self, context: &StepContext<'_>) -> Result<Digest, StepError> {
        let layout = self.layout.below(&context.workspace.root);
        let wrong = |error| StepError::failed(format!("`{}`: {error}", self.layout)).hint("run again with --force");
        Ok(find(&layout, &self.platform).map_err(wrong)?.image.manifest.digest)
    }

    /// Returns the base as a component, with its packages.
    fn base(&self, context: &StepContext<'_>, bill: &mut Bill) -> Result<(), StepError> {
        let Some((index, name)) = &self.base else { return Ok(()) };
        let view = ImageView::of(*index, context)?;
        let mut base = Component::named(ComponentKind::Image, name);
        base.digest = Some(view.read()?.0);
        let base = bill.add(0, Relation::Contains, base);
        let mut files = BTreeMap::new();
        for (path, contents) in view.kept_files(&is_package_database)? {
            files.insert(path.to_string(), contents);
        }
        let wrong = |error| {
            StepError::input(format!("the packages of `{name}` can't be read: {error}"))
                .hint("without `sbom` they are not looked at")
        };
        let found = SystemPackages::read(&files).map_err(wrong)?;
        if let Some(system) = found.system_component() {
            bill.add(base, Relation::Contains, system);
        }
        for package in found.packages {
            bill.add(base, Relation::Contains, package);
        }
        Ok(())
    }
}

impl Step for ImageBillsStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let slot = |text: String| RelativePath::new(&text).map_err(|error| StepError::failed(error.to_string()));
        let mut spec = ActionSpec { arguments: vec!["sbom".to_owned()], ..ActionSpec::default() };
        spec.settings.insert("project".to_owned(), self.project.clone());
        spec.settings.insert("image".to_owned(), self.name.clone());
        spec.settings.insert("packages".to_owned(), SYSTEM_PACKAGES_FORMAT.to_owned());
        spec.settings.insert("manifest".to_owned(), self.manifest(context)?.oci());
        if let Some((index, name)) = &self.base {
            let view = ImageView::of(*index, context)?;
            spec.settings.insert("base".to_owned(), name.clone());
            spec.upstream.insert(slot("base".to_owned())?, view.manifest_entry());
        }
        for index in &self.bills {
            for bill in context.upstream.get(*index).into_iter().flat_map(|upstream| &upstream.artefacts) {
                spec.upstream.insert(slot(format!("bills/{index}/{}", bill.name))?, bill.entry.clone());
            }
        }
        add_documents(&mut spec, &self.platform.directory_name(), &self.forms, &self.out)?;
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let mut subject = Component::named(ComponentKind::Image, &self.name);
        subject.digest = Some(self.manifest(context)?);
        subject.facts.push(rondel_evidence::Fact::new("platform", &self.platform.to_string()));
        let mut bill = Bill::of(&self.project, subject);
        for index in &self.bills {
            for part in context.upstream.get(*index).into_iter().flat_map(|upstream| &upstream.artefacts) {
                bill.add_bill(Relation::Contains, &read_bill(part)?);
            }
        }
        self.base(context, &mut bill)?;
        write_documents(&bill, &self.platform.directory_name(), &self.forms, context.staging)?;
        Ok(Report::default())
    }
}
