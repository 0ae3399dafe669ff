//! The signatures of the files of a release: a step for each step that makes something to sign.

use std::sync::Arc;

use rondel_buildfile::{Release, Target};
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{
    ActionSpec, Artefact, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError, StepKey,
};
use rondel_signatures::bundle::Bundle;
use rondel_signatures::dsse::IN_TOTO;

use super::artifacts::{Artifact, ArtifactKind};
use super::published_signatures::{PublishedSignatures, published_in};
use crate::analyzer::{Analyzed, Analyzer, only_output};
use crate::request::VersionMode;
use crate::signing::Signer;

/// What is added to the name of a file whose bundle it is.
const BUNDLE: &str = ".sigstore.json";
/// What is added for the signature alone, in base64: the form of cosign before bundles.
const BARE: &str = ".sig";
/// More than any statement has.
const STATEMENT_MAX: u64 = 64 * 1024 * 1024;

/// How a file is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A bundle.
    Bundle,
    /// A bundle, and the signature alone.
    Both,
    /// A bundle around the file, which is an in-toto statement.
    Statement,
}

struct SignStep {
    signer: Arc<Signer>,
    /// Signatures of others, which are taken.
    published: Option<PublishedSignatures>,
    form: Form,
    /// Directory of the release, relative to the workspace.
    out: RelativePath,
}

/// Adds the steps that sign the files of a release, if that is declared. With `--snapshot` nothing is signed: nothing of it goes
/// out, and who tries a release has no key.
pub(crate) fn add_signatures(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    artifacts: &[Artifact],
) -> Analyzed<Vec<Artifact>> {
    let Some(sign) = &release.sign else { return Ok(Vec::new()) };
    if analyzer.request.version_mode == VersionMode::Snapshot {
        return Ok(Vec::new());
    }
    let signer = Signer::of(analyzer, sign)?;
    let mut signed = Vec::new();
    for artifact in artifacts {
        let (form, kind) = match artifact.kind {
            ArtifactKind::Archive | ArtifactKind::Deb | ArtifactKind::Rpm => (Form::Bundle, ArtifactKind::Signature),
            ArtifactKind::Checksums => (Form::Both, ArtifactKind::Signature),
            ArtifactKind::Provenance => (Form::Statement, ArtifactKind::Attestation),
            ArtifactKind::Changelog
            | ArtifactKind::Formula
            | ArtifactKind::Sbom
            | ArtifactKind::Signature
            | ArtifactKind::Attestation => continue,
        };
        let published = published_in(analyzer.request.signatures.as_deref());
        let out = only_output(target, analyzer.request.file)?;
        let step = SignStep { signer: Arc::clone(&signer), published, form, out };
        let of = &analyzer.graph.node(artifact.node).key;
        let key = StepKey { platform: of.platform.clone(), ..StepKey::of(&target.name.value, role(of)) };
        let node = analyzer.add_hidden(key, vec![artifact.node], Vec::new(), Box::new(step));
        signed.push(Artifact { node, kind, platform: artifact.platform.clone() });
    }
    Ok(signed)
}

/// Returns the role of the step that signs what another makes.
fn role(of: &StepKey) -> String {
    format!("signature of {}", of.role.as_str())
}

impl SignStep {
    /// Returns the files to sign, with the names of their signatures.
    fn files<'a>(&self, context: &'a StepContext<'_>) -> Result<Vec<(&'a Artefact, RelativePath)>, StepError> {
        let artefacts = context.upstream.iter().flat_map(|upstream| &upstream.artefacts);
        let all = artefacts.map(|artefact| Ok((artefact, beside(&artefact.name, BUNDLE)?)));
        let is_wanted = |name: &RelativePath| self.published.as_ref().is_none_or(|published| published.has(name));
        all.filter(|one| one.as_ref().map_or(true, |(_, name)| is_wanted(name))).collect()
    }

    /// Signs a file.
    fn sign(&self, artefact: &Artefact, digest: &Digest) -> Result<Bundle, StepError> {
        match self.form {
            Form::Bundle | Form::Both => Ok(self.signer.sign_file(digest)?),
            Form::Statement => {
                let unreadable = |error| StepError::unreadable(&artefact.path, &error);
                let statement = rondel_cas::read_at_most(&artefact.path, STATEMENT_MAX).map_err(unreadable)?;
                if Digest::of(&statement) != *digest {
                    let message = format!("`{}` was changed since it was made", artefact.name);
                    return Err(StepError::environment(message).hint("run again"));
                }
                Ok(self.signer.sign_statement(IN_TOTO, &statement)?)
            }
        }
    }
}

fn beside(name: &RelativePath, ending: &str) -> Result<RelativePath, StepError> {
    RelativePath::new(&format!("{name}{ending}")).map_err(|error| StepError::failed(error.to_string()))
}

impl Step for SignStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let form = match self.form {
            Form::Bundle => "bundle",
            Form::Both => "bundle and signature",
            Form::Statement => "statement",
        };
        let mut spec = ActionSpec { arguments: vec!["sign".to_owned(), form.to_owned()], ..ActionSpec::default() };
        self.signer.add_to(&mut spec);
        for (artefact, bundle) in self.files(context)? {
            spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
            if let Some(published) = &self.published {
                published.add_to(&mut spec, &bundle)?;
            }
            let bare = if self.form == Form::Both { Some(beside(&artefact.name, BARE)?) } else { None };
            for name in [Some(bundle), bare].into_iter().flatten() {
                let destination = self.out.join(&name);
                spec.outputs.push(OutputSpec { name, destination, kind: OutputKind::File });
            }
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let write = |name: &RelativePath, contents: &[u8]| {
            let path = name.below(context.staging);
            std::fs::write(&path, contents).map_err(|error| StepError::unwritable(&path, &error))
        };
        for (artefact, name) in self.files(context)? {
            let Entry::File { digest, .. } = &artefact.entry else { continue };
            let bundle = match &self.published {
                Some(published) => {
                    published.checked(&name, artefact, self.form == Form::Statement, self.signer.public())?
                }
                None => self.sign(artefact, digest)?,
            };
            write(&name, &bundle.to_json())?;
            if let (Form::Both, Some(signature)) = (self.form, bundle.signature()) {
                write(&beside(&artefact.name, BARE)?, signature.as_bytes())?;
            }
        }
        Ok(Report::default())
    }
}
