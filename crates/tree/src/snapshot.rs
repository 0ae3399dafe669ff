//! The stat snapshot: digests of files that have not changed since they were last hashed.
//!
//! It works like git's index: path -> (size, mtime, ctime, inode, device, mode) -> digest, and for directories their
//! names. A digest is believed only if the fingerprint is unchanged and older than the boundary taken before the file
//! was read (see `MtimeBoundary`). A file written in the same tick as it was hashed could change again without looking
//! different, so it is hashed again until it has aged. Losing the snapshot costs time, never correctness.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::Vouch;
use crate::fingerprint::{Fingerprint, Kind};
use crate::mtime_boundary::MtimeBoundary;
use crate::snapshot_file::{Block, Draft, DraftEntry, SNAPSHOT_FORMAT, SnapshotFile};
use rondel_cas::{Digest, write_atomically};

/// Digests by absolute path. Shared by threads; saved once at the end.
pub struct StatSnapshot {
    file: PathBuf,
    /// Directory in which a short-lived file shows the file system's clock.
    clock: Mutex<Option<PathBuf>>,
    /// The first reading of the clock.
    begun: OnceLock<MtimeBoundary>,
    /// The latest boundary of anything here.
    latest: Mutex<Option<MtimeBoundary>>,
    /// Read once it is needed.
    stored: OnceLock<SnapshotFile>,
    /// True if a clock went back since the file was stored.
    is_distrusted: AtomicBool,
    updates: Mutex<Updates>,
    /// Who is asked before a look.
    vouch: Mutex<Option<Arc<dyn Vouch>>>,
}

/// New records of this process.
#[derive(Default)]
struct Updates {
    /// Walked directories that differ from the stored ones.
    directories: HashMap<PathBuf, Block>,
    /// Single files.
    files: HashMap<PathBuf, (Fingerprint, i128, [u8; 32])>,
    is_saved: bool,
}

impl StatSnapshot {
    /// Returns the snapshot at `file`. A missing, torn or foreign one is empty.
    ///
    /// The version is in the file's name: a Rondel of another version has a file of its own.
    pub fn open(file: &Path) -> StatSnapshot {
        StatSnapshot {
            file: file.with_extension(SNAPSHOT_FORMAT),
            clock: Mutex::default(),
            begun: OnceLock::new(),
            latest: Mutex::default(),
            stored: OnceLock::new(),
            is_distrusted: AtomicBool::new(false),
            updates: Mutex::default(),
            vouch: Mutex::default(),
        }
    }

    /// Returns the file that it is kept in.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Asks somebody before each look from now on.
    pub fn rely_on(&self, vouch: Arc<dyn Vouch>) {
        *self.vouch.lock().expect("no panic while locked") = Some(vouch);
    }

    /// Asks nobody any more.
    pub fn rely_on_nobody(&self) {
        *self.vouch.lock().expect("no panic while locked") = None;
    }

    /// Returns who is asked before a look.
    pub fn vouch(&self) -> Option<Arc<dyn Vouch>> {
        self.vouch.lock().expect("no panic while locked").clone()
    }

    /// Returns what earlier processes have recorded. Their boundary is the first that is known.
    fn read(&self) -> &SnapshotFile {
        self.stored.get_or_init(|| {
            let stored = SnapshotFile::open(&self.file).unwrap_or_default();
            *self.latest.lock().expect("no panic while locked") = stored.boundary;
            stored
        })
    }

    /// Lets the snapshot read the file system's clock by making short-lived files in `directory`. Without it, less is
    /// believed of files that are seconds old.
    pub fn ask_clock_in(&self, directory: &Path) {
        *self.clock.lock().expect("no panic while locked") = Some(directory.to_owned());
    }

    /// Returns the boundary now: changes before it differ from all later ones. It is taken before the first byte is
    /// read, so a change during the read is younger.
    pub fn mtime_boundary(&self) -> MtimeBoundary {
        self.read();
        let directory = self.clock.lock().expect("no panic while locked").clone();
        let now = MtimeBoundary::now(directory.as_deref());
        let mut latest = self.latest.lock().expect("no panic while locked");
        match *latest {
            // From here on times occur a second time: a record could look the same and have other contents.
            Some(before) if now.went_back_since(&before) => {
                self.is_distrusted.store(true, Ordering::SeqCst);
                *self.updates.lock().expect("no panic while locked") = Updates::default();
                *latest = Some(now);
            }
            Some(before) => *latest = Some(before.later_of(now)),
            None => *latest = Some(now),
        }
        now
    }

    /// Returns the first boundary of this process.
    pub fn begun(&self) -> MtimeBoundary {
        *self.begun.get_or_init(|| self.mtime_boundary())
    }

    /// Returns the records of earlier processes, if they can be believed.
    fn stored(&self) -> Option<&SnapshotFile> {
        self.begun();
        (!self.is_distrusted.load(Ordering::SeqCst)).then(|| self.read())
    }

    /// Waits until the file system's clock has moved on from `newest_ns`, the last change of some files. From then on
    /// every change of them shows in their stat data. A tick is some milliseconds, and mostly over already.
    pub fn wait_until_after(&self, newest_ns: i128) {
        const TICK_MAX_NS: i128 = 50_000_000;
        for _ in 0..25 {
            match self.mtime_boundary().asked_ns() {
                // A change in the future was made by another clock, or before this one was put back.
                Some(now) if now <= newest_ns && newest_ns - now < TICK_MAX_NS => {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }

    /// Waits for the next tick of the file system's clock. Changes before the call are older than the boundary that it
    /// returns.
    pub fn wait_for_next_tick(&self) -> MtimeBoundary {
        let now = self.mtime_boundary();
        match now.asked_ns() {
            Some(now_ns) => {
                self.wait_until_after(now_ns);
                self.mtime_boundary()
            }
            None => now,
        }
    }

    /// Returns the digest of the file at `path`, whose metadata (links not followed) is `metadata`. Hashes it only if
    /// the snapshot has no credible record.
    pub fn digest(&self, path: &Path, metadata: &Metadata) -> io::Result<Digest> {
        let fingerprint = Fingerprint::of(metadata);
        if let Some(digest) = self.known(path, &fingerprint) {
            return Ok(digest);
        }
        let boundary = self.mtime_boundary();
        let digest = Digest::of_file(path)?;
        if digest.size() == fingerprint.size() {
            let mut updates = self.updates.lock().expect("no panic while locked");
            updates.is_saved = false;
            updates.files.insert(path.to_owned(), (fingerprint, boundary.on(fingerprint.device()), *digest.hash()));
        }
        Ok(digest)
    }

    /// Records the contents of files that this process moved to these paths. Before each was hashed in its former place,
    /// its fingerprint was older than a boundary. Moving gives a file another time of change, so a write in the same tick
    /// is seen by the time of its contents alone. A file that was copied is not recorded.
    pub fn record_moved(&self, files: impl IntoIterator<Item = (PathBuf, Fingerprint, Digest)>) {
        let moved = files.into_iter().filter_map(|(path, former, digest)| {
            let now = Fingerprint::of(&fs::symlink_metadata(&path).ok()?);
            (now.is_moved(&former) && digest.size() == now.size())
                .then(|| (path, (now, now.ctime_ns() + 1, *digest.hash())))
        });
        let moved: Vec<_> = moved.collect();
        if !moved.is_empty() {
            // The clock has shown these times, so one that is put back is noticed.
            self.mtime_boundary();
            let mut updates = self.updates.lock().expect("no panic while locked");
            updates.is_saved = false;
            updates.files.extend(moved);
        }
    }

    fn known(&self, path: &Path, fingerprint: &Fingerprint) -> Option<Digest> {
        let updates = self.updates.lock().expect("no panic while locked");
        if let Some((recorded, boundary, hash)) = updates.files.get(path) {
            let is_believed = recorded == fingerprint && fingerprint.is_older_than(*boundary);
            return is_believed.then(|| Digest::from_parts(*hash, fingerprint.size()));
        }
        let (directory, name) = (path.parent()?, path.file_name()?.to_str()?);
        let fresh = updates.directories.get(directory).cloned();
        drop(updates);
        fresh.or_else(|| self.stored()?.find(directory))?.find(name)?.digest_if(fingerprint)
    }

    /// Returns the records of a directory.
    pub(crate) fn block(&self, directory: &Path) -> Option<Block> {
        let updates = self.updates.lock().expect("no panic while locked");
        let fresh = updates.directories.get(directory).cloned();
        drop(updates);
        fresh.or_else(|| self.stored()?.find(directory))
    }

    /// Adds the records of a walk.
    pub(crate) fn record(&self, directories: Vec<(PathBuf, Block)>) {
        if !directories.is_empty() {
            let mut updates = self.updates.lock().expect("no panic while locked");
            updates.is_saved = false;
            updates.directories.extend(directories);
        }
    }

    /// Saves new records. Drops records of directories that are gone.
    pub fn save(&self) -> io::Result<()> {
        let is_empty = |updates: &Updates| updates.directories.is_empty() && updates.files.is_empty();
        if is_empty(&self.updates.lock().expect("no panic while locked")) {
            return Ok(());
        }
        let stored = self.stored();
        let boundary = self.latest.lock().expect("no panic while locked").unwrap_or_else(|| self.begun());
        let mut updates = self.updates.lock().expect("no panic while locked");
        if updates.is_saved || is_empty(&updates) {
            return Ok(());
        }
        let files = std::mem::take(&mut updates.files);
        for (directory, files) in by_directory(&files) {
            let block = updates.directories.get(directory).cloned().or_else(|| stored?.find(directory));
            if let Some(block) = with_files(directory, block, files).encode() {
                updates.directories.insert(directory.to_owned(), block);
            }
        }
        let mut blocks: Vec<(&str, Block)> = Vec::new();
        for (path, block) in stored.into_iter().flat_map(SnapshotFile::blocks) {
            if !updates.directories.contains_key(Path::new(path)) && fs::symlink_metadata(path).is_ok() {
                blocks.push((path, block));
            }
        }
        let fresh = updates.directories.iter().filter_map(|(path, block)| Some((path.to_str()?, block.clone())));
        blocks.extend(fresh);
        blocks.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
        let scratch = self.file.parent().unwrap_or(Path::new(".")).join("tmp");
        let bytes = SnapshotFile::encode(&boundary, &blocks);
        write_atomically(&scratch, &self.file, &bytes)?;
        updates.is_saved = true;
        Ok(())
    }
}

type Known = (Fingerprint, i128, [u8; 32]);

fn by_directory(files: &HashMap<PathBuf, Known>) -> HashMap<&Path, Vec<(&str, Known)>> {
    let mut groups: HashMap<&Path, Vec<(&str, Known)>> = HashMap::new();
    for (path, known) in files {
        if let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) {
            groups.entry(directory).or_default().push((name, *known));
        }
    }
    groups
}

/// Returns a directory's block with records of single files in it.
fn with_files(directory: &Path, block: Option<Block>, files: Vec<(&str, Known)>) -> Draft {
    let nothing = || Draft { path: directory.to_owned(), own: None, entries: Vec::new() };
    let mut draft = block.map_or_else(nothing, |block| block.draft(directory));
    let places: HashMap<String, usize> =
        draft.entries.iter().enumerate().map(|(place, entry)| (entry.name.clone(), place)).collect();
    for (name, known) in files {
        // The contents behind a link are recorded under the link's name, and the link itself is known by its text.
        match places.get(name) {
            Some(&place) if draft.entries[place].kind == Kind::File => draft.entries[place].known = Some(known),
            Some(_) => {}
            // A name that came after the directory was read, so the block no longer has all names.
            None => {
                draft.own = None;
                draft.entries.push(DraftEntry { name: name.to_owned(), kind: Kind::File, known: Some(known) });
            }
        }
    }
    draft
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("rondel-snapshot-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("state")).unwrap();
            Directory(path)
        }

        fn open(&self) -> StatSnapshot {
            let snapshot = StatSnapshot::open(&self.0.join("state/snapshot"));
            snapshot.ask_clock_in(&self.0.join("state"));
            snapshot
        }

        fn digest(&self, snapshot: &StatSnapshot) -> Digest {
            let path = self.0.join("file");
            snapshot.digest(&path, &fs::symlink_metadata(&path).unwrap()).unwrap()
        }

        fn write(&self, text: &str) {
            fs::write(self.0.join("file"), text).unwrap();
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn an_aged_file_is_believed_after_it_was_saved() {
        let directory = Directory::new("aged");
        directory.write("one");
        std::thread::sleep(std::time::Duration::from_millis(30));
        let snapshot = directory.open();
        directory.digest(&snapshot);
        snapshot.save().unwrap();
        let again = directory.open();
        let path = directory.0.join("file");
        let fingerprint = Fingerprint::of(&fs::symlink_metadata(&path).unwrap());
        assert_eq!(again.known(&path, &fingerprint), Some(Digest::of(b"one")));
        again.save().unwrap();
        directory.write("two");
        assert_eq!(directory.digest(&again), Digest::of(b"two"));
        assert_eq!(directory.digest(&directory.open()), Digest::of(b"two"));
    }

    /// A file system whose clock was put back: stored records are of no use, and new ones are.
    #[test]
    fn a_clock_that_went_back() {
        let directory = Directory::new("back");
        directory.write("one");
        std::thread::sleep(std::time::Duration::from_millis(30));
        let fingerprint = || Fingerprint::of(&fs::symlink_metadata(directory.0.join("file")).unwrap());
        let snapshot = directory.open();
        directory.digest(&snapshot);
        // As if all of this had been in the future.
        let ahead = snapshot.mtime_boundary().to_bytes();
        let ahead = u64::from_le_bytes(ahead[8..16].try_into().unwrap()) + 3_600_000_000_000;
        let mut bytes = snapshot.mtime_boundary().to_bytes();
        bytes[8..16].copy_from_slice(&ahead.to_le_bytes());
        *snapshot.latest.lock().unwrap() = Some(MtimeBoundary::from_bytes(&bytes));
        snapshot.save().unwrap();
        let again = directory.open();
        assert_eq!(again.known(&directory.0.join("file"), &fingerprint()), None);
        assert_eq!(directory.digest(&again), Digest::of(b"one"));
        again.save().unwrap();
        let path = directory.0.join("file");
        assert_eq!(directory.open().known(&path, &fingerprint()), Some(Digest::of(b"one")));
        // Within one process too.
        *again.latest.lock().unwrap() = Some(MtimeBoundary::from_bytes(&bytes));
        assert!(again.known(&path, &fingerprint()).is_some());
        again.mtime_boundary();
        assert_eq!(again.known(&path, &fingerprint()), None);
    }

    /// Written, hashed, written again at once with the same size, over and over: never the old digest.
    #[test]
    fn same_size_in_the_same_tick() {
        let directory = Directory::new("tick");
        for round in 0..500 {
            let snapshot = directory.open();
            directory.write("aaaa");
            directory.digest(&snapshot);
            snapshot.save().unwrap();
            directory.write("bbbb");
            assert_eq!(directory.digest(&snapshot), Digest::of(b"bbbb"), "round {round}");
            assert_eq!(directory.digest(&directory.open()), Digest::of(b"bbbb"), "round {round}, saved");
        }
    }

    /// A file that is hashed where it was made and then moved is known in its place, and any later write is seen.
    #[test]
    fn a_moved_file_is_known() {
        let directory = Directory::new("moved");
        let (made, place) = (directory.0.join("made"), directory.0.join("file"));
        let metadata = |path: &Path| fs::symlink_metadata(path).unwrap();
        for round in 0..50 {
            let snapshot = directory.open();
            fs::write(&made, "made").unwrap();
            let former = Fingerprint::of(&metadata(&made));
            snapshot.wait_until_after(former.ctime_ns());
            fs::rename(&made, &place).unwrap();
            snapshot.record_moved([(place.clone(), former, Digest::of(b"made"))]);
            let known = |snapshot: &StatSnapshot| snapshot.known(&place, &Fingerprint::of(&metadata(&place)));
            assert_eq!(known(&snapshot), Some(Digest::of(b"made")), "round {round}");
            snapshot.save().unwrap();
            assert_eq!(known(&directory.open()), Some(Digest::of(b"made")), "round {round}");
            fs::write(&place, "edit").unwrap();
            assert_eq!(known(&snapshot), None, "round {round}");
            assert_eq!(directory.digest(&snapshot), Digest::of(b"edit"), "round {round}");
        }
    }

    #[test]
    fn what_is_not_the_same_file_is_not_recorded() {
        let directory = Directory::new("not-moved");
        let (made, place) = (directory.0.join("made"), directory.0.join("file"));
        let snapshot = directory.open();
        let known = || snapshot.known(&place, &Fingerprint::of(&fs::symlink_metadata(&place).unwrap()));
        fs::write(&made, "made").unwrap();
        let former = Fingerprint::of(&fs::symlink_metadata(&made).unwrap());
        snapshot.wait_until_after(former.ctime_ns());
        let record = |digest: Digest| snapshot.record_moved([(place.clone(), former, digest)]);
        // A copy, as on another file system.
        fs::write(&place, "made").unwrap();
        record(Digest::of(b"made"));
        assert_eq!(known(), None);
        // Another size than was hashed, and a write between hashing and moving.
        fs::rename(&made, &place).unwrap();
        record(Digest::of(b"mor"));
        assert_eq!(known(), None);
        fs::write(&place, "edit").unwrap();
        record(Digest::of(b"made"));
        assert_eq!(known(), None);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let directory = Directory::new("gone");
        fs::create_dir(directory.0.join("deep")).unwrap();
        for path in ["file", "deep/file"].map(|path| directory.0.join(path)) {
            fs::write(&path, "x").unwrap();
            let snapshot = directory.open();
            snapshot.digest(&path, &fs::symlink_metadata(&path).unwrap()).unwrap();
            snapshot.save().unwrap();
        }
        assert!(directory.open().block(&directory.0.join("deep")).is_some());
        fs::remove_dir_all(directory.0.join("deep")).unwrap();
        directory.write("y");
        let snapshot = directory.open();
        directory.digest(&snapshot);
        snapshot.save().unwrap();
        assert!(directory.open().block(&directory.0.join("deep")).is_none());
        assert!(directory.open().block(&directory.0).is_some());
    }
}
