//! DER, as much of it as keys of one curve need. It takes shortest lengths only, and nothing after the end.

use crate::KeyError;

#[cfg(feature = "signing")]
pub(crate) const INTEGER: u8 = 0x02;
#[cfg(feature = "signing")]
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// id-ecPublicKey
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// prime256v1
pub(crate) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

const DAMAGED: KeyError = KeyError::Damaged("it is no DER of a key");

/// What is left to be read.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// Returns the contents of the next value, which has this tag.
    pub fn value(&mut self, tag: u8) -> Result<&'a [u8], KeyError> {
        if self.0.first() != Some(&tag) {
            return Err(DAMAGED);
        }
        self.any().map(|(_, contents)| contents)
    }

    /// Returns the next value, whatever it is.
    pub fn any(&mut self) -> Result<(u8, &'a [u8]), KeyError> {
        let [tag, first, rest @ ..] = self.0 else { return Err(DAMAGED) };
        let (length, rest) = match (*first, rest) {
            (short @ 0..=0x7f, rest) => (usize::from(short), rest),
            (0x81, [length, rest @ ..]) if *length >= 0x80 => (usize::from(*length), rest),
            (0x82, [high, low, rest @ ..]) if *high > 0 => (usize::from(*high) << 8 | usize::from(*low), rest),
            _ => return Err(DAMAGED),
        };
        let (contents, rest) = rest.split_at_checked(length).ok_or(DAMAGED)?;
        self.0 = rest;
        Ok((*tag, contents))
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub fn end(&self) -> Result<(), KeyError> {
        if self.is_at_end() { Ok(()) } else { Err(DAMAGED) }
    }
}

/// Checks the contents of an `AlgorithmIdentifier`: keys of P-256 alone.
pub(crate) fn check_algorithm(contents: &[u8]) -> Result<(), KeyError> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let mut reader = Reader::new(contents);
    match reader.value(OBJECT_IDENTIFIER)? {
        EC_PUBLIC_KEY => {}
        RSA => return Err(KeyError::OtherAlgorithm("an RSA key")),
        ED25519 => return Err(KeyError::OtherAlgorithm("an Ed25519 key")),
        _ => return Err(KeyError::OtherAlgorithm("a key of another algorithm")),
    }
    check_curve(reader.value(OBJECT_IDENTIFIER)?)?;
    reader.end()
}

/// Checks the name of a curve.
pub(crate) fn check_curve(identifier: &[u8]) -> Result<(), KeyError> {
    const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
    const SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];
    match identifier {
        P256 => Ok(()),
        P384 => Err(KeyError::OtherAlgorithm("an ECDSA key of the curve P-384")),
        P521 => Err(KeyError::OtherAlgorithm("an ECDSA key of the curve P-521")),
        SECP256K1 => Err(KeyError::OtherAlgorithm("an ECDSA key of the curve secp256k1")),
        _ => Err(KeyError::OtherAlgorithm("an ECDSA key of another curve")),
    }
}
