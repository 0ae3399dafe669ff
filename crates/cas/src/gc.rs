//! Keeping the store small and sound: what is in it, what goes when it is too large, what is damaged.
//!
//! Results go least recently used first, until what is left fits. Blobs go that no result names any more. Nothing goes
//! that a running build may count on: what was stored or used since the oldest of them began. All of this is safe
//! at any moment, also if it is stopped halfway: a result goes before its blobs, and whoever looked at a result whose
//! blobs are gone runs the step.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::action_cache::read_result;
use crate::action_result::StoredActionResult;
use crate::atomic::sweep_abandoned;
use crate::blob_store::BlobStore;
use crate::last_use::{NOTED_EVERY, modified};
use crate::{Digest, TemporaryFile, Tree};

/// A store of results and blobs: `<cache>/v2`.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// Says that a build runs, as long as it lives.
pub struct RunningBuild {
    _marker: TemporaryFile,
}

/// One stored result.
#[derive(Clone, Debug)]
pub struct StoredResult {
    /// Name of its file: the digest of its action.
    pub action: String,
    /// For which target it was made first.
    pub target: String,
    /// What kind of target that is.
    pub kind: String,
    /// When it was last used or stored.
    pub used: SystemTime,
    /// Bytes of its own file.
    pub size: u64,
    /// Its blobs: hash and size. Files, the `Tree` messages of output directories, and the files that these name.
    pub blobs: Vec<Digest>,
}

/// What collecting removed and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that are left.
    pub left: u64,
    /// Bytes over the limit that running builds hold.
    pub held: u64,
    /// Bytes over the limit that the system does not let go of.
    pub stuck: u64,
}

/// What looking at everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blobs that are what their name says.
    pub blobs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Results that are whole, and whose blobs are all there.
    pub results: u64,
    /// Damaged blobs, removed.
    pub damaged_blobs: u64,
    /// Damaged results, and results without their blobs, removed.
    pub damaged_results: u64,
}

impl Store {
    /// The store below `root`.
    pub fn new(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    fn running(&self) -> PathBuf {
        self.root.join("running")
    }

    /// Notes that a build begins, and sweeps what dead ones left. `None` where the store can't be written: then nothing is stored either.
    pub fn begin_build(&self) -> Option<RunningBuild> {
        sweep_abandoned(&self.running());
        sweep_abandoned(&self.root.join("tmp"));
        TemporaryFile::new_in(&self.running()).ok().map(|marker| RunningBuild { _marker: marker })
    }

    /// When the oldest running build began.
    fn oldest_build(&self) -> Option<SystemTime> {
        let entries = fs::read_dir(self.running()).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()?.modified().ok()).min()
    }

    /// All results that can be read, in no order. `stop` is asked now and then.
    pub fn results(&self, stop: &dyn Fn() -> bool) -> io::Result<Vec<StoredResult>> {
        let mut results = Vec::new();
        let store = BlobStore::new(&self.root);
        for (path, metadata) in files_in(&self.root.join("ac"))? {
            if stop() {
                break;
            }
            let Some(result) = read_result(&path) else { continue };
            results.push(StoredResult {
                action: name_of(&path),
                used: modified(&metadata),
                size: metadata.len(),
                blobs: blobs_of(&result, &store).0,
                target: result.rest.target,
                kind: result.rest.kind,
            });
        }
        Ok(results)
    }

    /// Removes results, least recently used first, and the blobs that only they name, until at most `limit` bytes
    /// are left. `stop` is asked now and then; stopping early is safe.
    pub fn gc(&self, limit: u64, stop: &dyn Fn() -> bool) -> io::Result<Collected> {
        sweep_abandoned(&self.running());
        sweep_abandoned(&self.root.join("tmp"));
        let blobs: HashMap<String, (PathBuf, Metadata)> = files_in(&self.root.join("cas"))?
            .into_iter()
            .map(|(path, metadata)| (name_of(&path), (path, metadata)))
            .collect();
        let mut results = self.results(stop)?;
        results.sort_by_key(|result| std::cmp::Reverse(result.used));
        // From the most recently used on: what fits stays.
        let mut collected = Collected::default();
        let mut kept: HashSet<String> = HashSet::new();
        let mut is_full = false;
        for result in results {
            if stop() {
                return Ok(collected);
            }
            let new: HashSet<(String, u64)> = result
                .blobs
                .iter()
                .map(|blob| (blob.hex(), blob.size()))
                .filter(|(hex, _)| !kept.contains(hex) && blobs.contains_key(hex))
                .collect();
            let size = result.size + new.iter().map(|(_, size)| size).sum::<u64>();
            is_full |= collected.left + size > limit;
            if is_full {
                let path = self.root.join("ac").join(&result.action[..2]).join(&result.action);
                let removal = self.remove(&path, result.used);
                if matches!(removal, Removal::Done | Removal::NotThere) {
                    collected.note(removal, result.size);
                    continue;
                }
                collected.note(removal, size);
            } else {
                collected.left += size;
            }
            kept.extend(new.into_iter().map(|(hex, _)| hex));
        }
        for (hex, (path, metadata)) in &blobs {
            if stop() {
                return Ok(collected);
            }
            if !kept.contains(hex) {
                collected.note(self.remove(path, modified(metadata)), metadata.len());
            }
        }
        Ok(collected)
    }

    /// Removes a file that was last used at `used`, unless somebody has used it since, or a build that runs by now
    /// may count on it.
    fn remove(&self, path: &Path, used: SystemTime) -> Removal {
        // Asked each time: builds begin. What was used shortly before one began may not have been noted as such.
        let since = self.oldest_build().map(|began| began.checked_sub(NOTED_EVERY).unwrap_or(began));
        if since.is_some_and(|since| used >= since) {
            return Removal::Held;
        }
        match fs::symlink_metadata(path) {
            Err(_) => Removal::NotThere,
            Ok(metadata) if modified(&metadata) != used => Removal::Held,
            Ok(_) => fs::remove_file(path).map_or(Removal::Stuck, |()| Removal::Done),
        }
    }

    /// Hashes every blob and reads every result again; removes what is damaged, results that are of another action than
    /// their names say, and results whose blobs are not there, so that the next build makes them anew.
    pub fn verify(&self) -> io::Result<Verified> {
        let mut verified = Verified::default();
        let blobs = files_in(&self.root.join("cas"))?;
        let hashed = crate::parallel::par_map(&blobs, blobs.len() * 64, |(path, _)| Digest::of_file(path));
        let mut sound: HashSet<String> = HashSet::new();
        let store = BlobStore::new(&self.root);
        for ((path, _), digest) in blobs.iter().zip(hashed) {
            match digest {
                Ok(digest) if digest.hex() == name_of(path) => {
                    verified.blobs += 1;
                    verified.bytes += digest.size();
                    sound.insert(digest.hex());
                }
                // Somebody else has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => {
                    verified.damaged_blobs += 1;
                    fs::remove_file(path)?;
                }
            }
        }
        for (path, _) in files_in(&self.root.join("ac"))? {
            let whole = read_result(&path).is_some_and(|result| {
                let (blobs, is_known) = blobs_of(&result, &store);
                // What a build has stored meanwhile was not looked at yet.
                is_known && blobs.iter().all(|digest| sound.contains(&digest.hex()) || store.is_sound(digest))
            });
            if whole {
                verified.results += 1;
            } else if path.exists() {
                verified.damaged_results += 1;
                fs::remove_file(path)?;
            }
        }
        Ok(verified)
    }
}

/// All blobs that `result` needs, as far as the trees of its output directories can be read; and whether they all can.
fn blobs_of(result: &StoredActionResult, store: &BlobStore) -> (Vec<Digest>, bool) {
    let mut blobs: Vec<Digest> = result.blobs().copied().collect();
    let mut is_known = true;
    for directory in &result.output_directories {
        match store.peek(&directory.tree_digest).and_then(|bytes| Tree::decode(&bytes).ok()) {
            Some(tree) => blobs.extend(tree.entries().filter_map(|(_, entry)| entry.contents())),
            None => is_known = false,
        }
    }
    (blobs, is_known)
}

/// What became of a file that was to be removed.
#[derive(Clone, Copy)]
enum Removal {
    Done,
    /// Somebody else has removed it.
    NotThere,
    /// Somebody needs it.
    Held,
    /// The system said no.
    Stuck,
}

impl Collected {
    /// Counts what became of something that takes `size`.
    fn note(&mut self, removal: Removal, size: u64) {
        match removal {
            Removal::Done => {
                self.files += 1;
                self.bytes += size;
            }
            Removal::NotThere => {}
            Removal::Held => {
                self.left += size;
                self.held += size;
            }
            Removal::Stuck => {
                self.left += size;
                self.stuck += size;
            }
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The files of a directory with directories of two digits, named by digests. Other names are not ours.
fn files_in(directory: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let mut found = Vec::new();
    for fan in entries(directory)? {
        if !fan.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        for entry in entries(&fan.path())? {
            let is_name = entry.file_name().to_str().is_some_and(|name| name.len() == 64);
            match entry.metadata() {
                Ok(metadata) if is_name && metadata.is_file() => found.push((entry.path(), metadata)),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn entries(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => Ok(entries?.flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActionResult, Cache, Entry, OutputEntry, RelativePath};

    /// A store with one result: a directory with one file, and nothing else.
    fn store(name: &str) -> (PathBuf, Digest, Digest) {
        let root = std::env::temp_dir().join(format!("rondel-gc-{name}-{}", std::process::id()));
        let cache = Cache::disk(&root);
        let (action, file) = (Digest::of(b"action"), cache.put_bytes(b"in the directory").unwrap());
        let path = |text| RelativePath::new(text).unwrap();
        let outputs = vec![OutputEntry { path: path("gen/file"), entry: Entry::file(file, false) }];
        let result = ActionResult { outputs, directories: vec![path("gen")], ..ActionResult::default() };
        cache.update_action_result(&action, &result).unwrap();
        (root, action, file)
    }

    fn place(root: &Path, kind: &str, digest: &Digest) -> PathBuf {
        root.join(kind).join(&digest.hex()[..2]).join(digest.hex())
    }

    /// A tree and the files that it names are needed by the result that names the tree.
    #[test]
    fn trees_are_followed() {
        let (root, action, file) = store("trees");
        let store = Store::new(&root);
        let results = store.results(&|| false).unwrap();
        assert_eq!(results.len(), 1);
        assert!(results[0].blobs.contains(&file) && results[0].blobs.len() == 2);
        let stray = Cache::disk(&root).put_bytes(b"nobody needs it").unwrap();
        assert_eq!(store.gc(u64::MAX, &|| false).unwrap().files, 1);
        assert!(!place(&root, "cas", &stray).exists() && place(&root, "cas", &file).exists());
        let sound = Verified { blobs: 2, results: 1, ..store.verify().unwrap() };
        assert_eq!(store.verify().unwrap(), sound);
        // Without the file, and without the tree, the result is worth nothing.
        for blob in &results[0].blobs {
            fs::remove_file(place(&root, "cas", blob)).unwrap();
            let verified = store.verify().unwrap();
            assert_eq!((verified.results, verified.damaged_results), (0, 1));
            fs::remove_dir_all(&root).unwrap();
            self::store("trees");
        }
        fs::remove_file(place(&root, "ac", &action)).unwrap();
        assert_eq!(store.gc(u64::MAX, &|| false).unwrap().files, 2);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_result_under_another_key_is_damaged() {
        let (root, action, _) = store("another");
        let other = place(&root, "ac", &Digest::of(b"another action"));
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::copy(place(&root, "ac", &action), &other).unwrap();
        let verified = Store::new(&root).verify().unwrap();
        assert_eq!((verified.results, verified.damaged_results, other.exists()), (1, 1, false));
        fs::remove_dir_all(root).unwrap();
    }
}
