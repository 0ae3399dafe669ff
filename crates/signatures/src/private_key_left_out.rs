//! What stands for private keys in a program that was compiled without the feature `signing`: there are none.

use crate::{KeyError, PublicKey};

/// A private key, of which this program has none.
pub enum PrivateKey {}

impl PrivateKey {
    /// Says that this program can't sign.
    pub fn from_pem(_text: &str, _password: Option<&str>) -> Result<PrivateKey, KeyError> {
        Err(KeyError::SigningLeftOut)
    }

    /// Returns the public key.
    pub fn public_key(&self) -> PublicKey {
        match *self {}
    }

    /// Signs the SHA-256 of `message`.
    pub fn sign(&self, _message: &[u8]) -> Vec<u8> {
        match *self {}
    }

    /// Signs something by its SHA-256.
    pub fn sign_digest(&self, _sha256: &[u8; 32]) -> Vec<u8> {
        match *self {}
    }
}
