//! Files that appear whole or not at all: written under another name in the same directory, then renamed.
//!
//! No `fsync`: readers of the stores check contents against digests or checksums, so what a power cut tears
//! is a miss, never an answer. That is what keeps a write at tens of microseconds.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = ".rondel-tmp-";

/// A file under a temporary name that is removed unless it is persisted.
pub struct TemporaryFile {
    path: PathBuf,
    file: Option<File>,
}

impl TemporaryFile {
    /// A new file in `directory`, which is made if it is not there. Mode 0644, less the umask.
    pub fn new_in(directory: &Path) -> io::Result<TemporaryFile> {
        // Unique among this process's files; `create_new` below settles it with other processes.
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(directory)?;
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!("{PREFIX}{}-{count}", std::process::id()));
            match OpenOptions::new().write(true).read(true).create_new(true).open(&path) {
                Ok(file) => return Ok(TemporaryFile { path, file: Some(file) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The file, for writing.
    pub fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("open until it is persisted")
    }

    /// Where it stands now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the permission bits.
    #[cfg(unix)]
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        self.file.as_ref().expect("open until it is persisted").set_permissions(fs::Permissions::from_mode(mode))
    }

    /// Sets the permission bits: nothing to do where there are none.
    #[cfg(not(unix))]
    pub fn set_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    /// Gives it its real name, in place of what had it.
    pub fn persist(mut self, destination: &Path) -> io::Result<()> {
        self.file = None;
        fs::rename(&self.path, destination)?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes `bytes` to `path` through a temporary file beside it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = TemporaryFile::new_in(directory)?;
    temporary.file().write_all(bytes)?;
    temporary.persist(path)
}
