//! A bill of materials beside each executable of a `GoBuild`, from its embedded build information. go.sum gives the
//! hash of a module that has none there (a vendored one).

use std::sync::Arc;

use crate::{BuildInfo, SPDX_FORMAT, SpdxSubject, key_path, module_sums, spdx_document};
use rondel_cas::{Entry, MEMORY_MAX, RelativePath, read_text_at_most};
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError};

use crate::support::GoSupport;

/// Writes an SPDX document beside each executable of one build.
pub struct SbomStep {
    /// The toolchain and its settings.
    pub go: Arc<GoSupport>,
    /// Name of the project.
    pub project: String,
    /// Directory of the executables, relative to the workspace.
    pub directory: RelativePath,
}

fn document_name(executable: &RelativePath) -> Result<RelativePath, StepError> {
    RelativePath::new(&format!("{executable}.spdx.json")).map_err(|error| StepError::failed(error.to_string()))
}

impl Step for SbomStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec { arguments: vec!["sbom".to_owned()], ..ActionSpec::default() };
        spec.settings.insert("format".to_owned(), SPDX_FORMAT.to_owned());
        spec.settings.insert("project".to_owned(), self.project.clone());
        for path in self.go.sum_files() {
            spec.inputs.add(key_path(&self.go.root, &path)?, path, &context.workspace.snapshot)?;
        }
        for artefact in &context.upstream[0].artefacts {
            spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
            let name = document_name(&artefact.name)?;
            let destination = self.directory.join(&name);
            spec.outputs.push(OutputSpec { name, destination, kind: OutputKind::File });
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let staging = context.staging;
        let texts = self.go.sum_files().into_iter().filter_map(|path| read_text_at_most(&path, MEMORY_MAX).ok());
        let sums = module_sums(&texts.collect::<Vec<_>>());
        for artefact in &context.upstream[0].artefacts {
            let info =
                BuildInfo::of_file(&artefact.path).map_err(|error| StepError::unreadable(&artefact.path, &error))?;
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
                    && let Some(sum) = sums.get(&format!("{}@{}", module.path, module.version))
                {
                    module.sum.clone_from(sum);
                }
            }
            let Entry::File { digest, .. } = artefact.entry else { continue };
            let document = spdx_document(&SpdxSubject {
                name: artefact.name.as_str(),
                digest,
                info: &info,
                project: &self.project,
            });
            let path = document_name(&artefact.name)?.below(staging);
            std::fs::write(&path, document).map_err(|error| StepError::unwritable(&path, &error))?;
        }
        Ok(Report::default())
    }
}
