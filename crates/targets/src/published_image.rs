//! `PublishedImage`: an image as its registry has it, and the documents about it, for people. Everything of it comes from
//! outside: digests and sizes are checked, and texts are handed on as they came. Nothing is kept and no daemon asked.

use std::collections::BTreeMap;

use rondel_cas::Digest;
use rondel_engine::{StepError, UserError};
use rondel_names::ImageReference;
use rondel_oci::{ArtifactFile, ArtifactManifest, DOCUMENT_NAME, Descriptor, Document};
use rondel_process::Cancellation;
use rondel_registry::{FetchedDocument, Registry, RegistryError, Watcher};
use serde_json::Value;

use crate::image_signature::under_cosign_tag;
use crate::published_signatures::{KnownKeys, SignedBy, is_signature};
use crate::registries::{Registries, step_error};

/// Maximum numbers of platforms that are shown, and of documents about one of them.
const PLATFORMS_MAX: usize = 100;
const DOCUMENTS_MAX: usize = 100;
/// Maximum sizes of a configuration and of a document in bytes.
const CONFIG_MAX: u64 = 4 << 20;
const DOCUMENT_MAX: u64 = 64 << 20;
/// Maximum size of a signature in bytes; what is signed may be in it.
const SIGNATURE_MAX: u64 = 16 << 20;

/// The types of configurations of images.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// What BuildKit's attestations say of the manifest that they are about, and of what they are.
const ABOUT: &str = "vnd.docker.reference.digest";
const PREDICATE: &str = "in-toto.io/predicate-type";
/// The same word of cosign's bundles.
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// An image in a registry.
#[derive(Clone, Debug)]
pub struct PublishedImage {
    /// Its name.
    pub reference: ImageReference,
    /// Of the index, or of the only manifest.
    pub digest: String,
    /// Of the same.
    pub media_type: String,
    /// Those of the index; `null` without an index.
    pub annotations: Value,
    /// About the index, or the only manifest.
    pub documents: Vec<PublishedDocument>,
    /// One a manifest, in the order of the index.
    pub platforms: Vec<PublishedPlatform>,
    /// What is not shown, in sentences.
    pub notes: Vec<String>,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct PublishedPlatform {
    /// `linux/arm/v7`, as its configuration says.
    pub platform: String,
    /// Of the manifest.
    pub digest: String,
    /// The manifest.
    pub manifest: Value,
    /// The configuration.
    pub config: Value,
    /// Digest and size of each layer, lowest first.
    pub layers: Vec<Digest>,
    /// About this manifest. Empty if the manifest is what the reference leads to.
    pub documents: Vec<PublishedDocument>,
}

/// A file of a document about an image.
#[derive(Clone, Debug)]
pub struct PublishedDocument {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The type of the document.
    pub media_type: String,
    /// The type of the statement in it, if it says that.
    pub predicate: Option<String>,
    /// Digest of its manifest.
    pub manifest: String,
    /// Its contents; `None` if there are none.
    pub contents: Option<Digest>,
    /// The program that made it, as far as one can tell; else empty.
    pub made_by: &'static str,
    /// Of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// Whose signature it is; `None` if it is none.
    pub signed_by: Option<SignedBy>,
}

/// Endings of the tags under which cosign kept signatures and attestations before there were lists of documents.
const COSIGN_TAGS: [&str; 3] = ["sig", "att", "sbom"];
/// What cosign says of an attestation in its old form.
const COSIGN_PREDICATE: &str = "predicateType";

/// Where a document was found, and so what is known of it.
#[derive(Clone, Copy)]
enum Found<'a> {
    /// In a list of documents about this digest, which the document has to name.
    List(&'a str),
    /// In the index of the image, as BuildKit has it.
    Index,
    /// Under a tag that cosign makes of this digest.
    Tag(&'a str),
}

/// Somebody who asks a registry.
struct Asker<'a> {
    registry: &'a Registry,
    reference: &'a ImageReference,
    watcher: Watcher<'a>,
    keys: &'a KnownKeys,
    notes: Vec<String>,
}

impl PublishedImage {
    /// Asks the registry for an image and all documents about it. Signatures are held against `keys`. `say` gets sentences about waiting.
    pub fn read(
        registries: &Registries,
        reference: &ImageReference,
        keys: &KnownKeys,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<PublishedImage, StepError> {
        let watcher = Watcher { progress: &|_, _| true, say };
        let registry = registries.registry(&Cancellation::new())?;
        let mut asker = Asker { registry, reference, watcher, keys, notes: Vec::new() };
        let top = registry.document(reference, &asker.watcher).map_err(step_error)?;
        let digest = top.digest.oci();
        let parsed = asker.parse(&top)?;
        let mut documents = asker.documents(&digest)?;
        documents.extend(asker.tagged(&digest)?);
        let (mut annotations, mut platforms) = (Value::Null, Vec::new());
        match parsed {
            Document::Manifest { config, layers } => platforms.push(asker.platform(&top, &config, &layers)?),
            Document::Index(entries) => {
                annotations = json(&top.bytes)["annotations"].clone();
                let (attestations, images): (Vec<Descriptor>, Vec<Descriptor>) =
                    entries.into_iter().partition(|entry| entry.is_attestation);
                if images.len() > PLATFORMS_MAX {
                    asker.notes.push(format!("{} more platforms", images.len() - PLATFORMS_MAX));
                }
                for entry in images.into_iter().take(PLATFORMS_MAX) {
                    let found = registry.document_of(reference, &entry.digest, &asker.watcher).map_err(step_error)?;
                    let Document::Manifest { config, layers } = asker.parse(&found)? else {
                        asker.notes.push(format!("{} is an index in the index", found.digest.oci()));
                        continue;
                    };
                    let mut platform = asker.platform(&found, &config, &layers)?;
                    platform.documents = asker.documents(&platform.digest)?;
                    platforms.push(platform);
                }
                let about = asker.attestations(&attestations, &top)?;
                for (about, document) in about {
                    match platforms.iter_mut().find(|platform| platform.digest == about) {
                        Some(platform) => platform.documents.push(document),
                        None => documents.push(document),
                    }
                }
            }
        }
        let (reference, media_type, notes) = (reference.clone(), top.media_type, asker.notes);
        Ok(PublishedImage { reference, digest, media_type, annotations, documents, platforms, notes })
    }

    /// Returns the contents of one of its documents.
    pub fn contents(
        &self,
        document: &PublishedDocument,
        registries: &Registries,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<Vec<u8>, StepError> {
        let Some(digest) = &document.contents else {
            let message = format!("the document {} has no contents", document.manifest);
            return Err(StepError::input(message).hint("its annotations are all: `--format json` shows them"));
        };
        if digest.size() > DOCUMENT_MAX {
            let message = format!("the document {} has {} bytes", document.manifest, digest.size());
            return Err(StepError::input(message).hint(format!("at most {DOCUMENT_MAX} are shown")));
        }
        let watcher = Watcher { progress: &|_, _| true, say };
        let registry = registries.registry(&Cancellation::new())?;
        registry.small_blob(&self.reference, digest, &watcher).map_err(step_error)
    }
}

impl Asker<'_> {
    fn parse(&self, found: &FetchedDocument) -> Result<Document, StepError> {
        Document::parse(&found.media_type, &found.bytes).map_err(|error| self.no_image(&error.to_string()))
    }

    fn no_image(&self, why: &str) -> StepError {
        StepError::User(UserError::input(format!("`{}` is no image: {why}", self.reference)))
    }

    fn platform(
        &self,
        found: &FetchedDocument,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<PublishedPlatform, StepError> {
        // An old registry may not know the type; a document has one of its own.
        if !CONFIGS.contains(&config.media_type.as_str()) && !config.media_type.is_empty() {
            return Err(self.is_document(found));
        }
        if config.digest.size() > CONFIG_MAX {
            return Err(self.no_image(&format!("its configuration has {} bytes", config.digest.size())));
        }
        let bytes = self.registry.small_blob(self.reference, &config.digest, &self.watcher).map_err(step_error)?;
        let config: Value =
            serde_json::from_slice(&bytes).map_err(|_| self.no_image("its configuration is no JSON"))?;
        let parts = ["os", "architecture", "variant"].map(|name| config[name].as_str().unwrap_or_default().to_owned());
        Ok(PublishedPlatform {
            platform: parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/"),
            digest: found.digest.oci(),
            manifest: json(&found.bytes),
            config,
            layers: layers.iter().map(|layer| layer.digest).collect(),
            documents: Vec::new(),
        })
    }

    /// Returns the error for a document where an image was asked for.
    fn is_document(&self, found: &FetchedDocument) -> StepError {
        let Ok(manifest) = ArtifactManifest::parse(&found.bytes) else { return self.no_image("it is something else") };
        let error = self.no_image(&format!("it is a document of the type `{}`", manifest.artifact_type.escape_debug()));
        match manifest.subject {
            Some(subject) => {
                let place = format!("{}/{}@{}", self.reference.registry(), self.reference.repository(), subject);
                error.hint(format!("it is about {}; `--show` prints it", place.escape_debug()))
            }
            None => error,
        }
    }

    /// Returns the documents about an index or a manifest. One that is broken is noted, and does not hide the others.
    fn documents(&mut self, subject: &str) -> Result<Vec<PublishedDocument>, StepError> {
        let list = self.registry.referrers(self.reference, subject, &self.watcher);
        let list = match list {
            Err(
                error @ (RegistryError::Unsound { .. } | RegistryError::Failed { .. } | RegistryError::Denied { .. }),
            ) => {
                self.notes.push(format!("its documents are not known: {error}"));
                return Ok(Vec::new());
            }
            list => list.map_err(step_error)?,
        };
        if list.len() > DOCUMENTS_MAX {
            self.notes.push(format!("{} more documents of {subject}", list.len() - DOCUMENTS_MAX));
        }
        let mut found = Vec::new();
        for referrer in list.into_iter().take(DOCUMENTS_MAX) {
            found.extend(self.document(&referrer.digest, Found::List(subject))?);
        }
        Ok(found)
    }

    /// Returns what cosign kept under tags of its own.
    fn tagged(&mut self, subject: &str) -> Result<Vec<PublishedDocument>, StepError> {
        let mut found = Vec::new();
        for ending in COSIGN_TAGS {
            let Some(name) = under_cosign_tag(self.reference, subject, ending) else { continue };
            match self.registry.document(&name, &self.watcher) {
                Ok(document) => found.extend(self.files(&document, Found::Tag(subject))),
                Err(RegistryError::NotFound(_)) => {}
                Err(RegistryError::Interrupted) => return Err(StepError::Interrupted),
                Err(error) => self.notes.push(format!("{name} can't be read: {error}")),
            }
        }
        Ok(found)
    }

    fn document(&mut self, digest: &Digest, place: Found<'_>) -> Result<Vec<PublishedDocument>, StepError> {
        let name = digest.oci();
        let found = match self.registry.document_of(self.reference, digest, &self.watcher) {
            Ok(found) => found,
            Err(error @ (RegistryError::NotFound(_) | RegistryError::Unsound { .. })) => {
                self.notes.push(format!("the document {name} can't be read: {error}"));
                return Ok(Vec::new());
            }
            Err(error) => return Err(step_error(error)),
        };
        Ok(self.files(&found, place))
    }

    /// Returns the files of a document.
    fn files(&mut self, found: &FetchedDocument, place: Found<'_>) -> Vec<PublishedDocument> {
        let name = found.digest.oci();
        let manifest = match ArtifactManifest::parse(&found.bytes) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.notes.push(format!("the document {name} can't be read: {error}"));
                return Vec::new();
            }
        };
        if let Found::List(subject) = place
            && manifest.subject.as_deref() != Some(subject)
        {
            self.notes.push(format!("the document {name} is listed here and is about something else"));
            return Vec::new();
        }
        let made_by = made_by(&manifest, place);
        let of_rondel = manifest.annotations.get(DOCUMENT_NAME).cloned();
        let document = PublishedDocument {
            name: of_rondel,
            predicate: [BUNDLE_PREDICATE, PREDICATE].iter().find_map(|name| manifest.annotations.get(*name)).cloned(),
            media_type: manifest.artifact_type,
            manifest: name,
            contents: None,
            made_by,
            annotations: manifest.annotations,
            signed_by: None,
        };
        if manifest.files.is_empty() {
            return vec![document];
        }
        let files = manifest.files.into_iter().take(DOCUMENTS_MAX).map(|file| {
            let name = document.name.clone().or_else(|| file.title().map(str::to_owned));
            let of_file = [PREDICATE, COSIGN_PREDICATE].iter().find_map(|name| file.annotations.get(*name)).cloned();
            let predicate = document.predicate.clone().or(of_file);
            let signed_by = self.signed_by(&file, place);
            let one = PublishedDocument { name, predicate, contents: Some(file.digest), signed_by, ..document.clone() };
            let media_type = if matches!(place, Found::List(_)) { one.media_type } else { file.media_type };
            PublishedDocument { media_type, ..one }
        });
        files.collect()
    }

    /// Returns whose signature a file is, if it is one.
    fn signed_by(&self, file: &ArtifactFile, place: Found<'_>) -> Option<SignedBy> {
        let (Found::List(subject) | Found::Tag(subject)) = place else { return None };
        if !is_signature(&file.media_type) || file.digest.size() > SIGNATURE_MAX {
            return None;
        }
        let contents = self.registry.small_blob(self.reference, &file.digest, &self.watcher).ok()?;
        Some(self.keys.signed_by(file, &contents, subject))
    }

    /// Returns BuildKit's attestations, which are entries of the index, each with the manifest that it is about.
    fn attestations(
        &mut self,
        entries: &[Descriptor],
        top: &FetchedDocument,
    ) -> Result<Vec<(String, PublishedDocument)>, StepError> {
        let listed = json(&top.bytes)["manifests"].as_array().cloned().unwrap_or_default();
        let mut found = Vec::new();
        for entry in entries.iter().take(DOCUMENTS_MAX) {
            let own = listed.iter().find(|own| own["digest"].as_str() == Some(entry.digest.oci().as_str()));
            let about = own.and_then(|own| own["annotations"][ABOUT].as_str()).unwrap_or_default().to_owned();
            let files = self.document(&entry.digest, Found::Index)?;
            found.extend(files.into_iter().map(|document| (about.clone(), document)));
        }
        Ok(found)
    }
}

/// Returns the program that made a document, by what its manifest says.
fn made_by(manifest: &ArtifactManifest, place: Found<'_>) -> &'static str {
    let is_of = |names: &[&str]| names.iter().any(|name| manifest.artifact_type.starts_with(name));
    match place {
        Found::Index => "BuildKit",
        Found::Tag(_) => "cosign",
        Found::List(_) if manifest.annotations.contains_key(DOCUMENT_NAME) => "rondel",
        Found::List(_) if is_of(&["application/vnd.dev.sigstore.", "application/vnd.dev.cosign."]) => "cosign",
        Found::List(_) if is_of(&["application/vnd.cncf.notary."]) => "notation",
        Found::List(_) => "",
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}
