//! Whether an image of a registry has a signature of one key, in a form that `cosign sign` has. All that a registry says is
//! held against the key: nothing of it is believed before.

use rondel_cas::Digest;
use rondel_names::ImageReference;
use rondel_oci::{ArtifactFile, ArtifactManifest};
use rondel_registry::{Registry, RegistryError, Watcher};
use rondel_signatures::bundle::{self, Bundle};
use rondel_signatures::{PublicKey, simple_signing};

use crate::image_signature::{is_simple, signs, under_cosign_tag};

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

impl Search {
    /// Returns what was found. A failure is noted and the search goes on, unless it was interrupted.
    fn keep<T>(&mut self, found: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(RegistryError::Interrupted) => Err(RegistryError::Interrupted),
            Err(error) => {
                self.failures.push(error.to_string());
                Ok(None)
            }
        }
    }
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
        let Some(name) = under_cosign_tag(self.reference, &signed.digest.oci(), "sig") else { return Ok(false) };
        let found = match self.registry.document(&name, &self.watcher) {
            Err(RegistryError::NotFound(_)) => return Ok(false),
            found => search.keep(found)?,
        };
        found.map_or(Ok(false), |found| self.in_manifest(&found.bytes, signed, search))
    }

    fn among_documents(&self, signed: &Signed<'_>, search: &mut Search) -> Result<bool, RegistryError> {
        let list = self.registry.referrers(self.reference, &signed.digest.oci(), &self.watcher);
        for referrer in search.keep(list)?.iter().flatten().take(DOCUMENTS_MAX) {
            let found = self.registry.document_of(self.reference, &referrer.digest, &self.watcher);
            let Some(found) = search.keep(found)? else { continue };
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
            let contents = self.registry.small_blob(self.reference, &file.digest, &self.watcher);
            let Some(contents) = search.keep(contents)? else { continue };
            if is_signed(file, &contents, signed, self.key) {
                return Ok(true);
            }
            search.others += 1;
        }
        Ok(false)
    }
}

/// Returns true if a file is a signature of `signed` that `key` has made. Attestations do not count.
fn is_signed(file: &ArtifactFile, contents: &[u8], signed: &Signed<'_>, key: &PublicKey) -> bool {
    let subject = signed.digest.oci();
    if file.media_type == simple_signing::MEDIA_TYPE {
        return is_simple(file, contents, &subject, key);
    }
    let Ok(bundle) = Bundle::from_json(contents) else { return false };
    match bundle.envelope() {
        Some(envelope) => signs(envelope, &subject, key),
        None => bundle.verify_message(signed.bytes, key).is_ok(),
    }
}
