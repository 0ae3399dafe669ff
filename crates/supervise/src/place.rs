//! `Place`: where the record, the log and the lock of a service are.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the record, the log and the lock of a service are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `.rondel`.
    state: PathBuf,
    /// Name of the files, without an ending.
    name: String,
}

/// The directory below `.rondel`; the number is that of the record's form.
const DIRECTORY: &str = "processes.1";

impl Place {
    /// Returns the place of a service in `.rondel`, the directory `state`.
    pub fn new(state: &Path, name: &str) -> Place {
        // No name of a target holds `%`.
        Place { state: state.to_owned(), name: name.replace('/', "%") }
    }

    /// Returns the directory of all.
    pub(crate) fn directory(&self) -> PathBuf {
        self.state.join(DIRECTORY)
    }

    /// Returns the directory for unfinished files.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.state.join("tmp")
    }

    /// Returns the path of the record.
    pub(crate) fn record(&self) -> PathBuf {
        self.directory().join(format!("{}.json", self.name))
    }

    /// Returns the path of the file that a supervisor holds locked.
    pub(crate) fn lock(&self) -> PathBuf {
        self.directory().join(format!("{}.lock", self.name))
    }

    /// Returns the path of a lock. Whoever starts the service holds it. With an ending of its own, it is none of a service `NAME.start`.
    pub(crate) fn start_lock(&self) -> PathBuf {
        self.directory().join(format!("{}.start", self.name))
    }

    /// Returns the path of the log.
    pub fn log(&self) -> PathBuf {
        self.directory().join(format!("{}.log", self.name))
    }

    /// Returns the path of what was the log before it became too long, or before the last start.
    pub(crate) fn former_log(&self) -> PathBuf {
        self.directory().join(format!("{}.log.1", self.name))
    }
}

/// The directory that a place was in when its service started.
pub(crate) struct Home(Metadata);

impl Home {
    /// Returns the present directory of a place.
    pub fn of(place: &Place) -> io::Result<Home> {
        fs::symlink_metadata(place.directory()).map(Home)
    }

    /// Returns true while the place is still in it: the workspace may have been moved, and another one made where it was.
    pub fn is_there(&self, place: &Place) -> bool {
        fs::symlink_metadata(place.directory()).is_ok_and(|present| is_same(&self.0, &present))
    }
}

/// Returns true if both are of the same file or directory.
#[cfg(unix)]
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.created().ok() == other.created().ok()
}
