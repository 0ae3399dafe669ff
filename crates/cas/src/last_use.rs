//! Last use of a file of the store: its modification time. Knows nothing of the file's contents.

use std::fs::{File, Metadata};
use std::time::{Duration, SystemTime};

/// Minimum age of the last recorded use before a new one is recorded: most uses cost nothing.
pub(crate) const NOTED_EVERY: Duration = Duration::from_secs(600);

/// Records a use of the file at `path`, which is open as `file`.
pub(crate) fn note_use(file: &File) {
    let is_old = |metadata: Metadata| modified(&metadata).elapsed().is_ok_and(|age| age > NOTED_EVERY);
    if file.metadata().is_ok_and(is_old) {
        // A store that can't be written is still used.
        let _ = file.set_modified(SystemTime::now());
    }
}

/// Returns when the file was last used.
pub(crate) fn modified(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}
