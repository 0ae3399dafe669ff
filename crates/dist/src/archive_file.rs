//! `ArchiveFile`: a file that goes into an archive of any form.

use std::path::PathBuf;

/// A file of an archive. It belongs to root, and is 0755 or 0644.
#[derive(Clone, Debug)]
pub struct ArchiveFile {
    /// A regular file of this machine.
    pub source: PathBuf,
    /// True for 0755.
    pub executable: bool,
}
