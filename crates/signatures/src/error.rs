//! What can be wrong with keys, signatures and documents. No text has a part of a key or a password.

/// A text is no key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM at all.
    #[error("there is no PEM in it (`-----BEGIN …-----`)")]
    NotPem,
    /// A PEM of something else.
    #[error("it is a PEM of `{found}`, and not of {expected}")]
    OtherPem {
        /// Its label, without unprintable characters.
        found: String,
        /// Labels that can be read.
        expected: &'static str,
    },
    /// Damaged.
    #[error("its contents are damaged: {0}")]
    Damaged(&'static str),
    /// RSA, Ed25519, another curve.
    #[error("it is {0}; only ECDSA keys of the curve P-256 can be used, which `cosign generate-key-pair` makes")]
    OtherAlgorithm(&'static str),
    /// Parameters that ask for too much memory or time, or that nobody writes.
    #[error("the parameters of its encryption are out of bounds: {0}")]
    Parameters(&'static str),
    /// Encrypted in another way.
    #[error("it is encrypted by {0}; keys encrypted by cosign can be read (`cosign import-key-pair --key FILE`)")]
    OtherEncryption(&'static str),
    /// Encrypted, and there is no password.
    #[error("it is encrypted, and no password is declared")]
    NoPassword,
    /// The password does not open it.
    #[error("the password is wrong, or the key is damaged")]
    WrongPassword,
    /// Compiled without the feature.
    #[error("this program was compiled without signing")]
    SigningLeftOut,
}

/// A signature is not of this key over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not of this key over these bytes")]
pub struct WrongSignature;

/// A document is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No JSON of this form.
    #[error("it is no {0}")]
    NotOne(&'static str),
    /// A field with a value that is not supported.
    #[error("its {field} is `{found}`, and not `{expected}`")]
    Other {
        /// The field.
        field: &'static str,
        /// What it says, without unprintable characters.
        found: String,
        /// What can be read.
        expected: &'static str,
    },
    /// A field that is no base64.
    #[error("its {0} is no base64")]
    Base64(&'static str),
    /// None of its signatures is of the key.
    #[error("{WrongSignature}")]
    WrongSignature,
}

impl From<WrongSignature> for FormatError {
    fn from(_: WrongSignature) -> FormatError {
        FormatError::WrongSignature
    }
}

/// Returns what is shown of a text of somebody else: a few printable characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).filter(|character| !character.is_control()).collect()
}
