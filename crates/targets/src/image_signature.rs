//! Whether a file signs something with a key, in the forms that cosign has for images. Nothing that it says is believed before.

use rondel_evidence::SIGNED;
use rondel_names::ImageReference;
use rondel_oci::ArtifactFile;
use rondel_signatures::dsse::{Envelope, IN_TOTO};
use rondel_signatures::{PublicKey, simple_signing};
use serde_json::Value;

/// Returns true if a layer of a `.sig` tag signs the manifest `subject` (`sha256:…`).
pub(crate) fn is_simple(file: &ArtifactFile, payload: &[u8], subject: &str, key: &PublicKey) -> bool {
    let signature = file.annotations.get(simple_signing::SIGNATURE_ANNOTATION);
    signature.is_some_and(|signature| {
        simple_signing::verify(payload, signature, key).is_ok() && simple_signing::check(payload, subject).is_ok()
    })
}

/// Returns the type of what an envelope says of `subject` (`sha256:…`), if it is of the key and about that.
fn predicate_about(envelope: &Envelope, subject: &str, key: &PublicKey) -> Option<String> {
    let payload = envelope.verify(IN_TOTO, key).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    let wanted = subject.strip_prefix("sha256:")?;
    let mut subjects = statement["subject"].as_array()?.iter();
    let is_about = subjects.any(|one| one["digest"]["sha256"].as_str() == Some(wanted));
    is_about.then(|| statement["predicateType"].as_str().unwrap_or_default().to_owned())
}

/// Returns true if an envelope says something of `subject`, whatever it is.
pub(crate) fn is_about(envelope: &Envelope, subject: &str, key: &PublicKey) -> bool {
    predicate_about(envelope, subject, key).is_some()
}

/// Returns true if an envelope says of `subject` that it is signed. An attestation does not.
pub(crate) fn signs(envelope: &Envelope, subject: &str, key: &PublicKey) -> bool {
    predicate_about(envelope, subject, key).as_deref() == Some(SIGNED)
}

/// Returns the tag where cosign keeps something about the manifest `subject` (`sha256:…`): `sha256-….sig`.
pub(crate) fn cosign_tag(subject: &str, ending: &str) -> String {
    format!("{}.{ending}", subject.replace(':', "-"))
}

/// Returns the image under such a tag in the repository of `reference`.
pub(crate) fn under_cosign_tag(reference: &ImageReference, subject: &str, ending: &str) -> Option<ImageReference> {
    ImageReference::new(&format!("{}:{}", reference.full_repository(), cosign_tag(subject, ending))).ok()
}
