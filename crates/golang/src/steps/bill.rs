//! `BillStep`: what each executable of one build is made of, for the documents of bills of materials. It comes from the
//! embedded build information; go.sum gives the hash of a module that has none there (a vendored one), and the texts of
//! the modules their licences.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rondel_cas::{Entry, MEMORY_MAX, RelativePath, read_text_at_most};
use rondel_engine::{
    ActionSpec, Artefact, Job, Metadata, MetadataType, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError,
};
use rondel_evidence::{BILL_FORMAT, Bill, LICENCES_FORMAT};
use serde::{Deserialize, Serialize};

use crate::bill::{CONTENTS, Executable, bill_of, used};
use crate::build_info::{BuildInfo, ModuleVersion};
use crate::closure::key_path;
use crate::module_cache::module_sums;
use crate::module_licences::name_of;
use crate::support::GoSupport;

/// Writes a bill for each executable of one build.
pub struct BillStep {
    /// The toolchain and its settings.
    pub go: Arc<GoSupport>,
    /// Name of the project.
    pub project: String,
    /// Name of the place among Rondel's own results, unique in the workspace.
    pub place: String,
}

/// Ending of a bill's name, behind that of its executable.
pub const BILL_ENDING: &str = ".bill";

/// What a bill does not say, and provenance does.
#[derive(Serialize, Deserialize)]
pub struct BillMetadata {
    /// Version and identity of the toolchain that built the executables.
    pub toolchain: String,
}

impl MetadataType for BillMetadata {
    const NAME: &'static str = "go-bill-1";
}

impl BillStep {
    fn name(executable: &RelativePath) -> Result<RelativePath, StepError> {
        RelativePath::new(&format!("{executable}{BILL_ENDING}")).map_err(|error| StepError::failed(error.to_string()))
    }

    /// Returns the build information of an executable, with the hashes of go.sum.
    fn info(artefact: &Artefact, sums: &BTreeMap<String, String>) -> Result<BuildInfo, StepError> {
        let info = BuildInfo::of_file(&artefact.path).map_err(|error| StepError::unreadable(&artefact.path, &error))?;
        let mut info = info.ok_or_else(|| {
            StepError::failed(format!("`{}` has no Go build information", artefact.path.display()))
                .hint("Go 1.18 and later write it; write `sbom: false` for an older one")
        })?;
        for module in &mut info.dependencies {
            let module = match &mut module.replaced_by {
                Some(by) => &mut **by,
                None => module,
            };
            if module.sum.is_empty()
                && let Some(sum) = sums.get(&name_of(module))
            {
                module.sum.clone_from(sum);
            }
        }
        Ok(info)
    }
}

impl Step for BillStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec { arguments: vec!["bill of materials".to_owned()], ..ActionSpec::default() };
        spec.settings.insert("format".to_owned(), format!("{BILL_FORMAT} {CONTENTS}"));
        spec.settings.insert("licences".to_owned(), LICENCES_FORMAT.to_owned());
        spec.settings.insert("project".to_owned(), self.project.clone());
        spec.tools.insert("go".to_owned(), self.go.identity(context)?);
        let mut files = self.go.sum_files();
        files.extend(self.go.own_licence_files()?);
        files.extend(self.go.vendored_licence_files()?);
        for path in files {
            spec.inputs.add(key_path(&self.go.root, &path)?, path, &context.workspace.snapshot)?;
        }
        for artefact in &context.upstream[0].artefacts {
            spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
            let name = BillStep::name(&artefact.name)?;
            let destination = RelativePath::new(&format!(".rondel/out/bills/{}/{name}", self.place));
            let destination = destination.map_err(|error| StepError::failed(error.to_string()))?;
            spec.outputs.push(OutputSpec { name, destination, kind: OutputKind::File });
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let texts = self.go.sum_files().into_iter().filter_map(|path| read_text_at_most(&path, MEMORY_MAX).ok());
        let sums = module_sums(&texts.collect::<Vec<_>>());
        let artefacts = &context.upstream[0].artefacts;
        let infos: Vec<BuildInfo> =
            artefacts.iter().map(|artefact| BillStep::info(artefact, &sums)).collect::<Result<_, _>>()?;
        // A command of another module has that as its main module, with a version.
        let dependencies = infos.iter().flat_map(|info| info.dependencies.iter().chain(&info.main).map(used));
        let modules: BTreeSet<(String, String)> =
            dependencies.map(|module| (module.path.clone(), module.version.clone())).collect();
        let licences = self.go.licences_of(&modules, &sums, context)?;
        let (own_path, own_licence) = self.go.own_licence()?;
        for (artefact, info) in artefacts.iter().zip(&infos) {
            let Entry::File { digest, .. } = artefact.entry else { continue };
            let licence = |module: &ModuleVersion| match own_path.as_ref() == Some(&module.path) {
                true => own_licence.clone(),
                false => licences.get(&name_of(module)).cloned().flatten(),
            };
            let name = artefact.name.as_str();
            let bill: Bill = bill_of(&Executable { name, digest, info, project: &self.project }, &licence);
            let path = BillStep::name(&artefact.name)?.below(context.staging);
            std::fs::write(&path, bill.encode()).map_err(|error| StepError::unwritable(&path, &error))?;
        }
        let toolchain = prepared.spec.tools.get("go").cloned().unwrap_or_default();
        Ok(Report::of(Metadata::of(&BillMetadata { toolchain })))
    }
}
