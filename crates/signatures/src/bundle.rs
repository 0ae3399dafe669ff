//! Sigstore's bundle (v0.3): a signature and the name of its key in one file. Without a time and without an entry of a
//! transparency log, so it is the same whenever it is made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rondel_cas::Digest;
use serde::{Deserialize, Serialize};

use crate::dsse::Envelope;
use crate::{FormatError, PrivateKey, PublicKey};

/// The media type of a bundle, and the type of artefact of one in a registry.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const SHA256: &str = "SHA2_256";

/// A bundle: of a message (any file) or of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    media_type: String,
    verification_material: Material,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<Envelope>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<KeyHint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeyHint {
    hint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: MessageDigest,
    signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MessageDigest {
    algorithm: String,
    digest: String,
}

impl Bundle {
    /// Signs a file by its digest.
    pub fn of_message(message: &Digest, key: &PrivateKey) -> Bundle {
        let signature = key.sign_digest(message.hash());
        Bundle::of_signed_message(message, &signature, &key.public_key())
    }

    /// Puts a signature (DER) of a file into a bundle.
    pub fn of_signed_message(message: &Digest, der_signature: &[u8], key: &PublicKey) -> Bundle {
        let message_digest = MessageDigest { algorithm: SHA256.to_owned(), digest: STANDARD.encode(message.hash()) };
        let signature = MessageSignature { message_digest, signature: STANDARD.encode(der_signature) };
        Bundle { message_signature: Some(signature), ..Bundle::empty(key) }
    }

    /// Puts an envelope into a bundle.
    pub fn of_envelope(envelope: Envelope, key: &PublicKey) -> Bundle {
        Bundle { dsse_envelope: Some(envelope), ..Bundle::empty(key) }
    }

    /// Returns the bundle without the name of its key, which nobody has signed.
    #[cfg(all(test, feature = "signing"))]
    pub(crate) fn without_hint(&self) -> Bundle {
        Bundle { verification_material: Material { public_key: None }, ..self.clone() }
    }

    fn empty(key: &PublicKey) -> Bundle {
        let public_key = Some(KeyHint { hint: key.hint() });
        Bundle {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: Material { public_key },
            message_signature: None,
            dsse_envelope: None,
        }
    }

    /// Reads a bundle. Nothing of it is believed yet; entries of logs and times are passed over.
    pub fn from_json(json: &[u8]) -> Result<Bundle, FormatError> {
        let bundle: Bundle = serde_json::from_slice(json).map_err(|_| FormatError::NotOne("bundle of Sigstore"))?;
        if bundle.media_type != MEDIA_TYPE {
            let found = crate::error::shown(&bundle.media_type);
            return Err(FormatError::Other { field: "mediaType", found, expected: MEDIA_TYPE });
        }
        Ok(bundle)
    }

    /// Writes it without spaces.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and lists")
    }

    /// Returns the signature of a file in base64, as cosign had it alone before bundles; `None` in a bundle of an envelope.
    pub fn signature(&self) -> Option<&str> {
        self.message_signature.as_ref().map(|signed| signed.signature.as_str())
    }

    /// Returns the fingerprint of its key as it says itself, which nobody has signed.
    pub fn key_fingerprint(&self) -> Option<String> {
        let hint = STANDARD.decode(&self.verification_material.public_key.as_ref()?.hint).ok()?;
        (hint.len() == 32).then(|| hint.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns the envelope, which is to be checked by its own `verify`.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.dsse_envelope.as_ref()
    }

    /// Checks that it signs `message` with `key`.
    pub fn verify_message(&self, message: &[u8], key: &PublicKey) -> Result<(), FormatError> {
        let signed = self.message_signature.as_ref().ok_or(FormatError::NotOne("bundle of a file"))?;
        if signed.message_digest.algorithm != SHA256 {
            let found = crate::error::shown(&signed.message_digest.algorithm);
            return Err(FormatError::Other { field: "algorithm", found, expected: SHA256 });
        }
        if signed.message_digest.digest != STANDARD.encode(Digest::of(message).hash()) {
            return Err(FormatError::WrongSignature);
        }
        let signature = STANDARD.decode(&signed.signature).map_err(|_| FormatError::Base64("signature"))?;
        Ok(key.verify(message, &signature)?)
    }
}
