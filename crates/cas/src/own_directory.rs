//! Directories of Rondel's own: whose they are, and the mark that says so.
//!
//! A repository can bring a link where Rondel wants to write, another user can own the directory, and a user can have
//! a directory of the same name. So nothing is written through a link, nothing in another user's directory, and
//! nothing is removed without the mark, which Rondel puts only into directories that it has made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::STORE_FORMAT;
use crate::regular::{SMALL_MAX, read_at_most};

/// Name of the mark, which backup programs know too (bford.info/cachedir).
const MARK: &str = "CACHEDIR.TAG";
const MARK_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # Rondel has made this directory, and `cache clean` removes it.\n";

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is a symbolic link.
    #[error("`{}` is a symbolic link, and nothing is written through it", .0.display())]
    Link(PathBuf),
    /// It is no directory.
    #[error("`{}` is not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// It belongs to another user.
    #[error("`{}` belongs to another user (number {owner})", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Number of the owner.
        owner: u32,
    },
}

/// Fails if `path` is a link, another user's, or no directory. A missing one is fine.
pub fn require_own_directory(path: &Path) -> Result<(), DirectoryError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if metadata.is_symlink() {
        return Err(DirectoryError::Link(path.to_owned()));
    }
    if !metadata.is_dir() {
        return Err(DirectoryError::NotDirectory(path.to_owned()));
    }
    match owner_other_than_user(&metadata) {
        Some(owner) => Err(DirectoryError::Foreign { path: path.to_owned(), owner }),
        None => Ok(()),
    }
}

/// Returns the owner, if it is not the user of this process.
#[cfg(unix)]
pub fn owner_other_than_user(metadata: &fs::Metadata) -> Option<u32> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    (owner != rustix::process::geteuid().as_raw()).then_some(owner)
}

/// Owners are not known here.
#[cfg(not(unix))]
pub fn owner_other_than_user(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

/// Makes the cache directory and marks what is made in it. A cache that can't be written is no error here: nothing is
/// stored then.
pub fn claim_cache(cache: &Path) -> Result<(), DirectoryError> {
    for directory in [cache, &cache.join(STORE_FORMAT)] {
        match require_own_directory(directory) {
            // Root may hand out a cache to be read. Where others can write, anybody can put results.
            Err(DirectoryError::Foreign { owner: 0, .. }) if !is_writable(directory) => {}
            // Nothing can be stored there: that is a warning where it is tried.
            Err(DirectoryError::NotDirectory(_)) => {}
            checked => checked?,
        }
    }
    let _ = fs::create_dir_all(cache);
    for name in [STORE_FORMAT, "go"] {
        let directory = cache.join(name);
        let is_new = fs::create_dir(&directory).is_ok() || is_empty(&directory);
        if is_new {
            let _ = File::create_new(directory.join(MARK)).and_then(|mut file| file.write_all(MARK_TEXT.as_bytes()));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

#[cfg(not(unix))]
fn is_writable(_directory: &Path) -> bool {
    true
}

fn is_empty(directory: &Path) -> bool {
    let is_directory = fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir());
    is_directory && fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// Returns true if Rondel has made the directory.
pub fn bears_mark(directory: &Path) -> io::Result<bool> {
    match read_at_most(&directory.join(MARK), SMALL_MAX) {
        Ok(bytes) => Ok(bytes == MARK_TEXT.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_here_is_marked() {
        let place = std::env::temp_dir().join(format!("rondel-claim-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let cache = place.join("cache");
        fs::create_dir_all(cache.join("go")).unwrap();
        fs::write(cache.join("go/main.go"), "").unwrap();
        claim_cache(&cache).unwrap();
        assert!(bears_mark(&cache.join(STORE_FORMAT)).unwrap() && !bears_mark(&cache.join("go")).unwrap());
        // A tag of another program is none of ours, and an empty directory can be taken.
        fs::write(cache.join("go/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n").unwrap();
        assert!(!bears_mark(&cache.join("go")).unwrap());
        fs::create_dir_all(place.join("other/go")).unwrap();
        claim_cache(&place.join("other")).unwrap();
        assert!(bears_mark(&place.join("other/go")).unwrap());
        std::os::unix::fs::symlink(&cache, place.join("link")).unwrap();
        assert!(matches!(claim_cache(&place.join("link")), Err(DirectoryError::Link(_))));
        fs::write(place.join("file"), "").unwrap();
        assert!(matches!(require_own_directory(&place.join("file")), Err(DirectoryError::NotDirectory(_))));
        assert!(require_own_directory(&place.join("none")).is_ok());
        fs::remove_dir_all(place).unwrap();
    }
}
