//! Keys as cosign encrypts them: JSON that names scrypt and NaCl's secretbox, with their parameters. The parameters are
//! somebody's words until they are within bounds: they decide how much memory and time a password takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{derivation, secret_box};
use crate::KeyError;

#[derive(Deserialize)]
struct Encrypted<'a> {
    #[serde(borrow)]
    kdf: Derivation<'a>,
    #[serde(borrow)]
    cipher: Cipher<'a>,
    ciphertext: &'a str,
}

#[derive(Deserialize)]
struct Derivation<'a> {
    name: &'a str,
    params: derivation::Parameters,
    salt: &'a str,
}

#[derive(Deserialize)]
struct Cipher<'a> {
    name: &'a str,
    nonce: &'a str,
}

/// Returns the PKCS#8 in `json`.
pub(super) fn open(json: &[u8], password: &str) -> Result<Vec<u8>, KeyError> {
    const DAMAGED: KeyError = KeyError::Damaged("it is no JSON of a key that cosign encrypted");
    let encrypted: Encrypted<'_> = serde_json::from_slice(json).map_err(|_| DAMAGED)?;
    if encrypted.kdf.name != "scrypt" {
        return Err(KeyError::Parameters("another derivation than scrypt"));
    }
    if encrypted.cipher.name != "nacl/secretbox" {
        return Err(KeyError::Parameters("another cipher than nacl/secretbox"));
    }
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| DAMAGED);
    let nonce = <[u8; 24]>::try_from(decoded(encrypted.cipher.nonce)?).map_err(|_| DAMAGED)?;
    let salt = decoded(encrypted.kdf.salt)?;
    let sealed = decoded(encrypted.ciphertext)?;
    let key = derivation::derive(encrypted.kdf.params, password.as_bytes(), &salt)?;
    secret_box::open(&key, &nonce, &sealed).ok_or(KeyError::WrongPassword)
}
