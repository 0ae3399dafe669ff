//! The blob store: bytes under the name of their digest, shared by all checkouts of a user.
//!
//! `<root>/cas/<first two hex digits>/<hex>`, mode 0444, or 0400 if the file was not for others to read. Written in
//! `<root>/tmp` and renamed. Any number of processes read and write at once, without locks. Contents are hashed again on
//! every read.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::atomic::copy_open;
use crate::last_use::note_use;
use crate::regular::{MEMORY_MAX, open_regular, read_at_most, read_open_at_most};
use crate::{Digest, Hasher, TemporaryFile};

/// Blobs on disk.
#[derive(Clone, Debug)]
pub(crate) struct BlobStore {
    directory: PathBuf,
    scratch: PathBuf,
    /// Blobs that this process has written.
    written: Arc<Mutex<HashSet<Digest>>>,
}

/// Why a blob could not be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not in the store.
    #[error("blob {0} is not in the store")]
    Missing(Digest),
    /// Its file had other contents, and has been removed.
    #[error("blob {0} was damaged and has been removed")]
    Corrupt(Digest),
    /// The file to store was written while it was read.
    #[error("`{}` was still being written when it was stored", .0.display())]
    Changing(PathBuf),
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

impl BlobStore {
    /// Returns the store below `root` (`<cache>/v2`). Makes nothing until something is written.
    pub fn new(root: &Path) -> BlobStore {
        BlobStore { directory: root.join("cas"), scratch: root.join("tmp"), written: Arc::default() }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.directory.join(&hex[..2]).join(hex)
    }

    /// Returns true if a blob of this name and size exists. Does not read its contents.
    pub fn contains(&self, digest: &Digest) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|metadata| metadata.len() == digest.size())
    }

    /// Returns true if the blob exists with the right contents. Storing it again repairs a damaged blob.
    pub(crate) fn is_sound(&self, digest: &Digest) -> bool {
        let Ok((file, _)) = open_regular(&self.path(digest)) else { return false };
        let is_sound = Digest::of_open(&file, digest.size()).is_ok_and(|found| found == *digest);
        if is_sound {
            note_use(&file);
        }
        is_sound
    }

    /// Stores a copy of the file at `source` and returns its digest. A file that others may not read is private in the
    /// store too, from its first byte; a blob that was for all to read becomes private with it. It is read once.
    pub fn put_file(&self, source: &Path) -> Result<Digest, BlobError> {
        let (mut input, metadata) = open_regular(source).map_err(io_error("read", source))?;
        if metadata.len() <= AT_ONCE_MAX {
            let bytes = read_open_at_most(&mut input, AT_ONCE_MAX).map_err(io_error("read", source))?;
            return self.put(&bytes, is_private(&metadata));
        }
        let mut temporary = TemporaryFile::private_in(&self.scratch).map_err(io_error("write", &self.scratch))?;
        let digest =
            copy_hashed(&mut input, temporary.file()).map_err(|error| error.between(source, temporary.path()))?;
        self.keep_copy(source, (&input, &metadata), temporary, digest)
    }

    /// Does the same for a file whose digest its writer knows: it is not hashed.
    pub fn put_known_file(&self, source: &Path, digest: &Digest) -> Result<(), BlobError> {
        let (mut input, metadata) = open_regular(source).map_err(io_error("read", source))?;
        if metadata.len() != digest.size() {
            return Err(BlobError::Changing(source.to_owned()));
        }
        let is_own = self.written.lock().expect("no panic while locked").contains(digest);
        let is_there = if is_own { self.contains(digest) } else { self.is_sound(digest) };
        if is_there {
            return self.allow_at_most(mode_for(is_private(&metadata)), digest);
        }
        let mut temporary = TemporaryFile::private_in(&self.scratch).map_err(io_error("write", &self.scratch))?;
        copy_open(&mut input, temporary.file()).map_err(io_error("write", temporary.path()))?;
        self.keep_copy(source, (&input, &metadata), temporary, *digest).map(drop)
    }

    /// Gives a copy of `source`, which was opened when its metadata was `before`, its place.
    fn keep_copy(
        &self,
        source: &Path,
        (input, before): (&File, &Metadata),
        temporary: TemporaryFile,
        digest: Digest,
    ) -> Result<Digest, BlobError> {
        let after = input.metadata().map_err(io_error("read", source))?;
        if after.len() != digest.size() || after.modified().ok() != before.modified().ok() {
            // Its writer has not finished.
            return Err(BlobError::Changing(source.to_owned()));
        }
        let destination = self.path(&digest);
        let was_private = fs::metadata(&destination).is_ok_and(|metadata| self::is_private(&metadata));
        keep(temporary, &destination, mode_for(was_private || is_private(before)))?;
        self.written.lock().expect("no panic while locked").insert(digest);
        Ok(digest)
    }

    /// Makes a blob that is there private, if its mode is to be that.
    fn allow_at_most(&self, mode: u32, digest: &Digest) -> Result<(), BlobError> {
        let path = self.path(digest);
        if mode == PRIVATE && fs::metadata(&path).is_ok_and(|metadata| !is_private(&metadata)) {
            set_mode(&path, PRIVATE).map_err(io_error("write", &path))?;
        }
        Ok(())
    }

    /// Stores `bytes` and returns their digest.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        self.put(bytes, false)
    }

    fn put(&self, bytes: &[u8], is_private: bool) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        if self.is_sound(&digest) {
            return self.allow_at_most(mode_for(is_private), &digest).map(|()| digest);
        }
        let destination = self.path(&digest);
        let mut temporary = TemporaryFile::private_in(&self.scratch).map_err(io_error("write", &self.scratch))?;
        temporary.file().write_all(bytes).map_err(io_error("write", &destination))?;
        keep(temporary, &destination, mode_for(is_private))?;
        Ok(digest)
    }

    /// Copies the blob into `destination`, a file at `place`, and hashes it on the way. A blob that does not match is
    /// removed from the store and reported as corrupt. The caller must then drop the contents of `destination`.
    pub fn copy_to(&self, digest: &Digest, destination: &mut File, place: &Path) -> Result<(), BlobError> {
        let path = self.path(digest);
        let mut source = match open_regular(&path) {
            Ok((file, _)) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BlobError::Missing(*digest)),
            Err(source) => return Err(BlobError::Io { action: "read", path, source }),
        };
        let copied = copy_hashed(&mut source, destination).map_err(|error| error.between(&path, place))?;
        if copied == *digest {
            return Ok(());
        }
        let _ = fs::remove_file(&path);
        Err(BlobError::Corrupt(*digest))
    }

    /// Returns the bytes of the blob. A blob that does not match is removed from the store and reported as corrupt.
    pub fn read_bytes(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        match read_sound(&path, digest) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => {
                let _ = fs::remove_file(&path);
                Err(BlobError::Corrupt(*digest))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::Missing(*digest)),
            Err(source) => Err(BlobError::Io { action: "read", path, source }),
        }
    }

    /// Reads a blob without side effects: removes nothing, and records no use.
    pub(crate) fn peek(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = read_at_most(&self.path(digest), MEMORY_MAX).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }
}

/// Returns the contents of the file at `path`, or `None` if they do not match `digest`.
fn read_sound(path: &Path, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
    let (mut file, _) = open_regular(path)?;
    let mut bytes = Vec::new();
    // A file that is too long is not read to its end.
    (&mut file).take(digest.size().saturating_add(1)).read_to_end(&mut bytes)?;
    if Digest::of(&bytes) != *digest {
        return Ok(None);
    }
    note_use(&file);
    Ok(Some(bytes))
}

/// Mode of a blob.
const PUBLIC: u32 = 0o444;
/// Mode of a blob that was made of a private file.
const PRIVATE: u32 = 0o400;

/// Files up to this size in bytes are read into memory first. If the store has such a file already, nothing is written.
const AT_ONCE_MAX: u64 = 1 << 20;

/// Returns the mode of a blob.
fn mode_for(is_private: bool) -> u32 {
    if is_private { PRIVATE } else { PUBLIC }
}

/// Returns true if others than the owner may not read the file.
fn is_private(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.permissions().mode() & 0o004 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, mode);
        Ok(())
    }
}

fn keep(temporary: TemporaryFile, destination: &Path, mode: u32) -> Result<(), BlobError> {
    temporary.set_mode(mode).map_err(io_error("write", destination))?;
    let parent = destination.parent().expect("a blob has a directory");
    fs::create_dir_all(parent).map_err(io_error("write", parent))?;
    temporary.persist(destination).map_err(io_error("write", destination))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
    move |source| BlobError::Io { action, path: path.to_owned(), source }
}

/// The side on which copying failed.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

impl CopyError {
    /// Returns the error of copying from `source` to `destination`.
    fn between(self, source: &Path, destination: &Path) -> BlobError {
        match self {
            CopyError::Read(error) => io_error("read", source)(error),
            CopyError::Write(error) => io_error("write", destination)(error),
        }
    }
}

fn copy_hashed(source: &mut File, destination: &mut File) -> Result<Digest, CopyError> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0_u8; 256 * 1024];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                destination.write_all(&buffer[..count]).map_err(CopyError::Write)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A private file is private in the store, also if the same bytes were stored for all before, and after.
    #[test]
    fn blobs_of_private_files() {
        let root = std::env::temp_dir().join(format!("rondel-private-blobs-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let (store, source) = (BlobStore::new(&root), root.join("source"));
        let mode_of = |digest: &Digest| fs::metadata(store.path(digest)).unwrap().permissions().mode() & 0o777;
        for (text, modes) in [("a", [(0o600, 0o400), (0o644, 0o400)]), ("b", [(0o644, 0o444), (0o640, 0o400)])] {
            fs::write(&source, text).unwrap();
            for (mode, expected) in modes {
                set_mode(&source, mode).unwrap();
                let digest = store.put_file(&source).unwrap();
                assert_eq!(mode_of(&digest), expected, "{text} {mode:o}");
            }
        }
        fs::remove_dir_all(root).unwrap();
    }

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> (Place, BlobStore) {
            let root = std::env::temp_dir().join(format!("rondel-blobs-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&root).unwrap();
            let store = BlobStore::new(&root);
            (Place(root), store)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Files of all sizes, new and there already, damaged and private.
    #[test]
    fn files_are_stored_whole() {
        let (place, store) = Place::new("files");
        let source = place.0.join("source");
        for size in [0, 1, AT_ONCE_MAX, AT_ONCE_MAX + 1, 5 << 20] {
            let contents: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            fs::write(&source, &contents).unwrap();
            let digest = store.put_file(&source).unwrap();
            assert_eq!(digest, Digest::of(&contents));
            assert_eq!(store.read_bytes(&digest).unwrap(), contents);
            let blob = store.path(&digest);
            for damage in [vec![b'x'; contents.len()], b"short".to_vec()] {
                fs::remove_file(&blob).unwrap();
                fs::write(&blob, damage).unwrap();
                assert_eq!(store.put_file(&source).unwrap(), digest);
                assert_eq!(store.read_bytes(&digest).unwrap(), contents, "{size}: storing repairs");
            }
            set_mode(&source, 0o600).unwrap();
            for mode in [0o600, 0o644] {
                set_mode(&source, mode).unwrap();
                store.put_file(&source).unwrap();
                assert_eq!(fs::metadata(&blob).unwrap().permissions().mode() & 0o777, PRIVATE, "{size} {mode:o}");
            }
        }
        assert_eq!(fs::read_dir(place.0.join("tmp")).unwrap().count(), 0);
    }

    /// A writer that is wrong about its file costs nobody a wrong answer.
    #[test]
    fn files_with_known_digests() {
        let (place, store) = Place::new("known");
        let source = place.0.join("source");
        fs::write(&source, "contents").unwrap();
        let (right, wrong) = (Digest::of(b"contents"), Digest::of(b"CONTENTS"));
        store.put_known_file(&source, &right).unwrap();
        assert_eq!(store.read_bytes(&right).unwrap(), b"contents");
        set_mode(&source, 0o600).unwrap();
        store.put_known_file(&source, &right).unwrap();
        assert_eq!(fs::metadata(store.path(&right)).unwrap().permissions().mode() & 0o777, PRIVATE);
        assert!(matches!(store.put_known_file(&source, &Digest::of(b"longer than it")), Err(BlobError::Changing(_))));
        // What was damaged by others is stored again, as a later process does it.
        let blob = store.path(&right);
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, "CONTENTS").unwrap();
        let later = BlobStore::new(&place.0);
        later.put_known_file(&source, &right).unwrap();
        assert_eq!(later.read_bytes(&right).unwrap(), b"contents");
        store.put_known_file(&source, &wrong).unwrap();
        assert!(matches!(store.read_bytes(&wrong), Err(BlobError::Corrupt(_))));
        assert!(matches!(store.read_bytes(&wrong), Err(BlobError::Missing(_))));
        assert_eq!(fs::read_dir(place.0.join("tmp")).unwrap().count(), 0);
    }
}
