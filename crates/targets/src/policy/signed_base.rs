//! `SignedBaseStep`: the image of a registry that an image lies on is signed by one key.
//!
//! What is signed by a key stays so: the result is kept under the digest of the pinned manifest and the key, and no registry is
//! asked again. Signed is the manifest itself, or the index that the name of the base leads to and that lists it.

use std::sync::Arc;

use rondel_buildfile::{Platform, RegistryReference, Span, TargetName};
use rondel_cas::Digest;
use rondel_engine::{ActionSpec, Job, PROGRAM, Prepared, Query, Report, Step, StepError, UserError};
use rondel_oci::Document;
use rondel_registry::{FetchedDocument, RegistryError, Watcher};
use rondel_signatures::PublicKey;

use super::image_signatures::{Search, Seeker, Signed};
use crate::base::Bases;
use crate::registries::{Registries, step_error};

/// What a check means. A change of that changes the text.
const FORMAT: &str = "rondel-signed-base-1";

pub(crate) struct SignedBaseStep {
    /// The target whose policy it is.
    pub target: TargetName,
    pub bases: Arc<Bases>,
    pub registries: Arc<Registries>,
    pub reference: RegistryReference,
    pub platform: Platform,
    pub key: PublicKey,
    /// File of the key, as build.ron has it.
    pub key_path: String,
    pub offline: bool,
    /// Place of the rule.
    pub span: Span,
}

/// What the registry of a base has.
struct Found {
    /// The pinned manifest.
    manifest: FetchedDocument,
    /// The index that the name leads to, if it lists the manifest.
    index: Option<FetchedDocument>,
    /// True if the name leads to another image.
    has_moved: bool,
}

impl SignedBaseStep {
    /// Asks for the pinned manifest, and for what the name leads to.
    fn found(&self, manifest: &Digest, job: &Job<'_>, watcher: &Watcher<'_>) -> Result<Found, StepError> {
        let registry = self.registries.registry(job.cancellation)?;
        let own = registry.document_of(&self.reference, manifest, watcher).map_err(step_error)?;
        let top = match registry.document(&self.reference, watcher) {
            Ok(top) => top,
            // The name may be gone; the manifest can be signed by itself.
            Err(RegistryError::NotFound(_)) => return Ok(Found { manifest: own, index: None, has_moved: true }),
            Err(error) => return Err(step_error(error)),
        };
        let lists_it = match Document::parse(&top.media_type, &top.bytes) {
            Ok(Document::Index(entries)) => {
                entries.iter().any(|entry| !entry.is_attestation && entry.digest == *manifest)
            }
            Ok(Document::Manifest { .. }) | Err(_) => false,
        };
        let has_moved = !lists_it && top.digest != *manifest;
        Ok(Found { manifest: own, index: lists_it.then_some(top), has_moved })
    }

    fn refusal(&self, manifest: &Digest, search: &Search, has_moved: bool) -> StepError {
        let (reference, platform, key) = (&self.reference, &self.platform, &self.key_path);
        let digest = manifest.oci();
        let message = format!(
            "`{}` needs a signed base, and `{reference}` for {platform} ({digest}) has no signature of `{key}`",
            self.target
        );
        if let Some(failure) = search.failures.first() {
            let message = format!("{message}; not everything was looked at: {failure}");
            return StepError::User(
                UserError::environment(message).at(self.span).hint("check the network, and run again"),
            );
        }
        let found = match search.others {
            0 => "nothing signs it".to_owned(),
            1 => "a signature about it is of another key, or damaged".to_owned(),
            count => format!("{count} signatures about it are of other keys, or damaged"),
        };
        let hint = match has_moved {
            false => format!(
                "check that `{key}` is the key of whoever makes the base, or pin a signed one: `{PROGRAM} lock --update base`"
            ),
            true => format!(
                "`{reference}` leads to another image now than to the pinned one, and a signature of its index is not found that way: \
                 run `{PROGRAM} lock --update base`, or name the base by the digest of its index"
            ),
        };
        StepError::User(UserError::input(format!("{message}: {found}")).at(self.span).hint(hint))
    }
}

impl Step for SignedBaseStep {
    type Findings = Digest;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Digest>, StepError> {
        let image = self.bases.image(&self.reference, &self.platform, query)?;
        let mut spec = ActionSpec { arguments: vec!["signed base".to_owned()], ..ActionSpec::default() };
        spec.settings.insert("format".to_owned(), FORMAT.to_owned());
        spec.settings.insert("manifest".to_owned(), image.manifest.digest.to_string());
        spec.settings.insert("key".to_owned(), self.key.fingerprint());
        Ok(Prepared::by_key(spec).with(image.manifest.digest))
    }

    fn run(&self, prepared: &Prepared<Digest>, job: &Job<'_>) -> Result<Report, StepError> {
        let manifest = &prepared.findings;
        if self.offline {
            let message = format!(
                "whether `{}` is signed by `{}` was never looked up here, and --offline forbids to ask its registry",
                self.reference, self.key_path
            );
            return Err(StepError::environment(message).hint("run once without --offline"));
        }
        let (progress, say) = (|_, _| !job.cancellation.is_raised(), |text: String| job.note(text));
        let watcher = Watcher { progress: &progress, say: &say };
        let found = self.found(manifest, job, &watcher)?;
        let registry = self.registries.registry(job.cancellation)?;
        let seeker = Seeker { registry, reference: &self.reference, key: &self.key, watcher };
        let mut search = Search::default();
        for document in found.index.iter().chain([&found.manifest]) {
            let signed = Signed { digest: document.digest, bytes: &document.bytes };
            if seeker.finds(&signed, &mut search).map_err(step_error)? {
                return Ok(Report::default());
            }
        }
        Err(self.refusal(manifest, &search, found.has_moved))
    }
}
