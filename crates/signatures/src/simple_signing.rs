//! What cosign signs of an image: its name and digest, in the form of "simple signing". It asks no registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rondel_cas::Digest;
use serde::{Deserialize, Serialize};

use crate::{FormatError, PublicKey};

/// The media type of the payload, of which the layers of cosign's old signatures are.
pub const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The annotation of such a layer that holds the signature of its bytes, in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

const TYPE: &str = "cosign container image signature";

#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    critical: Critical<'a>,
    /// `null` as cosign has it without annotations.
    optional: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Critical<'a> {
    #[serde(borrow)]
    identity: Identity<'a>,
    #[serde(borrow)]
    image: Image<'a>,
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity<'a> {
    #[serde(borrow)]
    docker_reference: std::borrow::Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image<'a> {
    #[serde(borrow)]
    docker_manifest_digest: std::borrow::Cow<'a, str>,
}

/// Returns the payload for a manifest in a repository (`registry.example/team/app`).
pub fn payload(repository: &str, manifest: &Digest) -> Vec<u8> {
    let critical = Critical {
        identity: Identity { docker_reference: repository.into() },
        image: Image { docker_manifest_digest: manifest.oci().into() },
        r#type: TYPE.into(),
    };
    serde_json::to_vec(&Payload { critical, optional: None }).expect("texts")
}

/// Checks a signature in base64 of a payload, as the annotation has it.
pub fn verify(payload: &[u8], signature: &str, key: &PublicKey) -> Result<(), FormatError> {
    let signature = STANDARD.decode(signature).map_err(|_| FormatError::Base64("signature"))?;
    Ok(key.verify(payload, &signature)?)
}

/// Checks that a payload, whose signature was checked before, is of the manifest with this digest (`sha256:…`).
pub fn check(payload: &[u8], manifest: &str) -> Result<(), FormatError> {
    let payload: Payload<'_> =
        serde_json::from_slice(payload).map_err(|_| FormatError::NotOne("payload of simple signing"))?;
    if payload.critical.r#type != TYPE {
        let found = crate::error::shown(&payload.critical.r#type);
        return Err(FormatError::Other { field: "type", found, expected: TYPE });
    }
    if payload.critical.image.docker_manifest_digest != manifest {
        let found = crate::error::shown(&payload.critical.image.docker_manifest_digest);
        return Err(FormatError::Other { field: "docker-manifest-digest", found, expected: "the digest of the image" });
    }
    Ok(())
}
