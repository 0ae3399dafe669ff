//! Whether an image of a registry has a signature of one key, in a form that `cosign sign` has. All that a registry says is
//! held against the key: nothing of it is believed before.

use rondel_cas::Digest;
use rondel_evidence::SIGNED;
use rondel_names::ImageReference;
use rondel_oci::{ArtifactFile, ArtifactManifest};
use rondel_registry::{Registry, RegistryError, Watcher};
use rondel_signatures::bundle::{self, Bundle};
use rondel_signatures::dsse::{Envelope, IN_TOTO};
use rondel_signatures::{PublicKey, simple_signing};
use serde_json::Value;

/// Maximum size of a signature in bytes.
const SIGNATURE_MAX: u64 = 1 << 20;
/// Maximum numbers of documents about an image that are looked at, and of signatures in one of them.
const DOCUMENTS_MAX: usize = 1000;
const SIGNATURES_MAX: usize = 100;

/// An index or a manifest that may be signed.
pub(super) struct Signed<'a> {
    pub digest: Digest,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What a search found out.
#[derive(Default)]
pub(super) struct Search {
    /// Number of signatures that are not of the key, or of something else.
    pub others: usize,
    /// Why a part of the registry was not asked.
    pub failures: Vec<String>,
}

/// Who looks for signatures of one key in the repository of an image.
pub(super) struct Seeker<'a> {
    pub registry: &'a Registry,
    pub reference: &'a ImageReference,
    pub key: &'a PublicKey,
    pub watcher: Watcher<'a>,
}

impl Seeker<'_> {
    /// Returns true if `signed` has a signature of the key: under the tag of its digest, or among the documents about it.
    pub fn finds(&self, signed: &Signed<'_>, search: &mut Search) -> Result<bool, RegistryError> {
        Ok(self.under_tag(signed, search)? || self.among_documents(signed, search)?)
    }

    fn under_tag(&self, signed: &Signed<'_>, search: &mut Search) -> Result<bool, RegistryError> {
        let (registry, repository) = (self.reference.registry(), self.reference.repository());
        let name = format!("{registry}/{repository}:sha256-{}.sig", signed.digest.hex());
        let Ok(name) = ImageReference::new(&name) else { return Ok(false) };
        match self.registry.document(&name, &self.watcher) {
            Ok(found) => self.in_manifest(&found.bytes, signed, search),
            Err(RegistryError::NotFound(_)) => Ok(false),
            Err(RegistryError::Interrupted) => Err(RegistryError::Interrupted),
            Err(error) => {
                search.failures.push(error.to_string());
                Ok(false)
            }
        }
    }

    fn among_documents(&self, signed: &Signed<'_>, search: &mut Search) -> Result<bool, RegistryError> {
        let list = match self.registry.referrers(self.reference, &signed.digest.oci(), &self.watcher) {
            Err(RegistryError::Interrupted) => return Err(RegistryError::Interrupted),
            Err(error) => {
                search.failures.push(error.to_string());
                return Ok(false);
            }
            Ok(list) => list,
        };
        for referrer in list.iter().take(DOCUMENTS_MAX) {
            let found = match self.registry.document_of(self.reference, &referrer.digest, &self.watcher) {
                Err(RegistryError::Interrupted) => return Err(RegistryError::Interrupted),
                Err(error) => {
                    search.failures.push(error.to_string());
                    continue;
                }
                Ok(found) => found,
            };
            if self.in_manifest(&found.bytes, signed, search)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks at the files of a document.
    fn in_manifest(&self, bytes: &[u8], signed: &Signed<'_>, search: &mut Search) -> Result<bool, RegistryError> {
        let Ok(manifest) = ArtifactManifest::parse(bytes) else { return Ok(false) };
        let is_signature = |file: &&ArtifactFile| {
            [bundle::MEDIA_TYPE, simple_signing::MEDIA_TYPE].contains(&file.media_type.as_str())
                && file.digest.size() <= SIGNATURE_MAX
        };
        for file in manifest.files.iter().filter(is_signature).take(SIGNATURES_MAX) {
            let contents = match self.registry.small_blob(self.reference, &file.digest, &self.watcher) {
                Err(RegistryError::Interrupted) => return Err(RegistryError::Interrupted),
                Err(error) => {
                    search.failures.push(error.to_string());
                    continue;
                }
                Ok(contents) => contents,
            };
            if is_signed(file, &contents, signed, self.key) {
                return Ok(true);
            }
            search.others += 1;
        }
        Ok(false)
    }
}

/// Returns true if a file is a signature of `signed` by `key`. An attestation about it is none, whoever made it.
fn is_signed(file: &ArtifactFile, contents: &[u8], signed: &Signed<'_>, key: &PublicKey) -> bool {
    if file.media_type == simple_signing::MEDIA_TYPE {
        let signature = file.annotations.get(simple_signing::SIGNATURE_ANNOTATION);
        return signature.is_some_and(|signature| {
            simple_signing::verify(contents, signature, key).is_ok()
                && simple_signing::check(contents, &signed.digest.oci()).is_ok()
        });
    }
    let Ok(bundle) = Bundle::from_json(contents) else { return false };
    match bundle.envelope() {
        Some(envelope) => is_statement(envelope, signed, key),
        None => bundle.verify_message(signed.bytes, key).is_ok(),
    }
}

fn is_statement(envelope: &Envelope, signed: &Signed<'_>, key: &PublicKey) -> bool {
    let Ok(payload) = envelope.verify(IN_TOTO, key) else { return false };
    let statement: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let subjects = statement["subject"].as_array().into_iter().flatten();
    let hex = signed.digest.hex();
    statement["predicateType"].as_str() == Some(SIGNED)
        && subjects.into_iter().any(|one| one["digest"]["sha256"].as_str() == Some(hex.as_str()))
}
