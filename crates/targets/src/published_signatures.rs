//! `KnownKeys`: the public keys that build.ron names, and which signatures about an image in a registry are of them.

use std::path::Path;

use rondel_buildfile::BuildFile;
use rondel_cas::{SMALL_MAX, read_text_at_most};
use rondel_oci::ArtifactFile;
use rondel_signatures::bundle::{self, Bundle};
use rondel_signatures::dsse::{self, Envelope};
use rondel_signatures::{PublicKey, simple_signing};

use crate::image_signature::{is_about, is_simple};

/// The public keys that `sign` of build.ron names, each with its file.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys(Vec<(String, PublicKey)>);

/// Whose signature it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedBy {
    /// SHA-256 of the public key: of the file, or else as the signature says itself.
    pub fingerprint: Option<String>,
    /// The file of the key that it was checked with. Without one, nothing is proven.
    pub file: Option<String>,
}

/// Returns true for what holds a signature.
pub(crate) fn is_signature(media_type: &str) -> bool {
    [bundle::MEDIA_TYPE, dsse::MEDIA_TYPE, simple_signing::MEDIA_TYPE].contains(&media_type)
}

impl KnownKeys {
    /// Reads the keys; `root` is the directory of build.ron. A file that holds none is passed over.
    pub fn of(file: &BuildFile, root: &Path) -> KnownKeys {
        let root = file.root.as_ref().map_or_else(|| root.to_owned(), |path| root.join(&path.value));
        let mut known: Vec<(String, PublicKey)> = Vec::new();
        for name in file.targets.iter().filter_map(|target| target.kind().public_key()) {
            let text = read_text_at_most(&root.join(name), SMALL_MAX).unwrap_or_default();
            if let Ok(key) = PublicKey::from_pem(&text)
                && known.iter().all(|(_, other)| *other != key)
            {
                known.push((name.to_owned(), key));
            }
        }
        KnownKeys(known)
    }

    /// Returns whose signature a file is, which is said to be about `subject` (`sha256:…`).
    pub(crate) fn signed_by(&self, file: &ArtifactFile, contents: &[u8], subject: &str) -> SignedBy {
        let bundle = Bundle::from_json(contents).ok();
        let is_of = |key: &PublicKey| match file.media_type.as_str() {
            simple_signing::MEDIA_TYPE => is_simple(file, contents, subject, key),
            dsse::MEDIA_TYPE => Envelope::from_json(contents).is_ok_and(|envelope| is_about(&envelope, subject, key)),
            _ => bundle.as_ref().and_then(Bundle::envelope).is_some_and(|envelope| is_about(envelope, subject, key)),
        };
        match self.0.iter().find(|(_, key)| is_of(key)) {
            Some((name, key)) => SignedBy { fingerprint: Some(key.fingerprint()), file: Some(name.clone()) },
            None => SignedBy { fingerprint: bundle.as_ref().and_then(Bundle::key_fingerprint), file: None },
        }
    }
}
