//! Garbage collection and verification of the store.
//!
//! Results go least recently used first, until the rest fits. Blobs go when no result names them any more. Nothing goes
//! that a running build may count on: everything stored or used since the oldest of them began. All of this is safe at
//! any moment, even if it stops halfway. A result goes before its blobs, and a step whose result has lost its blobs
//! runs again.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::action_cache::read_result;
use crate::action_result::StoredActionResult;
use crate::atomic::sweep_abandoned;
use crate::blob_store::BlobStore;
use crate::last_use::{NOTED_EVERY, modified};
use crate::regular::{SMALL_MAX, read_text_at_most};
use crate::{Digest, TemporaryFile, Tree};

/// A store of results and blobs: `<cache>/v2`.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// Marks a build as running until it is dropped.
pub struct RunningBuild {
    _marker: TemporaryFile,
}

/// One stored result.
#[derive(Clone, Debug)]
pub struct StoredResult {
    /// Name of its file: the digest of its action.
    pub action: String,
    /// The target that made it first.
    pub target: String,
    /// Kind of that target.
    pub kind: String,
    /// When it was last used or stored.
    pub used: SystemTime,
    /// Size of its own file in bytes.
    pub size: u64,
    /// Its blobs: files, the `Tree` messages of output directories, and the files that these name.
    pub blobs: Vec<Digest>,
}

/// Outcome of garbage collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcOutcome {
    /// Number of removed files.
    pub files: u64,
    /// Number of removed bytes.
    pub bytes: u64,
    /// Number of bytes left.
    pub left: u64,
    /// Bytes over the limit that running builds hold.
    pub held: u64,
    /// Bytes over the limit that can't be deleted.
    pub stuck: u64,
}

/// Outcome of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// Number of sound blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Number of results that are whole and have all blobs.
    pub results: u64,
    /// Number of removed damaged blobs.
    pub damaged_blobs: u64,
    /// Number of removed results that were damaged or had lost blobs.
    pub damaged_results: u64,
}

impl Store {
    /// Returns the store below `root`.
    pub fn new(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn running(&self) -> PathBuf {
        self.root.join("running")
    }

    /// Records that a build starts, and removes records of dead ones. Returns `None` where the store can't be written:
    /// then nothing is stored either.
    pub fn begin_build(&self) -> Option<RunningBuild> {
        sweep_abandoned(&self.running());
        sweep_abandoned(&self.root.join("tmp"));
        let mut marker = TemporaryFile::new_in(&self.running()).ok()?;
        // In the file system's time. The marker's own time is renewed while the build runs.
        let began = marker.file().metadata().ok()?.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        write!(marker.file(), "{}", began.as_nanos()).ok()?;
        Some(RunningBuild { _marker: marker })
    }

    /// Returns when the oldest running build began.
    fn oldest_build(&self) -> Option<SystemTime> {
        let entries = fs::read_dir(self.running()).into_iter().flatten().flatten();
        let began = |entry: fs::DirEntry| {
            let text = read_text_at_most(&entry.path(), SMALL_MAX).ok()?;
            match text.trim().parse() {
                Ok(nanoseconds) => Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)),
                Err(_) => entry.metadata().ok()?.modified().ok(),
            }
        };
        entries.filter_map(began).min()
    }

    /// Returns all readable results, unordered. Calls `stop` now and then.
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

    /// Returns what the results of a target depend on, as `ActionResult::description` says it: when each was last used or stored, and
    /// the text. Unordered.
    pub fn descriptions(&self, target: &str, kind: &str) -> io::Result<Vec<(SystemTime, Vec<u8>)>> {
        let store = BlobStore::new(&self.root);
        let description = |(path, metadata): (PathBuf, Metadata)| {
            let result = read_result(&path)?.rest;
            let is_of = result.target == target && result.kind == kind;
            Some((modified(&metadata), store.peek(&result.description.filter(|_| is_of)?)?))
        };
        Ok(files_in(&self.root.join("ac"))?.into_iter().filter_map(description).collect())
    }

    /// Removes results, least recently used first, and blobs that only they name, until at most `limit` bytes are left.
    /// Calls `stop` now and then; stopping early is safe.
    pub fn gc(&self, limit: u64, stop: &dyn Fn() -> bool) -> io::Result<GcOutcome> {
        sweep_abandoned(&self.running());
        sweep_abandoned(&self.root.join("tmp"));
        let blobs: HashMap<String, (PathBuf, Metadata)> = files_in(&self.root.join("cas"))?
            .into_iter()
            .map(|(path, metadata)| (name_of(&path), (path, metadata)))
            .collect();
        let mut results = self.results(stop)?;
        results.sort_by_key(|result| std::cmp::Reverse(result.used));
        // From the most recently used on: results that fit stay.
        let mut outcome = GcOutcome::default();
        let mut kept: HashSet<String> = HashSet::new();
        let mut is_full = false;
        for result in results {
            if stop() {
                return Ok(outcome);
            }
            let new: HashSet<(String, u64)> = result
                .blobs
                .iter()
                .map(|blob| (blob.hex(), blob.size()))
                .filter(|(hex, _)| !kept.contains(hex) && blobs.contains_key(hex))
                .collect();
            let size = result.size + new.iter().map(|(_, size)| size).sum::<u64>();
            is_full |= outcome.left + size > limit;
            if is_full {
                let path = self.root.join("ac").join(&result.action[..2]).join(&result.action);
                let removal = self.remove(&path, result.used);
                if matches!(removal, Removal::Done | Removal::NotThere) {
                    outcome.note(removal, result.size);
                    continue;
                }
                outcome.note(removal, size);
            } else {
                outcome.left += size;
            }
            kept.extend(new.into_iter().map(|(hex, _)| hex));
        }
        for (hex, (path, metadata)) in &blobs {
            if stop() {
                return Ok(outcome);
            }
            if !kept.contains(hex) {
                outcome.note(self.remove(path, modified(metadata)), metadata.len());
            }
        }
        Ok(outcome)
    }

    /// Removes a file that was last used at `used`, unless it has been used since, or a running build may count on it.
    fn remove(&self, path: &Path, used: SystemTime) -> Removal {
        // Read each time, since builds start meanwhile. A use shortly before a build began may not have been recorded.
        let since = self.oldest_build().map(|began| began.checked_sub(NOTED_EVERY).unwrap_or(began));
        if since.is_some_and(|since| used >= since) {
            return Removal::Held;
        }
        match fs::symlink_metadata(path).map(|metadata| modified(&metadata) == used) {
            Ok(false) => Removal::Held,
            // Another collector may be faster, before either of the two calls.
            is_old => match is_old.and_then(|_| fs::remove_file(path)) {
                Ok(()) => Removal::Done,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Removal::NotThere,
                Err(_) => Removal::Stuck,
            },
        }
    }

    /// Hashes every blob and reads every result again. Removes damaged ones, results of another action than their names
    /// say, and results without their blobs. The next build makes them again.
    pub fn verify(&self) -> io::Result<VerifyOutcome> {
        let mut verified = VerifyOutcome::default();
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
                // Another process has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => verified.damaged_blobs += remove_if_there(path)?,
            }
        }
        for (path, _) in files_in(&self.root.join("ac"))? {
            let whole = read_result(&path).is_some_and(|result| {
                let (blobs, is_known) = blobs_of(&result, &store);
                // Blobs stored meanwhile by a build are not verified yet.
                is_known && blobs.iter().all(|digest| sound.contains(&digest.hex()) || store.is_sound(digest))
            });
            if whole {
                verified.results += 1;
            } else {
                verified.damaged_results += remove_if_there(&path)?;
            }
        }
        Ok(verified)
    }
}

/// Removes a file. Returns how many were removed: none where another process was faster.
fn remove_if_there(path: &Path) -> io::Result<u64> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        removal => removal.map(|()| 1),
    }
}

/// Returns all blobs that `result` needs, as far as the trees of its output directories can be read. Also returns
/// whether all of them can.
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

/// Outcome of removing a file.
#[derive(Clone, Copy)]
enum Removal {
    Done,
    /// Another process has removed it.
    NotThere,
    /// A build needs it.
    Held,
    /// The system refused.
    Stuck,
}

impl GcOutcome {
    /// Counts the outcome for a file of `size` bytes.
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

/// Returns the files named by digests, in a directory of two-digit directories. Other names are not ours.
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

    /// Returns a store with one result: a directory with one file, and nothing else.
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

    /// A result needs its tree and the files that the tree names.
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
        let sound = VerifyOutcome { blobs: 2, results: 1, ..store.verify().unwrap() };
        assert_eq!(store.verify().unwrap(), sound);
        // Without the file or the tree, the result is worth nothing.
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
