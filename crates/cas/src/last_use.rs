//! When a file of the store was last used: its modification time. Knows nothing of what the files hold.

use std::fs::{File, Metadata};
use std::time::{Duration, SystemTime};

/// A use is noted when the last note of one is older than this: most uses cost nothing.
pub(crate) const NOTED_EVERY: Duration = Duration::from_secs(600);

/// Notes that the file at `path`, which is open as `file`, was used.
pub(crate) fn note_use(file: &File) {
    let is_old = |metadata: Metadata| modified(&metadata).elapsed().is_ok_and(|age| age > NOTED_EVERY);
    if file.metadata().is_ok_and(is_old) {
        // A store that can't be written is used all the same.
        let _ = file.set_modified(SystemTime::now());
    }
}

/// When the file was last used.
pub(crate) fn modified(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}
