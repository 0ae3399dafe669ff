//! `PushStep`: an image goes to registries. It asks what is there, sends the rest, and sets the names when
//! everything is in its place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rondel_cas::{Digest, RelativePath};
use rondel_engine::{
    Freshness, Job, Metadata, MetadataType, Prepared, Query, Report, Step, StepContext, StepError, UserError,
};
use rondel_names::ImageReference;
use rondel_oci::INDEX;
use rondel_registry::{Destination, Placed, Registry, Watcher};
use serde::{Deserialize, Serialize};

use crate::image::metadata::image_of;
use crate::push::at_once::{Watch, at_once};
use crate::push::content::{Content, ManifestContent, read_index};
use crate::push::documents::{DeclaredDocument, DocumentPlace, PushedDocument, ask, attach, places, read_documents};
use crate::push::merged_index::merged_index;
use crate::push::signature_tags::{self, DeclaredTags, set_tags};
use crate::registries::{Registries, step_error};

/// How often a name is set that others set at the same time.
const TRIES_MAX: usize = 6;

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMetadata {
    /// `registry.example/team/app:1.2@sha256:…`, in the order of `to`.
    pub references: Vec<String>,
    /// The documents about it, each with a reference to its manifest: `sbom.json registry.example/team/app@sha256:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<String>,
}

impl MetadataType for PushMetadata {
    const NAME: &'static str = "push-1";
}

pub(crate) struct PushStep {
    pub registries: Arc<Registries>,
    /// Directory of the layout, relative to the workspace; the first upstream step makes it.
    pub layout: RelativePath,
    /// Where it goes, each once.
    pub to: Vec<ImageReference>,
    /// True if the image is not made for all platforms that build.ron declares for it.
    pub is_partial: bool,
    pub offline: bool,
    /// What is attached to it; the steps that make it are upstream, behind that of the layout.
    pub documents: Vec<DeclaredDocument>,
    /// What is kept under cosign's tags.
    pub tags: Option<DeclaredTags>,
}

/// A name, and the index that it shall have.
pub(crate) struct Named {
    digest: String,
    /// The index with the entries of other platforms; `None` for that of the layout.
    merged: Option<Vec<u8>>,
    /// What it leads to now, `sha256:…`.
    now: Option<String>,
}

impl Named {
    fn is_there(&self) -> bool {
        self.now.as_ref() == Some(&self.digest)
    }

    /// Returns why there is something to do, in words.
    fn lack(&self, to: &ImageReference) -> String {
        match &self.now {
            Some(now) if *now == self.digest => format!("`{to}` is there, and --force sets it again"),
            Some(now) => format!("`{to}` leads to {now}"),
            None => format!("nothing is at `{to}`"),
        }
    }
}

/// What a push did.
#[derive(Default)]
struct Tally {
    sent: usize,
    bytes: u64,
    mounted: usize,
    present: usize,
}

impl PushStep {
    /// Returns the references with what they lead to.
    fn pushed(&self, digests: impl Iterator<Item = String>, attached: Vec<String>) -> PushMetadata {
        let references = self.to.iter().zip(digests).map(|(to, digest)| format!("{to}@{digest}")).collect();
        PushMetadata { references, attached }
    }

    /// Returns the documents that are attached, or why there is something to do.
    fn documents_there(
        &self,
        named: &[Named],
        digest: &str,
        registry: &Registry,
        context: &StepContext<'_>,
    ) -> Result<Result<Vec<String>, String>, StepError> {
        if self.documents.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let directory = self.layout.below(&context.workspace.root);
        let (own, _, entries) = read_index(&directory, digest).map_err(|error| self.unsound(&error))?;
        let documents = read_documents(&self.documents, context)?;
        let index = |named: &Named| named.merged.as_ref().map_or(own, |bytes| Digest::of(bytes));
        let to: Vec<(&ImageReference, Digest)> = self.to.iter().zip(named.iter().map(index)).collect();
        let places = ask(registry, places(&documents, &to, &entries), context)?;
        if let Some(lack) = places.iter().find_map(DocumentPlace::lack) {
            return Ok(Err(lack));
        }
        if let Some(tags) = &self.tags
            && let Some(lack) = signature_tags::lack(registry, &tags.tags(&to, &entries, context)?, context)?
        {
            return Ok(Err(lack));
        }
        Ok(Ok(places.iter().flat_map(DocumentPlace::attached).collect()))
    }

    /// Asks what the names lead to.
    fn ask(&self, digest: &str, registry: &Registry, context: &StepContext<'_>) -> Result<Vec<Named>, StepError> {
        let watch = Watch::new(context);
        if self.is_partial {
            let directory = self.layout.below(&context.workspace.root);
            let own = read_index(&directory, digest).map_err(|error| self.unsound(&error))?;
            return at_once(&self.to, &watch, |to| {
                let (named, kept) = merged_name(registry, to, (&own.0, &own.1), &watch)?;
                if !kept.is_empty() {
                    context.note(format!("{to} keeps {}", kept.join(", ")));
                }
                Ok(named)
            });
        }
        at_once(&self.to, &watch, |to| {
            let destination = registry.destination(to, Vec::new());
            let now = registry.digest_at(&destination, tag_of(to), &watch.watcher()).map_err(step_error)?;
            Ok(Named { digest: digest.to_owned(), merged: None, now })
        })
    }

    fn unsound(&self, error: &str) -> StepError {
        StepError::failed(format!("`{}` is no sound layout: {error}", self.layout)).hint("run again with --force")
    }

    /// Sends blobs and manifests to one repository; `earlier` is another one of the registry that has them all.
    fn fill(
        &self,
        (registry, to, earlier): (&Registry, &ImageReference, Option<&str>),
        content: &Content,
        context: &StepContext<'_>,
    ) -> Result<Tally, StepError> {
        let watch = Watch::new(context);
        let base = |manifest: &ManifestContent| {
            let base = manifest.base.as_ref().filter(|base| base.registry() == to.registry());
            base.map(|base| base.repository().to_owned())
        };
        let mut sources: Vec<String> = content.manifests.iter().filter_map(base).collect();
        sources.extend(earlier.map(str::to_owned));
        sources.sort();
        sources.dedup();
        let destination = registry.destination(to, sources);
        // A manifest that is there does not prove its blobs: somebody may have deleted them.
        let mut blobs: BTreeMap<Digest, Option<String>> = BTreeMap::new();
        for manifest in &content.manifests {
            let from = earlier.map(str::to_owned).or_else(|| base(manifest));
            blobs.extend(manifest.blobs.iter().map(|blob| (*blob, from.clone())));
        }
        let tally = send_blobs(registry, &destination, &Vec::from_iter(blobs), content, &watch)?;
        at_once(&content.manifests, &watch, |manifest| {
            let name = manifest.digest.oci();
            if registry.digest_at(&destination, &name, &watch.watcher()).map_err(step_error)?.is_some() {
                return Ok(());
            }
            let (kind, bytes) = (&manifest.media_type, &manifest.bytes);
            registry.put_document(&destination, &name, kind, bytes, &watch.watcher()).map_err(step_error)
        })?;
        Ok(tally)
    }

    /// Attaches the documents that the registries lack; returns all of them. `indexes` is what the names lead to.
    fn attach(
        &self,
        registry: &Registry,
        documents: &[PushedDocument],
        indexes: &[Digest],
        content: &Content,
        context: &Job<'_>,
    ) -> Result<Vec<String>, StepError> {
        let to: Vec<(&ImageReference, Digest)> = self.to.iter().zip(indexes.iter().copied()).collect();
        let places = ask(registry, places(documents, &to, &content.entries), context)?;
        attach(registry, &places, context.staging, context)?;
        if let Some(tags) = &self.tags {
            set_tags(registry, &tags.tags(&to, &content.entries, context)?, context.staging, context)?;
        }
        Ok(places.iter().flat_map(DocumentPlace::attached).collect())
    }

    /// Sets the names, once everything is where they lead. Returns what each of them leads to.
    fn set_names(
        &self,
        registry: &Registry,
        named: &[Named],
        content: &Content,
        context: &StepContext<'_>,
    ) -> Result<Vec<Digest>, StepError> {
        let watch = Watch::new(context);
        let (mut set, mut digests) = (Vec::new(), Vec::new());
        for (to, named) in self.to.iter().zip(named) {
            let is_there = named.is_there() && !context.is_forced();
            let outcome = match (self.is_partial, is_there) {
                (true, _) => set_merged(registry, to, &content.index, &watch),
                (false, true) => Ok(content.index.0),
                (false, false) => set_name(registry, to, &content.index.1, &watch).map(|()| content.index.0),
            };
            match outcome {
                Ok(digest) => digests.push(digest),
                Err(error) => {
                    if !set.is_empty() {
                        let are = if set.len() == 1 { "was" } else { "were" };
                        context.warn(format!("{} {are} set before the push failed", set.join(", ")));
                    }
                    return Err(error);
                }
            }
            if !is_there {
                set.push(to.to_string());
            }
        }
        Ok(digests)
    }
}

/// Gives an index its name.
fn set_name(registry: &Registry, to: &ImageReference, index: &[u8], watch: &Watch<'_>) -> Result<(), StepError> {
    let destination = registry.destination(to, Vec::new());
    registry.put_document(&destination, tag_of(to), INDEX, index, &watch.watcher()).map_err(step_error)
}

/// Gives a name the entries of `own`, beside those of other platforms that it has at this moment. Another runner may do the
/// same, so that it looks once more afterwards. Returns the digest.
fn set_merged(
    registry: &Registry,
    to: &ImageReference,
    (digest, bytes): &(Digest, Vec<u8>),
    watch: &Watch<'_>,
) -> Result<Digest, StepError> {
    for _ in 0..TRIES_MAX {
        let (named, _) = merged_name(registry, to, (digest, bytes), watch)?;
        let index = named.merged.as_deref().unwrap_or(bytes);
        if named.is_there() {
            return Ok(Digest::of(index));
        }
        set_name(registry, to, index, watch)?;
    }
    Err(StepError::environment(format!("`{to}` is set by others again and again")).hint("run again"))
}

/// Returns what a name has to lead to, so that it has the entries of `own` and keeps those of other platforms; and the
/// platforms that it keeps.
fn merged_name(
    registry: &Registry,
    to: &ImageReference,
    (own, bytes): (&Digest, &[u8]),
    watch: &Watch<'_>,
) -> Result<(Named, Vec<String>), StepError> {
    let destination = registry.destination(to, Vec::new());
    let found = registry.document_there(&destination, tag_of(to), &watch.watcher()).map_err(step_error)?;
    let now = found.as_ref().map(|found| found.digest.oci());
    let Some(found) = found.filter(|found| found.digest != *own) else {
        return Ok((Named { digest: own.oci(), merged: None, now }, Vec::new()));
    };
    let wrong = |message: String| {
        let hint = "push without --platform, or to a name of its own";
        StepError::User(UserError::environment(message).hint(hint))
    };
    let merged = merged_index(bytes, &found.media_type, &found.bytes)
        .map_err(|error| wrong(format!("`{to}` can't keep its other platforms: {error}")))?;
    for (platform, digest) in &merged.kept {
        if registry.digest_at(&destination, digest, &watch.watcher()).map_err(step_error)?.is_none() {
            return Err(wrong(format!("`{to}` can't keep its other platforms: that of {platform} is gone")));
        }
    }
    let kept = merged.kept.into_iter().map(|(platform, _)| platform).collect();
    Ok((Named { now, digest: Digest::of(&merged.bytes).oci(), merged: Some(merged.bytes) }, kept))
}

impl Step for PushStep {
    type Findings = Vec<Named>;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Vec<Named>>, StepError> {
        if context.is_question() {
            let freshness = Freshness::always("registries are asked what they have");
            return Ok(Prepared::unkeyed(freshness).with(Vec::new()));
        }
        if self.offline {
            let message = format!("`{}` is in a registry, and --offline forbids to ask it", self.to[0]);
            return Err(StepError::environment(message).hint("run without --offline"));
        }
        let image = image_of(context, 0).ok_or_else(|| self.unsound("its record is incomplete"))?;
        let registry = self.registries.registry(context.cancellation)?;
        let named = self.ask(&image.digest, registry, context)?;
        let lacking = self.to.iter().zip(&named).find(|(_, named)| !named.is_there() || context.is_forced());
        let found = match lacking {
            Some((to, named)) => Err(named.lack(to)),
            None => self.documents_there(&named, &image.digest, registry, context)?,
        };
        let freshness = match found {
            Err(lack) => Freshness::not_present(lack),
            Ok(attached) => {
                let digests = named.iter().map(|named| named.digest.clone());
                Freshness::UpToDate(Metadata::of(&self.pushed(digests, attached)))
            }
        };
        Ok(Prepared::unkeyed(freshness).with(named))
    }

    fn run(&self, prepared: &Prepared<Vec<Named>>, context: &Job<'_>) -> Result<Report, StepError> {
        let image = image_of(context, 0).ok_or_else(|| self.unsound("its record is incomplete"))?;
        let directory = self.layout.below(&context.workspace.root);
        let content = Content::read(&directory, &image.digest).map_err(|error| self.unsound(&error))?;
        let registry = self.registries.registry(context.cancellation)?;
        let documents = read_documents(&self.documents, context)?;
        let mut filled: Vec<&ImageReference> = Vec::new();
        for to in &self.to {
            let is_same_registry = |other: &&&ImageReference| other.registry() == to.registry();
            if filled.iter().any(|other| is_same_registry(&other) && other.repository() == to.repository()) {
                continue;
            }
            let earlier = filled.iter().find(is_same_registry).map(|other| other.repository());
            let tally = self.fill((registry, to, earlier), &content, context)?;
            context.note(format!("{}/{}: {tally}", to.registry(), to.repository()));
            filled.push(to);
        }
        // What is said of an image is there when its name is. Which index a part gets is known only afterwards.
        let indexes = vec![content.index.0; self.to.len()];
        let before =
            if self.is_partial { None } else { Some(self.attach(registry, &documents, &indexes, &content, context)?) };
        let digests = self.set_names(registry, &prepared.findings, &content, context)?;
        let attached = match before {
            Some(attached) => attached,
            None => self.attach(registry, &documents, &digests, &content, context)?,
        };
        Ok(Report::of(Metadata::of(&self.pushed(digests.iter().map(Digest::oci), attached))))
    }
}

/// Brings blobs to a repository; with each comes another repository of the registry that may have it.
fn send_blobs(
    registry: &Registry,
    to: &Destination,
    blobs: &[(Digest, Option<String>)],
    content: &Content,
    watch: &Watch<'_>,
) -> Result<Tally, StepError> {
    let total: u64 = blobs.iter().map(|(blob, _)| blob.size()).sum();
    let done: Vec<AtomicU64> = blobs.iter().map(|_| AtomicU64::new(0)).collect();
    let numbers: Vec<usize> = (0..blobs.len()).collect();
    let placed = at_once(&numbers, watch, |number| {
        let (blob, from) = &blobs[*number];
        let progress = |sent: u64, of: u64| {
            if of > 0 {
                done[*number].store(sent, Ordering::Relaxed);
                let sum = done.iter().map(|part| part.load(Ordering::Relaxed)).sum();
                watch.context.progress("pushing", sum, total);
            }
            watch.goes_on()
        };
        let watcher = Watcher { progress: &progress, ..watch.watcher() };
        let placed = registry.push_blob(to, blob, &content.file(blob), from.as_deref(), &watcher);
        done[*number].store(blob.size(), Ordering::Relaxed);
        placed.map_err(step_error)
    })?;
    let mut tally = Tally::default();
    for ((blob, _), placed) in blobs.iter().zip(placed) {
        match placed {
            Placed::Sent => (tally.sent, tally.bytes) = (tally.sent + 1, tally.bytes + blob.size()),
            Placed::Mounted => tally.mounted += 1,
            Placed::Present => tally.present += 1,
        }
    }
    Ok(tally)
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.sent, "sent"), (self.mounted, "mounted"), (self.present, "there")];
        let words: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        match words.is_empty() {
            true => formatter.write_str("all blobs are there"),
            false => write!(formatter, "blobs: {}; {} bytes sent", words.join(", "), self.bytes),
        }
    }
}

fn tag_of(reference: &ImageReference) -> &str {
    reference.tag().unwrap_or("latest")
}
