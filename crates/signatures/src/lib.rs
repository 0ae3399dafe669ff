//! Signatures as cosign makes them: keys, ECDSA over P-256, envelopes, bundles. All bytes depend on the contents and the key
//! alone. It knows no registry, no file and no environment: keys are handed in as texts.
//!
//! A signature is checked by `ring`, always. It is made by `p256` with the nonces of RFC 6979, with the feature `signing`;
//! without it, [`PrivateKey::from_pem`] says [`KeyError::SigningLeftOut`].

pub mod bundle;
mod der;
pub mod dsse;
mod error;
mod pem;
#[cfg(feature = "signing")]
mod private_key;
#[cfg(not(feature = "signing"))]
mod private_key_left_out;
mod public_key;
pub mod simple_signing;
#[cfg(all(test, feature = "signing"))]
mod tests;

pub use error::{FormatError, KeyError, WrongSignature};
#[cfg(feature = "signing")]
pub use private_key::PrivateKey;
#[cfg(not(feature = "signing"))]
pub use private_key_left_out::PrivateKey;
pub use public_key::PublicKey;

/// True if this program can make signatures (the feature `signing`).
pub const CAN_SIGN: bool = cfg!(feature = "signing");
