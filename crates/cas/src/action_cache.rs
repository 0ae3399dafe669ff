//! The action cache: results by the digest of their action.
//!
//! `<root>/ac/<first two hex digits>/<hex>`: one line `rondel-action-result 2 <sha256 of the rest>`, then the
//! `ActionResult` message. A file counts as damaged, and as a miss, if its checksum does not match or its result is of
//! another action. The same goes for impossible contents, such as a path that leaves the root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::action_result::StoredActionResult;
use crate::blob_store::BlobError;
use crate::last_use::note_use;
use crate::regular::{MEMORY_MAX, open_regular, read_at_most, read_open_at_most};
use crate::{Digest, RelativePath, TreeError, write_atomically};

const MAGIC: &str = "rondel-action-result 2 ";

/// The cache could not be read or written; the build continues without it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The stored result is torn, was tampered with, or is that of another action.
    #[error("the stored result `{}` is damaged", .0.display())]
    Corrupt(PathBuf),
    /// The `Tree` message of an output directory can't be read.
    #[error("{source}")]
    Tree {
        /// The output directory.
        path: RelativePath,
        /// The cause.
        source: BlobError,
    },
    /// The outputs can't be put into a `Tree` message.
    #[error("the outputs can't be stored: {0}")]
    Unstorable(#[from] TreeError),
    /// A `Tree` message could not be stored.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A file operation failed.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Action results on disk.
#[derive(Clone, Debug)]
pub(crate) struct ActionCache {
    directory: PathBuf,
    scratch: PathBuf,
}

impl ActionCache {
    /// Returns the cache below `root` (`<cache>/v2`). Makes nothing until something is written.
    pub fn new(root: &Path) -> ActionCache {
        ActionCache { directory: root.join("ac"), scratch: root.join("tmp") }
    }

    fn path(&self, action: &Digest) -> PathBuf {
        let hex = action.hex();
        self.directory.join(&hex[..2]).join(hex)
    }

    /// Returns the stored result of `action`, or `None`.
    pub fn get(&self, action: &Digest) -> Result<Option<StoredActionResult>, CacheError> {
        let path = self.path(action);
        let read = open_regular(&path).and_then(|(mut file, _)| {
            let bytes = read_open_at_most(&mut file, MEMORY_MAX)?;
            note_use(&file);
            Ok(bytes)
        });
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CacheError::Io { action: "read", path, source }),
        };
        match decode(&bytes).filter(|result| result.action == *action) {
            Some(result) => Ok(Some(result)),
            None => Err(self.discard(action)),
        }
    }

    /// Removes the stored result of `action`, and returns that it is damaged.
    pub fn discard(&self, action: &Digest) -> CacheError {
        let path = self.path(action);
        let _ = fs::remove_file(&path);
        CacheError::Corrupt(path)
    }

    /// Removes the stored result of `action`, if there is one.
    pub fn remove(&self, action: &Digest) -> Result<(), CacheError> {
        let path = self.path(action);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::Io { action: "remove", path, source: error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Stores an `ActionResult` message.
    pub fn put(&self, action: &Digest, message: &[u8]) -> Result<(), CacheError> {
        let path = self.path(action);
        write_atomically(&self.scratch, &path, &encode(message)).map_err(|source| CacheError::Io {
            action: "write",
            path,
            source,
        })
    }
}

/// Returns the result in the file at `path`, if it is whole and of the action that the file is named after.
pub(crate) fn read_result(path: &Path) -> Option<StoredActionResult> {
    let result = decode(&read_at_most(path, MEMORY_MAX).ok()?)?;
    (path.file_name()?.to_str()? == result.action.hex()).then_some(result)
}

fn encode(message: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{MAGIC}{}\n", Digest::of(message).hex()).into_bytes();
    bytes.extend_from_slice(message);
    bytes
}

fn decode(bytes: &[u8]) -> Option<StoredActionResult> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes())?;
    let (checksum, message) = (rest.get(..64)?, rest.get(65..)?);
    if rest[64] != b'\n' || Digest::of(message).hex().as_bytes() != checksum {
        return None;
    }
    StoredActionResult::decode(message).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action_result::tests::result;

    fn file() -> Vec<u8> {
        encode(&result().encode(&Digest::of(b"action")).unwrap().0)
    }

    #[test]
    fn round_trip() {
        let (message, _) = result().encode(&Digest::of(b"action")).unwrap();
        assert_eq!(decode(&file()), StoredActionResult::decode(&message).ok());
        assert!(decode(&file()).is_some());
    }

    /// Every truncation and every flipped byte is detected.
    #[test]
    fn damage_is_never_an_answer() {
        let good = file();
        for length in 0..good.len() {
            assert_eq!(decode(&good[..length]), None, "cut at {length}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            assert_eq!(decode(&bad), None, "flipped at {index}");
        }
    }

    /// A file under another name is refused and removed.
    #[test]
    fn a_result_of_another_action() {
        let root = std::env::temp_dir().join(format!("rondel-another-action-{}", std::process::id()));
        let cache = ActionCache::new(&root);
        let (own, other) = (Digest::of(b"action"), Digest::of(b"other"));
        cache.put(&own, &result().encode(&own).unwrap().0).unwrap();
        assert!(cache.get(&own).unwrap().is_some());
        fs::create_dir_all(cache.path(&other).parent().unwrap()).unwrap();
        fs::copy(cache.path(&own), cache.path(&other)).unwrap();
        assert!(read_result(&cache.path(&own)).is_some() && read_result(&cache.path(&other)).is_none());
        assert!(matches!(cache.get(&other), Err(CacheError::Corrupt(_))));
        assert!(cache.get(&other).unwrap().is_none());
        fs::remove_dir_all(root).unwrap();
    }
}
