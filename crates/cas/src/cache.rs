//! `Cache`: the store of results and blobs, with the verbs of REAPI's `ActionCache` and `ContentAddressableStorage`
//! services. Its callers know neither directories nor machines.

use std::fs::File;
use std::path::Path;

use crate::action_cache::ActionCache;
use crate::action_result::{OutputDirectory, StoredActionResult};
use crate::blob_store::{BlobError, BlobStore};
use crate::{ActionResult, CacheError, Digest, Tree};

/// A store of results and blobs, wherever it is. Another kind of store is another variant.
#[derive(Clone, Debug)]
pub enum Cache {
    /// In a directory of this machine.
    Disk(DiskCache),
}

/// A store in a directory, shared by all checkouts of a user.
#[derive(Clone, Debug)]
pub struct DiskCache {
    blobs: BlobStore,
    actions: ActionCache,
}

impl Cache {
    /// Returns the store below `root` (`<cache>/v2`). Makes nothing until something is written.
    pub fn disk(root: &Path) -> Cache {
        Cache::Disk(DiskCache { blobs: BlobStore::new(root), actions: ActionCache::new(root) })
    }

    /// Returns the result of `action`, or `None` if it isn't known (REAPI `GetActionResult`). The blobs of its files
    /// may be gone.
    pub fn get_action_result(&self, action: &Digest) -> Result<Option<ActionResult>, CacheError> {
        match self {
            Cache::Disk(disk) => disk.get_action_result(action),
        }
    }

    /// Stores the result of `action` (REAPI `UpdateActionResult`), with the `Tree` messages of its output directories.
    /// The blobs of its files must be stored before.
    pub fn update_action_result(&self, action: &Digest, result: &ActionResult) -> Result<(), CacheError> {
        match self {
            Cache::Disk(disk) => disk.update_action_result(action, result),
        }
    }

    /// Removes the result of `action`. Its blobs stay until they are collected. REAPI has no verb for it.
    pub fn remove_action_result(&self, action: &Digest) -> Result<(), CacheError> {
        match self {
            Cache::Disk(disk) => disk.actions.remove(action),
        }
    }

    /// Returns those of `blobs` that are missing (REAPI `FindMissingBlobs`). Does not read contents.
    pub fn find_missing_blobs<'b>(&self, blobs: impl IntoIterator<Item = &'b Digest>) -> Vec<Digest> {
        match self {
            Cache::Disk(disk) => blobs.into_iter().filter(|digest| !disk.blobs.contains(digest)).copied().collect(),
        }
    }

    /// Stores a copy of the file at `source` and returns its digest (REAPI `ByteStream.Write`).
    pub fn put_file(&self, source: &Path) -> Result<Digest, BlobError> {
        match self {
            Cache::Disk(disk) => disk.blobs.put_file(source),
        }
    }

    /// Stores a copy of the file at `source`, whose digest its writer knows. Where the digest is wrong, so are the blob's
    /// contents, which shows when it is read.
    pub fn put_known_file(&self, source: &Path, digest: &Digest) -> Result<(), BlobError> {
        match self {
            Cache::Disk(disk) => disk.blobs.put_known_file(source, digest),
        }
    }

    /// Stores `bytes` and returns their digest (REAPI `BatchUpdateBlobs`).
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        match self {
            Cache::Disk(disk) => disk.blobs.put_bytes(bytes),
        }
    }

    /// Copies the blob into `destination`, a file at `place`, and hashes it on the way (REAPI `ByteStream.Read`). After
    /// an error the caller must drop the contents of `destination`.
    pub fn read(&self, digest: &Digest, destination: &mut File, place: &Path) -> Result<(), BlobError> {
        match self {
            Cache::Disk(disk) => disk.blobs.copy_to(digest, destination, place),
        }
    }

    /// Returns the bytes of a blob that is a message (REAPI `BatchReadBlobs`).
    pub fn read_bytes(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        match self {
            Cache::Disk(disk) => disk.blobs.read_bytes(digest),
        }
    }
}

impl DiskCache {
    fn get_action_result(&self, action: &Digest) -> Result<Option<ActionResult>, CacheError> {
        let Some(stored) = self.actions.get(action)? else { return Ok(None) };
        let trees: Result<Vec<Option<Tree>>, _> =
            stored.output_directories.iter().map(|directory| self.tree(directory)).collect();
        let trees: Option<Vec<Tree>> = trees?.into_iter().collect();
        // The bytes match their digests, so a misfit was stored like that.
        match trees.and_then(|trees| StoredActionResult::with_trees(stored, trees)) {
            Some(result) => Ok(Some(result)),
            None => Err(self.actions.discard(action)),
        }
    }

    /// Returns the tree of an output directory; `None` if its blob is no `Tree` message.
    fn tree(&self, directory: &OutputDirectory) -> Result<Option<Tree>, CacheError> {
        match self.blobs.read_bytes(&directory.tree_digest) {
            Ok(bytes) => Ok(Tree::decode(&bytes).ok()),
            Err(source) => Err(CacheError::Tree { path: directory.path.clone(), source }),
        }
    }

    fn update_action_result(&self, action: &Digest, result: &ActionResult) -> Result<(), CacheError> {
        let (message, trees) = result.encode(action)?;
        for tree in &trees {
            self.blobs.put_bytes(tree)?;
        }
        self.actions.put(action, &message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action_result::tests::result;
    use std::fs;

    #[test]
    fn results_and_their_trees() {
        let root = std::env::temp_dir().join(format!("rondel-cache-{}", std::process::id()));
        let (cache, action) = (Cache::disk(&root), Digest::of(b"action"));
        assert_eq!(cache.get_action_result(&action).unwrap(), None);
        cache.update_action_result(&action, &result()).unwrap();
        assert_eq!(cache.get_action_result(&action).unwrap(), Some(result()));
        cache.remove_action_result(&action).unwrap();
        assert_eq!(cache.get_action_result(&action).unwrap(), None);
        cache.remove_action_result(&action).unwrap();
        cache.update_action_result(&action, &result()).unwrap();
        // The files' own blobs were not stored; asking for them is a separate question.
        let wanted = [Digest::of(b"x"), cache.put_bytes(b"here").unwrap()];
        assert_eq!(cache.find_missing_blobs(&wanted), [Digest::of(b"x")]);
        assert_eq!(cache.read_bytes(&wanted[1]).unwrap(), b"here");
        // Without the tree of an output directory, its contents are unknown.
        let tree = Digest::of(&result().encode(&action).unwrap().1[0]);
        let hex = tree.hex();
        let path = root.join("cas").join(&hex[..2]).join(&hex);
        let bytes = fs::read(&path).unwrap();
        for damage in [&b""[..], &bytes[1..], &[&bytes[..], b"x"].concat()] {
            fs::remove_file(&path).unwrap();
            fs::write(&path, damage).unwrap();
            assert!(matches!(
                cache.get_action_result(&action),
                Err(CacheError::Tree { source: BlobError::Corrupt(_), .. })
            ));
            assert!(matches!(
                cache.get_action_result(&action),
                Err(CacheError::Tree { source: BlobError::Missing(_), .. })
            ));
            cache.update_action_result(&action, &result()).unwrap();
            assert_eq!(cache.get_action_result(&action).unwrap(), Some(result()));
        }
        fs::remove_dir_all(root).unwrap();
    }
}
