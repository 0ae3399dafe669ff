//! `ArtifactsStep`: `artifacts.json`, the list of all files of a release, for programs that come after.
//!
//! Its form: `{"format": "rondel-artifacts-1", "project", "version", "artifacts": [{"name", "kind", "platform", "sha256",
//! "size"}]}`, sorted by name. `name` is the path below the directory of the release; `platform` is missing for files of all.

use rondel_cas::{Entry, RelativePath};
use rondel_engine::NodeId;
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError};
use serde::Serialize;

use rondel_buildfile::Platform;

use super::checksums::add_files;

/// Name of the file.
const ARTIFACTS: &str = "artifacts.json";
/// Version of its form.
const FORMAT: &str = "rondel-artifacts-1";

/// What a file of a release is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArtifactKind {
    Archive,
    Deb,
    Rpm,
    Checksums,
    Changelog,
    Formula,
    Provenance,
    Sbom,
    /// The signature of a file.
    Signature,
    /// A signed statement about files.
    Attestation,
}

/// A step that makes files of a release.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    /// The step. Each of its outputs is a file in the directory of the release.
    pub node: NodeId,
    pub kind: ArtifactKind,
    /// The platform, for a file of one.
    pub platform: Option<Platform>,
}

pub(crate) struct ArtifactsStep {
    pub project: String,
    pub version: String,
    /// The steps, in the order of the upstream results.
    pub artifacts: Vec<Artifact>,
    /// Directory of the release, relative to the workspace.
    pub out: RelativePath,
}

#[derive(Serialize)]
struct List<'a> {
    format: &'static str,
    project: &'a str,
    version: &'a str,
    artifacts: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    sha256: String,
    size: u64,
}

impl ArtifactKind {
    /// Returns the word in the list.
    pub fn word(self) -> &'static str {
        match self {
            ArtifactKind::Archive => "archive",
            ArtifactKind::Deb => "deb",
            ArtifactKind::Rpm => "rpm",
            ArtifactKind::Checksums => "checksums",
            ArtifactKind::Changelog => "changelog",
            ArtifactKind::Formula => "formula",
            ArtifactKind::Provenance => "provenance",
            ArtifactKind::Sbom => "sbom",
            ArtifactKind::Signature => "signature",
            ArtifactKind::Attestation => "attestation",
        }
    }
}

impl ArtifactsStep {
    fn lines(&self, context: &StepContext<'_>) -> Vec<Line> {
        let mut lines = Vec::new();
        for (artifact, upstream) in self.artifacts.iter().zip(&context.upstream) {
            for artefact in &upstream.artefacts {
                let Entry::File { digest, .. } = &artefact.entry else { continue };
                lines.push(Line {
                    name: artefact.name.to_string(),
                    kind: artifact.kind.word(),
                    platform: artifact.platform.as_ref().map(ToString::to_string),
                    sha256: digest.hex(),
                    size: digest.size(),
                });
            }
        }
        lines.sort_by(|one, other| one.name.cmp(&other.name));
        lines
    }
}

impl Step for ArtifactsStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = RelativePath::new(ARTIFACTS).map_err(|error| StepError::failed(error.to_string()))?;
        let destination = self.out.join(&name);
        let mut spec = ActionSpec {
            arguments: vec!["artifacts".to_owned()],
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        spec.settings.insert("format".to_owned(), FORMAT.to_owned());
        spec.settings.insert("project".to_owned(), self.project.clone());
        spec.settings.insert("version".to_owned(), self.version.clone());
        for line in self.lines(context) {
            let about = format!("{} {}", line.kind, line.platform.unwrap_or_default());
            spec.settings.insert(format!("file {}", line.name), about);
        }
        add_files(context, &mut spec)?;
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let (project, version) = (self.project.as_str(), self.version.as_str());
        let list = List { format: FORMAT, project, version, artifacts: self.lines(context) };
        let mut bytes = serde_json::to_vec_pretty(&list).map_err(|error| StepError::failed(error.to_string()))?;
        bytes.push(b'\n');
        let path = context.staging.join(ARTIFACTS);
        std::fs::write(&path, bytes).map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report::default())
    }
}
