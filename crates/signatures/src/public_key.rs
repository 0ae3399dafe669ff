//! Public keys of P-256: read, written, named, and used to check signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rondel_cas::Digest;

use crate::der::{self, Reader};
use crate::{KeyError, WrongSignature, pem};

/// What stands before the point in a `SubjectPublicKeyInfo` of P-256.
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A public key: a point of P-256, uncompressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    point: [u8; 65],
}

impl PublicKey {
    /// Reads a PEM of one `PUBLIC KEY`, as `cosign.pub` is.
    pub fn from_pem(text: &str) -> Result<PublicKey, KeyError> {
        let blocks = pem::blocks(text)?;
        let other = |label: &str| KeyError::OtherPem { found: crate::error::shown(label), expected: "`PUBLIC KEY`" };
        match blocks.as_slice() {
            [block] if block.label == "PUBLIC KEY" => PublicKey::from_der(&block.contents),
            [block] => Err(other(block.label)),
            _ => Err(KeyError::Damaged("there are several keys in it")),
        }
    }

    /// Reads a `SubjectPublicKeyInfo`.
    pub fn from_der(der: &[u8]) -> Result<PublicKey, KeyError> {
        let mut outer = Reader::new(der);
        let mut reader = Reader::new(outer.value(der::SEQUENCE)?);
        outer.end()?;
        der::check_algorithm(reader.value(der::SEQUENCE)?)?;
        let bits = reader.value(der::BIT_STRING)?;
        reader.end()?;
        match bits {
            [0, point @ ..] => PublicKey::from_point(point),
            _ => Err(KeyError::Damaged("its point has loose bits")),
        }
    }

    /// Takes a point as it is in keys. That it is on the curve is seen when a signature is checked: none is of a key that is not.
    pub(crate) fn from_point(point: &[u8]) -> Result<PublicKey, KeyError> {
        match <[u8; 65]>::try_from(point) {
            Ok(point) if point[0] == 4 => Ok(PublicKey { point }),
            _ if point.len() == 33 => Err(KeyError::Damaged("its point is compressed")),
            _ => Err(KeyError::Damaged("it has no point of the curve")),
        }
    }

    /// Returns its `SubjectPublicKeyInfo`.
    pub fn to_der(&self) -> Vec<u8> {
        [SPKI_HEAD.as_slice(), &self.point].concat()
    }

    /// Returns its PEM, as cosign and OpenSSL write it.
    pub fn to_pem(&self) -> String {
        pem::write("PUBLIC KEY", &self.to_der())
    }

    /// Returns the SHA-256 of [`PublicKey::to_der`] in hexadecimal: its name in keys and messages.
    pub fn fingerprint(&self) -> String {
        Digest::of(&self.to_der()).hex()
    }

    /// Returns the name that bundles have for it: the fingerprint in base64.
    pub fn hint(&self) -> String {
        STANDARD.encode(Digest::of(&self.to_der()).hash())
    }

    /// Checks a signature (ASN.1 DER) over the SHA-256 of `message`.
    pub fn verify(&self, message: &[u8], der_signature: &[u8]) -> Result<(), WrongSignature> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(message, der_signature)
            .map_err(|_| WrongSignature)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PublicKey({})", self.fingerprint())
    }
}
