//! `PartialDownload`: the bytes received so far, kept after an interruption so that the download can resume.
//!
//! A file beside them names their URL and the server's validator (a strong `ETag` or `Last-Modified`). Without a
//! validator a download starts again. Nothing in here is trusted: the whole is checked against its pin like everything
//! else, and fetched once more if it does not match.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rondel_cas::{SMALL_MAX, read_text_at_most};

use crate::url::without_password;

/// An unfinished download; its lock is held until this is dropped.
pub struct PartialDownload {
    path: PathBuf,
    file: File,
    done: u64,
    source: Option<(String, String)>,
    /// True if the caller knows the bytes by their digest.
    is_named: bool,
    /// True if an earlier process left some bytes.
    pub was_there: bool,
}

impl PartialDownload {
    /// Opens `<directory>/.partial-<name>`. While another process holds it, calls `wait`, which returns whether to go
    /// on waiting. Returns `None` if not.
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
                // This file system has no locks: use a private name, which is removed later if this process is killed.
                Err(TryLockError::Error(_)) => {
                    let path = directory.join(rondel_cas::temporary_name());
                    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
                    return Ok(Some(PartialDownload {
                        path,
                        file,
                        done: 0,
                        source: None,
                        is_named: false,
                        was_there: false,
                    }));
                }
            }
            // The former holder may have removed it: then this is a file without a name.
            if !is_same(&file, &path) {
                continue;
            }
            let source = read_text_at_most(&source_path(&path), SMALL_MAX).ok();
            let source = source.and_then(|text| {
                let (url, validator) = text.split_once('\n')?;
                Some((url.to_owned(), validator.trim_end().to_owned()))
            });
            let done = file.metadata()?.len();
            return Ok(Some(PartialDownload { path, file, done, source, is_named: false, was_there: done > 0 }));
        }
    }

    /// Makes it one of bytes that are known by their digest: they are the same wherever they come from, so that no server
    /// has to say that they did not change.
    pub fn named_by_contents(self) -> PartialDownload {
        PartialDownload { is_named: true, ..self }
    }

    /// Returns true if a download goes on behind the bytes that are here, without any condition.
    pub(crate) fn goes_on_anyway(&self) -> bool {
        self.is_named && self.done > 0
    }

    /// Returns the number of bytes received.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Returns the path of the bytes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the value of `If-Range` to resume `url`; `None` if it has to start again.
    pub fn validator_for(&self, url: &str) -> Option<&str> {
        let (from, validator) = self.source.as_ref()?;
        (self.done > 0 && *from == without_password(url)).then_some(validator.as_str())
    }

    /// Starts again.
    pub fn restart(&mut self, url: &str, validator: Option<&str>) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.done, self.was_there) = (0, false);
        // Without a line break the fields could not be separated on reading.
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

    /// Appends received bytes.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.done))?;
        self.file.write_all(bytes)?;
        self.done += bytes.len() as u64;
        Ok(())
    }

    /// Removes the file, after use or if it is useless.
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
