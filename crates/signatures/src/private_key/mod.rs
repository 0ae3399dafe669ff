//! Private keys of P-256, and signatures by them: the nonce is that of RFC 6979, so the same key signs the same bytes alike.
//! Nothing of a key is in an error, and none can be printed.

mod derivation;
mod encrypted;
mod secret_box;

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use rondel_cas::Digest;

use crate::der::{self, Reader};
use crate::{KeyError, PublicKey, pem};

/// A private key. It is wiped from memory when it is dropped.
pub struct PrivateKey {
    key: SigningKey,
}

impl PrivateKey {
    /// Reads a PEM: cosign's encrypted key (`ENCRYPTED SIGSTORE PRIVATE KEY`, and `COSIGN` of old), PKCS#8 (`PRIVATE KEY`), or
    /// SEC1 (`EC PRIVATE KEY`). A password is used where the key is encrypted, and may be empty.
    pub fn from_pem(text: &str, password: Option<&str>) -> Result<PrivateKey, KeyError> {
        let mut blocks = pem::blocks(text)?;
        // OpenSSL writes the curve before the key.
        blocks.retain(|block| block.label != "EC PARAMETERS");
        let [block] = blocks.as_slice() else {
            return Err(KeyError::Damaged("there is not one key in it, but several or none"));
        };
        match block.label {
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                let password = password.ok_or(KeyError::NoPassword)?;
                PrivateKey::from_pkcs8(&encrypted::open(&block.contents, password)?)
            }
            "PRIVATE KEY" => PrivateKey::from_pkcs8(&block.contents),
            "EC PRIVATE KEY" => PrivateKey::from_sec1(&block.contents, false),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::OtherEncryption("PKCS#8 (PBES2)")),
            "RSA PRIVATE KEY" => Err(KeyError::OtherAlgorithm("an RSA key")),
            label => Err(KeyError::OtherPem {
                found: crate::error::shown(label),
                expected: "`ENCRYPTED SIGSTORE PRIVATE KEY`, `PRIVATE KEY` or `EC PRIVATE KEY`",
            }),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, KeyError> {
        let mut outer = Reader::new(der);
        let mut reader = Reader::new(outer.value(der::SEQUENCE)?);
        outer.end()?;
        match reader.value(der::INTEGER)? {
            [0 | 1] => {}
            _ => return Err(KeyError::Damaged("its version is unknown")),
        }
        der::check_algorithm(reader.value(der::SEQUENCE)?)?;
        // Attributes may follow, which say nothing of the key.
        PrivateKey::from_sec1(reader.value(der::OCTET_STRING)?, true)
    }

    /// Reads an `ECPrivateKey`. In PKCS#8, its curve has been named before.
    fn from_sec1(der: &[u8], is_named: bool) -> Result<PrivateKey, KeyError> {
        const CURVE: u8 = 0xa0;
        let mut outer = Reader::new(der);
        let mut reader = Reader::new(outer.value(der::SEQUENCE)?);
        outer.end()?;
        if reader.value(der::INTEGER)? != [1] {
            return Err(KeyError::Damaged("its version is unknown"));
        }
        let scalar = reader.value(der::OCTET_STRING)?;
        let mut is_named = is_named;
        while !reader.is_at_end() {
            if let (CURVE, curve) = reader.any()? {
                der::check_curve(Reader::new(curve).value(der::OBJECT_IDENTIFIER)?)?;
                is_named = true;
            }
        }
        if !is_named {
            return Err(KeyError::Damaged("its curve is not named"));
        }
        if scalar.len() != 32 {
            return Err(KeyError::Damaged("its number has not 32 bytes"));
        }
        let key = SigningKey::from_slice(scalar).map_err(|_| KeyError::Damaged("its number is none of the curve"))?;
        Ok(PrivateKey { key })
    }

    /// Returns the public key.
    pub fn public_key(&self) -> PublicKey {
        let point = self.key.verifying_key().to_sec1_point(false);
        PublicKey::from_point(point.as_bytes()).expect("a point of the curve, uncompressed")
    }

    /// Signs the SHA-256 of `message`, and returns ASN.1 DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_digest(Digest::of(message).hash())
    }

    /// Signs something by its SHA-256, and returns ASN.1 DER.
    pub fn sign_digest(&self, sha256: &[u8; 32]) -> Vec<u8> {
        let signature: Signature = self.key.sign_prehash(sha256).expect("a digest as long as the curve's numbers");
        signature.to_der().as_bytes().to_vec()
    }
}
