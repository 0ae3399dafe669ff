//! `PushSignStep`: signatures of an image that is pushed, and of what is said of it: bundles, and what cosign's tags hold. They
//! depend on the image, its documents, where it goes and the key; a result that is stored needs no private key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rondel_buildfile::Platform;
use rondel_cas::{Digest, RelativePath};
use rondel_engine::{
    ActionSpec, Job, OutputKind, OutputSpec, OutputUse, Prepared, Query, Report, Step, StepContext, StepError,
};
use rondel_evidence::{BillForm, SIGNED, Subject, statement};
use rondel_signatures::{dsse, simple_signing};
use serde_json::{Value, json};

use crate::image::metadata::image_of;
use crate::push::content::read_index;
use crate::push::documents::{DOCUMENT_MAX, subject_of};
use crate::signing::Signer;

/// The file of the signatures for cosign's tags: by the name with the digest, in base64.
pub(super) const OLD: &str = "simple-signing.json";
const DIRECTORY: &str = "signatures";

pub(crate) struct PushSignStep {
    pub signer: Arc<Signer>,
    /// Name of the image's target.
    pub image: String,
    /// Directory of the layout, relative to the workspace; the first upstream step makes it.
    pub layout: RelativePath,
    /// The repositories that it goes to, each once.
    pub repositories: Vec<String>,
    /// What is signed.
    pub signed: Vec<Signed>,
    /// Place of the results, relative to the workspace.
    pub out: RelativePath,
}

/// Something that is signed.
#[derive(Clone)]
pub(crate) struct Signed {
    /// Name of its bundle.
    pub file: String,
    /// The platform whose manifest it is about; `None` for the index.
    pub platform: Option<Platform>,
    pub what: SignedContents,
}

#[derive(Clone)]
pub(crate) enum SignedContents {
    /// The index or manifest itself.
    Image,
    /// A bill of materials.
    Bill(BillForm, OutputUse),
    /// A statement as it is, by the type of its predicate. An empty file is none.
    Statement(&'static str, OutputUse),
}

impl SignedContents {
    /// Returns the type of the statement that is signed.
    pub fn predicate_type(&self) -> &'static str {
        match self {
            SignedContents::Image => SIGNED,
            SignedContents::Bill(form, _) => form.predicate_type(),
            SignedContents::Statement(predicate, _) => predicate,
        }
    }

    fn document(&self) -> Option<&OutputUse> {
        match self {
            SignedContents::Image => None,
            SignedContents::Bill(_, document) | SignedContents::Statement(_, document) => Some(document),
        }
    }
}

impl PushSignStep {
    /// Returns what each of `signed` is about.
    fn subjects(&self, context: &StepContext<'_>) -> Result<Vec<Subject>, StepError> {
        let wrong = |error: String| {
            StepError::failed(format!("`{}` is no sound layout: {error}", self.layout)).hint("run again with --force")
        };
        let image = image_of(context, 0).ok_or_else(|| wrong("its record is incomplete".to_owned()))?;
        let layout = self.layout.below(&context.workspace.root);
        let (index, _, entries) = read_index(&layout, &image.digest).map_err(wrong)?;
        let subject = |signed: &Signed| {
            let platform = signed.platform.as_ref();
            let found = subject_of(platform, &index, &entries);
            let found = found.ok_or_else(|| wrong("it lacks a platform".to_owned()))?;
            let of = platform.map(|platform| format!(" ({platform})")).unwrap_or_default();
            Ok(Subject { name: format!("{}{of}", self.image), digest: found.digest })
        };
        self.signed.iter().map(subject).collect()
    }

    /// Returns the statement to sign.
    fn statement(&self, signed: &Signed, subject: &Subject, context: &StepContext<'_>) -> Result<Vec<u8>, StepError> {
        let predicate_type = signed.what.predicate_type();
        match &signed.what {
            SignedContents::Image => Ok(statement(subject, predicate_type, json!({}))),
            SignedContents::Statement(_, document) => document.contents(context, DOCUMENT_MAX),
            SignedContents::Bill(_, document) => {
                let bytes = document.contents(context, DOCUMENT_MAX)?;
                let bill: Value = serde_json::from_slice(&bytes)
                    .map_err(|_| StepError::failed("a bill of materials is no JSON").hint("run again with --force"))?;
                Ok(statement(subject, predicate_type, bill))
            }
        }
    }

    /// Returns the signatures for cosign's tags.
    fn old(&self, subjects: &[Subject]) -> Result<Vec<u8>, StepError> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for (signed, subject) in self.signed.iter().zip(subjects) {
            let SignedContents::Image = signed.what else { continue };
            for repository in &self.repositories {
                let payload = simple_signing::payload(repository, &subject.digest);
                let bundle = self.signer.sign_file(&Digest::of(&payload))?;
                let signature = bundle.signature().unwrap_or_default().to_owned();
                found.insert(format!("{repository}@{}", subject.digest.oci()), signature);
            }
        }
        Ok(serde_json::to_vec(&found).expect("texts"))
    }
}

impl Step for PushSignStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = ActionSpec { arguments: vec!["sign image".to_owned()], ..ActionSpec::default() };
        self.signer.add_to(&mut spec);
        spec.settings.insert("image".to_owned(), self.image.clone());
        spec.settings.insert("repositories".to_owned(), self.repositories.join(" "));
        for (signed, subject) in self.signed.iter().zip(self.subjects(context)?) {
            let what = format!("{} {} {}", subject.digest.oci(), signed.what.predicate_type(), subject.name);
            spec.settings.insert(format!("signed {}", signed.file), what);
            if let Some(document) = signed.what.document() {
                document.add_to(context, &mut spec)?;
            }
        }
        let name = RelativePath::new(DIRECTORY).expect("a constant");
        spec.outputs = vec![OutputSpec { name, destination: self.out.clone(), kind: OutputKind::Directory }];
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let directory = context.staging.join(DIRECTORY);
        std::fs::create_dir_all(&directory).map_err(|error| StepError::unwritable(&directory, &error))?;
        let write = |name: &str, contents: &[u8]| {
            let path: &Path = &directory.join(name);
            std::fs::write(path, contents).map_err(|error| StepError::unwritable(path, &error))
        };
        let subjects = self.subjects(context)?;
        for (signed, subject) in self.signed.iter().zip(&subjects) {
            let statement = self.statement(signed, subject, context)?;
            let is_none = statement.is_empty();
            let bundle = (!is_none).then(|| self.signer.sign_statement(dsse::IN_TOTO, &statement)).transpose()?;
            write(&signed.file, &bundle.map(|bundle| bundle.to_json()).unwrap_or_default())?;
        }
        write(OLD, &self.old(&subjects)?)?;
        Ok(Report::default())
    }
}
