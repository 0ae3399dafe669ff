//! `PartialDownload`: bytes that have come so far, kept when a download is interrupted, so that it can go on.
//!
//! What they are the beginning of stands beside them: the URL and the server's validator (a strong `ETag` or
//! `Last-Modified`). Without a validator a download begins anew. Nothing in here is trusted: what was put
//! together is checked against its pin like everything else, and fetched once more if it does not hold.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::url::without_password;

/// A file that is being downloaded; the lock on it is held as long as this lives.
pub struct PartialDownload {
    path: PathBuf,
    file: File,
    done: u64,
    source: Option<(String, String)>,
    /// Did an earlier process leave the beginning?
    pub was_there: bool,
}

impl PartialDownload {
    /// Opens `<directory>/.partial-<name>`. While another process has it, `wait` is called and says whether to
    /// go on waiting; `None` if not.
    pub fn open(directory: &Path, name: &str, wait: &dyn Fn() -> bool) -> io::Result<Option<PartialDownload>> {
        fs::create_dir_all(directory)?;
        let path = directory.join(format!(".partial-{name}"));
        loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if !wait() {
                        return Ok(None);
                    }
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                // No locks on this file system: a name of our own then, which is swept if we are killed.
                Err(TryLockError::Error(_)) => {
                    let path = directory.join(rondel_cas::temporary_name());
                    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
                    return Ok(Some(PartialDownload { path, file, done: 0, source: None, was_there: false }));
                }
            }
            // Whoever held it may have removed it: then this is a file without a name.
            if !is_same(&file, &path) {
                continue;
            }
            let source = fs::read_to_string(source_path(&path)).ok();
            let source = source.and_then(|text| {
                let (url, validator) = text.split_once('\n')?;
                Some((url.to_owned(), validator.trim_end().to_owned()))
            });
            let done = file.metadata()?.len();
            return Ok(Some(PartialDownload { path, file, done, source, was_there: done > 0 }));
        }
    }

    /// Bytes that are there.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `If-Range` needs to go on with `url`; `None` if it has to begin anew.
    pub fn validator_for(&self, url: &str) -> Option<&str> {
        let (from, validator) = self.source.as_ref()?;
        (self.done > 0 && *from == without_password(url)).then_some(validator.as_str())
    }

    /// Begins anew.
    pub fn restart(&mut self, url: &str, validator: Option<&str>) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.done, self.was_there) = (0, false);
        // Without a line break nothing could be told apart when it is read.
        let validator = validator.filter(|text| !text.contains('\n'));
        self.source = validator.map(|text| (without_password(url), text.to_owned()));
        match &self.source {
            Some((url, validator)) => fs::write(source_path(&self.path), format!("{url}\n{validator}\n")),
            None => match fs::remove_file(source_path(&self.path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Adds what has come.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.done))?;
        self.file.write_all(bytes)?;
        self.done += bytes.len() as u64;
        Ok(())
    }

    /// Removes it: it has been used, or is of no use.
    pub fn discard(self) {
        let _ = fs::remove_file(source_path(&self.path));
        let _ = fs::remove_file(&self.path);
    }
}

fn source_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".from");
    PathBuf::from(name)
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// An open file can't be removed there.
#[cfg(not(unix))]
fn is_same(_file: &File, _path: &Path) -> bool {
    true
}
