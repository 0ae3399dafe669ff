//! PEM: the text form of keys. It knows what a key is as little as whose it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::KeyError;

/// More than any key of the curve has.
const TEXT_MAX: usize = 64 * 1024;

/// One block of a PEM.
pub(crate) struct Block<'a> {
    /// What stands after `BEGIN`.
    pub label: &'a str,
    /// Its contents.
    pub contents: Vec<u8>,
}

/// Returns the blocks of a text. What stands before, between and after them counts for nothing.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block<'_>>, KeyError> {
    if text.len() > TEXT_MAX {
        return Err(KeyError::Damaged("it is too long for a key"));
    }
    let mut lines = text.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let mut base64 = String::new();
        loop {
            let line = lines.next().ok_or(KeyError::Damaged("its last line is missing"))?;
            if let Some(end) = line.strip_prefix("-----END ") {
                if end.strip_suffix("-----") != Some(label) {
                    return Err(KeyError::Damaged("its first and last lines name different things"));
                }
                break;
            }
            // Headers of the old encryption by OpenSSL.
            if line.starts_with("Proc-Type:") && line.contains("ENCRYPTED") {
                return Err(KeyError::OtherEncryption("OpenSSL"));
            }
            base64.push_str(line);
        }
        let contents = STANDARD.decode(base64).map_err(|_| KeyError::Damaged("it is no base64"))?;
        found.push(Block { label, contents });
    }
    if found.is_empty() { Err(KeyError::NotPem) } else { Ok(found) }
}

/// Writes a block in lines of 64 characters.
pub(crate) fn write(label: &str, contents: &[u8]) -> String {
    let base64 = STANDARD.encode(contents);
    let mut text = format!("-----BEGIN {label}-----\n");
    // Base64 has one byte for each character.
    for start in (0..base64.len()).step_by(64) {
        text.push_str(&base64[start..base64.len().min(start + 64)]);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
