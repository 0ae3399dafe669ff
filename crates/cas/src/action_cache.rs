//! The action cache: what an action gave, under the digest of the action.
//!
//! `<root>/ac/<first two hex digits>/<hex>`: one line `rondel-action-result 1 <sha256 of the rest>`, then the
//! result as JSON. A file that does not match its own checksum, or says something that no result says
//! (a path that leaves the root, say), is trouble and a miss.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::last_use::note_use;
use crate::{Digest, Entry, RelativePath, write_atomically};

const MAGIC: &str = "rondel-action-result 1 ";

/// One output of an action: a path relative to the action's output root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputEntry {
    /// Where it belongs, relative to the directory of the outputs.
    pub path: RelativePath,
    /// What stands there.
    pub entry: Entry,
}

/// What an action gave (REAPI `ActionResult`, as far as Rondel uses it). Only successes are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionResult {
    /// All output files and links, sorted by path.
    pub outputs: Vec<OutputEntry>,
    /// What people are told about the result (an image's digest, a count of tests), by name.
    #[serde(default)]
    pub facts: std::collections::BTreeMap<String, String>,
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// For which target it was made first; equal actions of other targets and projects share it.
    #[serde(default)]
    pub target: String,
    /// What kind of target that is.
    #[serde(default)]
    pub kind: String,
}

/// The cache could not answer or keep; the build goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum CacheTrouble {
    /// The stored result is torn or was tampered with.
    #[error("the stored result `{}` is damaged", .0.display())]
    Corrupt(PathBuf),
    /// The file system said no.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where action results live.
#[derive(Clone, Debug)]
pub struct ActionCache {
    directory: PathBuf,
    scratch: PathBuf,
}

impl ActionCache {
    /// The cache below `root` (`<cache>/v1`). Nothing is made until something is written.
    pub fn new(root: &Path) -> ActionCache {
        ActionCache { directory: root.join("ac"), scratch: root.join("tmp") }
    }

    fn path(&self, action: &Digest) -> PathBuf {
        let hex = action.hex();
        self.directory.join(&hex[..2]).join(hex)
    }

    /// What `action` gave, or `None` if that isn't known.
    pub fn get(&self, action: &Digest) -> Result<Option<ActionResult>, CacheTrouble> {
        let path = self.path(action);
        let read = File::open(&path).and_then(|mut file| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            note_use(&file);
            Ok(bytes)
        });
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CacheTrouble::Io { action: "read", path, source }),
        };
        match decode(&bytes) {
            Some(result) => Ok(Some(result)),
            None => {
                let _ = fs::remove_file(&path);
                Err(CacheTrouble::Corrupt(path))
            }
        }
    }

    /// Remembers what `action` gave. The blobs that `result` names must be stored before.
    pub fn put(&self, action: &Digest, result: &ActionResult) -> Result<(), CacheTrouble> {
        let path = self.path(action);
        write_atomically(&self.scratch, &path, &encode(result)).map_err(|source| CacheTrouble::Io {
            action: "write",
            path,
            source,
        })
    }
}

/// The result in the file at `path`, if it is whole.
pub(crate) fn read_result(path: &Path) -> Option<ActionResult> {
    decode(&fs::read(path).ok()?)
}

fn encode(result: &ActionResult) -> Vec<u8> {
    let body = serde_json::to_vec(result).expect("results are plain data");
    let mut bytes = format!("{MAGIC}{}\n", Digest::of(&body).hex()).into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> Option<ActionResult> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes())?;
    let (checksum, body) = (rest.get(..64)?, rest.get(65..)?);
    if rest[64] != b'\n' || Digest::of(body).hex().as_bytes() != checksum {
        return None;
    }
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> ActionResult {
        ActionResult {
            outputs: vec![OutputEntry {
                path: RelativePath::new("bin/x").unwrap(),
                entry: Entry::File { digest: Digest::of(b"x"), executable: true },
            }],
            facts: [("digest".to_owned(), "sha256:0".to_owned())].into(),
            duration_ms: 7,
            target: "server".to_owned(),
            kind: "GoBuild".to_owned(),
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(decode(&encode(&result())), Some(result()));
    }

    /// Every truncation and every flipped byte is noticed.
    #[test]
    fn damage_is_never_an_answer() {
        let good = encode(&result());
        for length in 0..good.len() {
            assert_eq!(decode(&good[..length]), None, "cut at {length}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            assert_eq!(decode(&bad), None, "flipped at {index}");
        }
    }

    #[test]
    fn a_result_that_names_a_path_outside_is_refused() {
        let text = serde_json::to_string(&result()).unwrap().replace("bin/x", "../../etc/x");
        let bytes = format!("{MAGIC}{}\n{text}", Digest::of(text.as_bytes()).hex());
        assert_eq!(decode(bytes.as_bytes()), None);
    }
}
