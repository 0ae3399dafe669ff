//! The tags where cosign looked for signatures and attestations before registries listed documents: `sha256-….sig` and
//! `sha256-….att`. What others keep there stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rondel_cas::Digest;
use rondel_engine::{OutputUse, StepContext, StepError};
use rondel_names::ImageReference;
use rondel_oci::{Descriptor, MANIFEST, SignatureLayer, SignatureTag};
use rondel_registry::{Placed, Registry};
use rondel_signatures::bundle::Bundle;
use rondel_signatures::{dsse, simple_signing};

use crate::image_signature::cosign_tag;
use crate::push::at_once::{Watch, at_once};
use crate::push::documents::{DOCUMENT_MAX, subject_of};
use crate::push::signed::{Signed, SignedContents};
use crate::registries::step_error;

/// How often a tag is set that others set at the same time.
const TRIES_MAX: usize = 6;
/// What cosign says of an attestation.
const PREDICATE: &str = "predicateType";

/// What a push keeps under such tags.
#[derive(Clone)]
pub(crate) struct DeclaredTags {
    /// The signatures of images: the results of `PushSignStep`.
    pub old: OutputUse,
    /// What was signed, each with its bundle.
    pub signed: Vec<(Signed, OutputUse)>,
}

/// A tag, and what has to be under it.
pub(crate) struct Tag<'a> {
    to: &'a ImageReference,
    name: String,
    layers: Vec<SignatureLayer>,
}

fn unsound(what: &str) -> StepError {
    StepError::failed(format!("the signatures are incomplete: {what}")).hint("run again with --force")
}

impl DeclaredTags {
    /// Returns the tags of all repositories. `to` has the digest of the index of each name, `entries` are its images.
    pub fn tags<'a>(
        &self,
        to: &[(&'a ImageReference, Digest)],
        entries: &[Descriptor],
        context: &StepContext<'_>,
    ) -> Result<Vec<Tag<'a>>, StepError> {
        let old: BTreeMap<String, String> = serde_json::from_slice(&self.old.contents(context, DOCUMENT_MAX)?)
            .map_err(|_| unsound("their list is none"))?;
        let mut bundles = Vec::with_capacity(self.signed.len());
        for (_, bundle) in &self.signed {
            bundles.push(bundle.contents(context, DOCUMENT_MAX)?);
        }
        let mut tags: BTreeMap<(String, String), Tag<'a>> = BTreeMap::new();
        for (to, index) in to {
            for ((signed, _), bundle) in self.signed.iter().zip(&bundles) {
                let Some(subject) = subject_of(signed.platform.as_ref(), index, entries) else { continue };
                let (ending, layer) = match signed.what {
                    SignedContents::Image => ("sig", signature(&old, to, &subject.digest)?),
                    // There was nothing to sign.
                    SignedContents::Statement(..) if bundle.is_empty() => continue,
                    SignedContents::Bill(..) | SignedContents::Statement(..) => ("att", attestation(signed, bundle)?),
                };
                let name = cosign_tag(&subject.digest.oci(), ending);
                let tag = tags.entry((to.full_repository(), name.clone()));
                let tag = tag.or_insert_with(|| Tag { to, name, layers: Vec::new() });
                if !tag.layers.contains(&layer) {
                    tag.layers.push(layer);
                }
            }
        }
        Ok(tags.into_values().collect())
    }
}

fn signature(
    old: &BTreeMap<String, String>,
    to: &ImageReference,
    digest: &Digest,
) -> Result<SignatureLayer, StepError> {
    let repository = to.full_repository();
    let name = format!("{repository}@{}", digest.oci());
    let signature = old.get(&name).ok_or_else(|| unsound("one is missing"))?;
    Ok(SignatureLayer {
        media_type: simple_signing::MEDIA_TYPE.to_owned(),
        contents: simple_signing::payload(&repository, digest),
        annotations: [(simple_signing::SIGNATURE_ANNOTATION.to_owned(), signature.clone())].into(),
    })
}

fn attestation(signed: &Signed, bundle: &[u8]) -> Result<SignatureLayer, StepError> {
    let bundle = Bundle::from_json(bundle).map_err(|error| unsound(&error.to_string()))?;
    let envelope = bundle.envelope().ok_or_else(|| unsound("one is no envelope"))?;
    let predicate = signed.what.predicate_type().to_owned();
    Ok(SignatureLayer {
        media_type: dsse::MEDIA_TYPE.to_owned(),
        contents: envelope.to_json(),
        annotations: [
            // The signature is in the envelope.
            (simple_signing::SIGNATURE_ANNOTATION.to_owned(), String::new()),
            (PREDICATE.to_owned(), predicate),
        ]
        .into(),
    })
}

/// Returns what is lacking of the tags, in words.
pub(crate) fn lack(
    registry: &Registry,
    tags: &[Tag<'_>],
    context: &StepContext<'_>,
) -> Result<Option<String>, StepError> {
    let watch = Watch::new(context);
    let wanted = at_once(tags, &watch, |tag| tag.wanted(registry, &watch))?;
    let lacking = tags.iter().zip(wanted).find(|(_, wanted)| wanted.is_some() || context.is_forced());
    Ok(lacking.map(|(tag, _)| format!("{} lacks signatures under `{}`", tag.to.full_repository(), tag.name)))
}

/// Sets the tags that lack something.
pub(crate) fn set_tags(
    registry: &Registry,
    tags: &[Tag<'_>],
    scratch: &Path,
    context: &StepContext<'_>,
) -> Result<(), StepError> {
    let watch = Watch::new(context);
    let mut counts: BTreeMap<String, (usize, usize, u64)> = BTreeMap::new();
    for tag in tags {
        let count = counts.entry(tag.to.full_repository()).or_default();
        let (blobs, bytes, was_set) = tag.set(registry, scratch, context, &watch)?;
        *count = (count.0 + usize::from(was_set), count.1 + blobs, count.2 + bytes);
    }
    for (repository, (tags, blobs, bytes)) in counts {
        context.note(format!("{repository}: tags of signatures: {tags} set; {blobs} blobs, {bytes} bytes sent"));
    }
    Ok(())
}

impl Tag<'_> {
    /// Returns what has to be under the tag; `None` if it is there.
    fn wanted(&self, registry: &Registry, watch: &Watch<'_>) -> Result<Option<SignatureTag>, StepError> {
        let destination = registry.destination(self.to, Vec::new());
        let there = registry.document_there(&destination, &self.name, &watch.watcher()).map_err(step_error)?;
        SignatureTag::with(there.as_ref().map(|there| there.bytes.as_slice()), &self.layers).map_err(|error| {
            let message = format!("`{}:{}` can't take signatures: {error}", self.to.full_repository(), self.name);
            StepError::environment(message).hint("remove the tag")
        })
    }

    /// Sends what is lacking; returns the number of blobs that were sent, of their bytes, and whether the tag was set. Others may
    /// set it at the same time, so it is looked at again afterwards.
    fn set(
        &self,
        registry: &Registry,
        scratch: &Path,
        context: &StepContext<'_>,
        watch: &Watch<'_>,
    ) -> Result<(usize, u64, bool), StepError> {
        let destination = registry.destination(self.to, Vec::new());
        let (mut count, mut was_set) = ((0, 0), false);
        let mut send = |bytes: &[u8]| {
            let digest = Digest::of(bytes);
            let path = scratch.join(digest.hex());
            fs::write(&path, bytes).map_err(|error| StepError::unwritable(&path, &error))?;
            let placed =
                registry.push_blob(&destination, &digest, &path, None, &watch.watcher()).map_err(step_error)?;
            if placed == Placed::Sent {
                count = (count.0 + 1, count.1 + digest.size());
            }
            Ok::<(), StepError>(())
        };
        for _ in 0..TRIES_MAX {
            let Some(wanted) = self.wanted(registry, watch)? else {
                // What the layers name may have been deleted.
                if !was_set && context.is_forced() {
                    self.layers.iter().try_for_each(|layer| send(&layer.contents))?;
                }
                return Ok((count.0, count.1, was_set));
            };
            if !was_set {
                self.layers.iter().try_for_each(|layer| send(&layer.contents))?;
            }
            send(&wanted.config)?;
            let put = registry.put_document(&destination, &self.name, MANIFEST, &wanted.manifest, &watch.watcher());
            put.map_err(step_error)?;
            was_set = true;
        }
        let message = format!("`{}:{}` is set by others again and again", self.to.full_repository(), self.name);
        Err(StepError::environment(message).hint("run again"))
    }
}
