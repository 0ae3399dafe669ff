//! `Digest`: the name of a sequence of bytes, as in the Remote Execution API: SHA-256 and size.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::regular::{CONTENTS_MAX, open_at_most};

/// SHA-256 and number of some bytes (REAPI `Digest`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    hash: [u8; 32],
    size: u64,
}

/// The text is not `<64 hex digits>/<size>`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a digest (64 hex digits, a slash, a size)")]
pub struct DigestParseError(String);

impl Digest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest { hash: Sha256::digest(bytes).into(), size: bytes.len() as u64 }
    }

    /// Returns the digest of a regular file's contents, read in pieces of 128 KiB. Other files are an error.
    pub fn of_file(path: &Path) -> io::Result<Digest> {
        Digest::of_file_of_size(path, u64::MAX)
    }

    /// Returns the digest of a file of about `size` bytes: a small one needs a small buffer.
    pub fn of_file_of_size(path: &Path, size: u64) -> io::Result<Digest> {
        Digest::of_open(&open_at_most(path, CONTENTS_MAX)?.0, size)
    }

    /// Returns the digest of an open file from its present position.
    pub fn of_open(mut file: &std::fs::File, size: u64) -> io::Result<Digest> {
        const SMALL: usize = 8 * 1024;
        let mut hasher = Hasher::new();
        let (mut small, mut large);
        let buffer: &mut [u8] = if size < SMALL as u64 {
            small = [0_u8; SMALL];
            &mut small
        } else {
            large = vec![0_u8; 128 * 1024];
            &mut large
        };
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    // As much as expected, and less than the buffer: the end.
                    if count < buffer.len() && hasher.size == size {
                        return Ok(hasher.finish());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns a digest from its parts; `hash` is a result of SHA-256.
    pub fn from_parts(hash: [u8; 32], size: u64) -> Digest {
        Digest { hash, size }
    }

    /// Returns the 32 bytes of the hash.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Returns the size of the contents, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the hash as 64 lower-case hex digits.
    pub fn hex(&self) -> String {
        self.hex_bytes().into_iter().map(char::from).collect()
    }

    /// Returns these digits as ASCII.
    pub(crate) fn hex_bytes(&self) -> [u8; 64] {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.hash) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        text
    }

    /// Returns the first twelve hex digits, for people.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Returns `sha256:<hex>`, as OCI writes it.
    pub fn oci(&self) -> String {
        format!("sha256:{}", self.hex())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.hex(), self.size)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestParseError;

    fn from_str(text: &str) -> Result<Digest, DigestParseError> {
        let wrong = || DigestParseError(text.chars().take(100).collect());
        let (hex, size) = text.split_once('/').ok_or_else(wrong)?;
        let size = size.parse().map_err(|_| wrong())?;
        if hex.len() != 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let mut hash = [0_u8; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Digest { hash, size })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes bytes piece by piece.
#[derive(Clone, Default)]
pub struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    /// Returns a hasher of nothing.
    pub fn new() -> Hasher {
        Hasher::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Returns the digest of all bytes.
    pub fn finish(self) -> Digest {
        Digest { hash: self.state.finalize().into(), size: self.size }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashing takes the door of `regular`: what never ends is not read.
    #[test]
    #[cfg(target_os = "linux")]
    fn only_regular_files_are_hashed() {
        let error = Digest::of_file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is a device, not a regular file");
    }

    #[test]
    fn text_form_round_trips_and_rejects_everything_else() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/3");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for wrong in ["", "abc/3", "BA/3", &digest.hex(), &format!("{}/-1", digest.hex()), "é/1"] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
