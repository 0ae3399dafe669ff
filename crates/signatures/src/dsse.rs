//! DSSE: a payload with its type, signed together. It knows nothing of what the payload says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{FormatError, PrivateKey, PublicKey};

/// The type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The media type of an envelope as a file.
pub const MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";

/// More signatures than any envelope has.
const SIGNATURES_MAX: usize = 64;

/// What is signed: type and payload with their lengths before them (PAE).
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A signed payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    /// The name of the key, which nobody has signed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Signs `payload`.
    pub fn sign(payload_type: &str, payload: &[u8], key: &PrivateKey) -> Envelope {
        let signature = key.sign(&pre_authentication_encoding(payload_type, payload));
        Envelope {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![Signature { keyid: String::new(), sig: STANDARD.encode(signature) }],
        }
    }

    /// Reads an envelope. Nothing of it is believed yet.
    pub fn from_json(json: &[u8]) -> Result<Envelope, FormatError> {
        serde_json::from_slice(json).map_err(|_| FormatError::NotOne("DSSE envelope"))
    }

    /// Writes it without spaces.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and lists")
    }

    /// Returns the payload, if it is of this type and one of its signatures is of `key`. This is the only way to it.
    pub fn verify(&self, payload_type: &'static str, key: &PublicKey) -> Result<Vec<u8>, FormatError> {
        if self.payload_type != payload_type {
            let found = crate::error::shown(&self.payload_type);
            return Err(FormatError::Other { field: "payloadType", found, expected: payload_type });
        }
        let payload = STANDARD.decode(&self.payload).map_err(|_| FormatError::Base64("payload"))?;
        let message = pre_authentication_encoding(payload_type, &payload);
        let is_of_key = self.signatures.iter().take(SIGNATURES_MAX).any(|signature| {
            STANDARD.decode(&signature.sig).is_ok_and(|signature| key.verify(&message, &signature).is_ok())
        });
        if is_of_key { Ok(payload) } else { Err(FormatError::WrongSignature) }
    }
}
