//! Documents that go to registries with an image: their contents, the images that they are about, and what a registry
//! lacks of them. They are manifests of their own, so that no image changes by them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rondel_buildfile::{DocumentName, Span};
use rondel_cas::{Digest, RelativePath, read_at_most};
use rondel_engine::{OutputUse, StepContext, StepError, UserError};
use rondel_names::{ImageReference, Platform};
use rondel_oci::{Artifact, Descriptor, DocumentPlatform, INDEX, Subject};
use rondel_registry::Registry;

use crate::image::places::refuse_outside;
use crate::push::at_once::{Watch, at_once};
use crate::registries::step_error;
use crate::variant::oci_variant;

/// Maximum size of a document in bytes.
pub(crate) const DOCUMENT_MAX: u64 = 64 << 20;

/// A document as build.ron declares it.
#[derive(Clone)]
pub(crate) struct DeclaredDocument {
    pub media_type: String,
    /// `None` for the name of the file.
    pub name: Option<String>,
    /// `None` for the index.
    pub platform: Option<Platform>,
    pub origin: DocumentOrigin,
    /// True if a file without contents is no document.
    pub is_left_out_if_empty: bool,
    pub span: Span,
    /// What else its manifest says of it.
    pub annotations: BTreeMap<String, String>,
}

/// Where the contents of a document come from.
#[derive(Clone)]
pub(crate) enum DocumentOrigin {
    /// A file of the tree, relative to the project.
    File {
        path: RelativePath,
        root: PathBuf,
    },
    Output(OutputUse),
}

/// A document with its contents.
pub(crate) struct PushedDocument {
    media_type: String,
    name: String,
    platform: Option<Platform>,
    digest: Digest,
    contents: Vec<u8>,
    annotations: BTreeMap<String, String>,
}

/// The documents about one index or manifest in one repository.
pub(crate) struct DocumentPlace<'a> {
    pub to: &'a ImageReference,
    documents: Vec<(Artifact, &'a PushedDocument)>,
    /// Those that the registry does not list.
    lacking: Vec<bool>,
}

/// What became of documents.
#[derive(Default)]
struct Counts {
    sent: usize,
    present: usize,
    blobs: usize,
    bytes: u64,
}

impl DeclaredDocument {
    /// Returns the file of the tree that it is, relative to the project.
    pub fn file(&self) -> Option<&RelativePath> {
        match &self.origin {
            DocumentOrigin::File { path, .. } => Some(path),
            DocumentOrigin::Output(_) => None,
        }
    }

    fn read(&self, context: &StepContext<'_>) -> Result<PushedDocument, StepError> {
        let (path, contents) = match &self.origin {
            DocumentOrigin::File { path, root } => {
                let place = path.below(root);
                let unreadable = |error: std::io::Error| {
                    let message = format!("`{path}` can't be attached: {error}");
                    self.wrong(message, format!("name a file of at most {DOCUMENT_MAX} bytes, relative to `root`"))
                };
                let real = fs::canonicalize(&place).map_err(unreadable)?;
                let workspace = fs::canonicalize(&context.workspace.root).map_err(unreadable)?;
                refuse_outside(path, &real, &workspace)?;
                (place, read_at_most(&real, DOCUMENT_MAX).map_err(unreadable)?)
            }
            DocumentOrigin::Output(output) => (output.path(context)?, output.contents(context, DOCUMENT_MAX)?),
        };
        let own = || path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let name = self.name.clone().unwrap_or_else(own);
        if let Err(message) = DocumentName::new(&name) {
            return Err(self.wrong(message, "give it another one with `name`".to_owned()));
        }
        let (media_type, platform) = (self.media_type.clone(), self.platform.clone());
        let (digest, annotations) = (Digest::of(&contents), self.annotations.clone());
        Ok(PushedDocument { media_type, name, platform, digest, contents, annotations })
    }

    fn wrong(&self, message: String, hint: String) -> StepError {
        StepError::User(UserError::input(message).at(self.span).hint(hint))
    }
}

/// Reads all documents.
pub(crate) fn read_documents(
    declared: &[DeclaredDocument],
    context: &StepContext<'_>,
) -> Result<Vec<PushedDocument>, StepError> {
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for one in declared {
        let document = one.read(context)?;
        if one.is_left_out_if_empty && document.contents.is_empty() {
            continue;
        }
        if !known.insert((document.platform.clone(), document.name.clone(), document.media_type.clone())) {
            let message =
                format!("two documents of one image are `{}` of the type `{}`", document.name, document.media_type);
            return Err(one.wrong(message, "give one of them another `name`".to_owned()));
        }
        found.push(document);
    }
    Ok(found)
}

/// Returns where the documents belong. `to` has the digest of the index of each name. `entries` are the images of this
/// run; a document about another one is passed over.
pub(crate) fn places<'a>(
    documents: &'a [PushedDocument],
    to: &[(&'a ImageReference, Digest)],
    entries: &[Descriptor],
) -> Vec<DocumentPlace<'a>> {
    let mut places: Vec<DocumentPlace<'a>> = Vec::new();
    for (to, index) in to {
        for document in documents {
            let Some(subject) = subject_of(document.platform.as_ref(), index, entries) else { continue };
            let artifact = Artifact {
                artifact_type: document.media_type.clone(),
                name: document.name.clone(),
                contents: document.digest,
                subject,
                annotations: document.annotations.clone(),
            };
            let is_same = |place: &&mut DocumentPlace<'_>| {
                (place.to.registry(), place.to.repository()) == (to.registry(), to.repository())
                    && place.documents[0].0.subject == artifact.subject
            };
            match places.iter_mut().find(is_same) {
                // Another name of the same repository.
                Some(place) if place.documents.iter().any(|(known, _)| *known == artifact) => {}
                Some(place) => place.documents.push((artifact, document)),
                None => places.push(DocumentPlace { to, documents: vec![(artifact, document)], lacking: Vec::new() }),
            }
        }
    }
    for place in &mut places {
        place.lacking = vec![true; place.documents.len()];
    }
    places
}

/// Returns what is about a platform, or without one about the index; `None` if there is no image of the platform.
pub(crate) fn subject_of(platform: Option<&Platform>, index: &Digest, entries: &[Descriptor]) -> Option<Subject> {
    let Some(platform) = platform else {
        return Some(Subject { media_type: INDEX.to_owned(), digest: *index });
    };
    let wanted = DocumentPlatform {
        os: platform.os().to_owned(),
        architecture: platform.architecture().to_owned(),
        variant: oci_variant(platform),
    };
    let entry = entries.iter().find(|entry| entry.platform.as_ref() == Some(&wanted))?;
    Some(Subject { media_type: entry.media_type.clone(), digest: entry.digest })
}

/// Asks the registries which documents they have.
pub(crate) fn ask<'a>(
    registry: &Registry,
    mut places: Vec<DocumentPlace<'a>>,
    context: &StepContext<'_>,
) -> Result<Vec<DocumentPlace<'a>>, StepError> {
    let watch = Watch::new(context);
    let found = at_once(&places, &watch, |place| {
        let documents: Vec<&Artifact> = place.documents.iter().map(|(artifact, _)| artifact).collect();
        let destination = registry.destination(place.to, Vec::new());
        registry.attached(&destination, &documents, &watch.watcher()).map_err(step_error)
    })?;
    for (place, found) in places.iter_mut().zip(found) {
        place.lacking = found.into_iter().map(|is_there| !is_there || context.is_forced()).collect();
    }
    Ok(places)
}

/// Attaches what is lacking, and says for each repository what it did.
pub(crate) fn attach(
    registry: &Registry,
    places: &[DocumentPlace<'_>],
    scratch: &Path,
    context: &StepContext<'_>,
) -> Result<(), StepError> {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for place in places {
        let own = place.attach_lacking(registry, scratch, context)?;
        let all = counts.entry(place.repository()).or_default();
        (all.sent, all.present) = (all.sent + own.sent, all.present + own.present);
        (all.blobs, all.bytes) = (all.blobs + own.blobs, all.bytes + own.bytes);
    }
    for (repository, Counts { sent, present, blobs, bytes }) in counts {
        let there = if present > 0 { format!(", {present} there") } else { String::new() };
        context.note(format!("{repository}: documents: {sent} attached{there}; {blobs} blobs, {bytes} bytes sent"));
    }
    Ok(())
}

impl DocumentPlace<'_> {
    /// Returns why there is something to do, if there is.
    pub fn lack(&self) -> Option<String> {
        let lacking = self.documents.iter().zip(&self.lacking).find(|(_, lacks)| **lacks);
        lacking.map(|((artifact, _), _)| {
            format!("{} lacks `{}` of {}", self.repository(), artifact.name, artifact.subject.digest.oci())
        })
    }

    /// Returns the documents, each as its name and a reference to its manifest.
    pub fn attached(&self) -> impl Iterator<Item = String> {
        self.documents.iter().map(|(artifact, _)| {
            let digest = Digest::of(&artifact.manifest().1).oci();
            format!("{} {}@{digest}", artifact.name, self.repository())
        })
    }

    fn repository(&self) -> String {
        self.to.full_repository()
    }

    fn attach_lacking(
        &self,
        registry: &Registry,
        scratch: &Path,
        context: &StepContext<'_>,
    ) -> Result<Counts, StepError> {
        let mut documents: Vec<(Artifact, PathBuf)> = Vec::new();
        for ((artifact, document), _) in self.documents.iter().zip(&self.lacking).filter(|(_, lacks)| **lacks) {
            let path = scratch.join(document.digest.hex());
            fs::write(&path, &document.contents).map_err(|error| StepError::unwritable(&path, &error))?;
            documents.push((artifact.clone(), path));
        }
        let watch = Watch::new(context);
        let destination = registry.destination(self.to, Vec::new());
        let attached = registry.attach(&destination, &documents, scratch, &watch.watcher()).map_err(step_error)?;
        for digest in attached.left {
            let repository = self.repository();
            context.warn(format!("{repository} goes on listing an earlier document, and did not remove it: {digest}"));
        }
        let (sent, (blobs, bytes)) = (documents.len(), attached.blobs);
        Ok(Counts { sent, present: self.documents.len() - sent, blobs, bytes })
    }
}
