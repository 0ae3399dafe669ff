//! The blob store: bytes under the name of their digest, shared by all checkouts of a user.
//!
//! `<root>/cas/<first two hex digits>/<hex>`, mode 0444; written in `<root>/tmp` and renamed. Any number of processes
//! read and write at once, without locks. Contents are hashed again on every read.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::last_use::note_use;
use crate::regular::{MEMORY_MAX, open_regular, read_at_most};
use crate::{Digest, Hasher, TemporaryFile};

/// Blobs on disk.
#[derive(Clone, Debug)]
pub(crate) struct BlobStore {
    directory: PathBuf,
    scratch: PathBuf,
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
        BlobStore { directory: root.join("cas"), scratch: root.join("tmp") }
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

    /// Stores a copy of the file at `source` and returns its digest.
    pub fn put_file(&self, source: &Path) -> Result<Digest, BlobError> {
        let digest = Digest::of_file(source).map_err(io_error("read", source))?;
        if self.is_sound(&digest) {
            return Ok(digest);
        }
        let destination = self.path(&digest);
        let mut temporary = TemporaryFile::new_in(&self.scratch).map_err(io_error("write", &self.scratch))?;
        let (mut input, _) = open_regular(source).map_err(io_error("read", source))?;
        let copied = copy_hashed(&mut input, temporary.file()).map_err(|error| error.between(source, &destination))?;
        if copied != digest {
            // The file changed between hashing and copying: its writer has not finished.
            return Err(BlobError::Corrupt(digest));
        }
        keep(temporary, &destination)?;
        Ok(digest)
    }

    /// Stores `bytes` and returns their digest.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        if self.is_sound(&digest) {
            return Ok(digest);
        }
        let destination = self.path(&digest);
        let mut temporary = TemporaryFile::new_in(&self.scratch).map_err(io_error("write", &self.scratch))?;
        temporary.file().write_all(bytes).map_err(io_error("write", &destination))?;
        keep(temporary, &destination)?;
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

fn keep(temporary: TemporaryFile, destination: &Path) -> Result<(), BlobError> {
    temporary.set_mode(0o444).map_err(io_error("write", destination))?;
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
