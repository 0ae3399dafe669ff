//! A release in a plain directory. Files are written beside their names and appear whole; nothing that is there is
//! changed or removed. It knows no forge.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use rondel_cas::{Digest, Hasher, TemporaryFile, open_regular, sweep_abandoned};

use crate::asset::{Asset, check_names};
use crate::error::ForgeError;
use crate::place::ForgeKind;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Names of the files that were written.
    pub written: Vec<String>,
    /// Number of their bytes.
    pub bytes: u64,
    /// Number of files that were there.
    pub kept: usize,
}

/// Returns what the directory lacks of some files, in words; `None` if all are there. A file with other bytes is an
/// error.
pub fn directory_lacks(directory: &Path, files: &[Asset]) -> Result<Option<String>, ForgeError> {
    let lacking = lacking(directory, files)?;
    Ok(lacking.first().map(|asset| format!("`{}` is not there", asset.name)))
}

/// Writes files to a directory, in their order: the last one is there when all others are. `progress` gets the bytes that
/// are written and those in all; it returns whether to go on.
pub fn publish_to_directory(
    directory: &Path,
    files: &[Asset],
    progress: &dyn Fn(u64, u64) -> bool,
) -> Result<Copied, ForgeError> {
    let lacking = lacking(directory, files)?;
    let mut copied = Copied { kept: files.len() - lacking.len(), ..Copied::default() };
    let total = lacking.iter().map(|asset| asset.digest.size()).sum();
    if !lacking.is_empty() {
        sweep_abandoned(directory);
    }
    for asset in lacking {
        write(directory, asset, &|done| progress(copied.bytes + done, total))?;
        copied.bytes += asset.digest.size();
        copied.written.push(asset.name.clone());
    }
    Ok(copied)
}

/// Returns the files that are not there.
fn lacking<'a>(directory: &Path, files: &'a [Asset]) -> Result<Vec<&'a Asset>, ForgeError> {
    check_names(files, ForgeKind::Gitea)?;
    let mut lacking = Vec::new();
    for asset in files {
        if !is_there(directory, asset)? {
            lacking.push(asset);
        }
    }
    Ok(lacking)
}

/// Returns true if the file is there with its bytes.
fn is_there(directory: &Path, asset: &Asset) -> Result<bool, ForgeError> {
    let path = directory.join(&asset.name);
    let there = match fs::symlink_metadata(&path).and_then(|_| Digest::of_file(&path)) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&path).is_err() => {
            return Ok(false);
        }
        Err(error) => return Err(ForgeError::Read { path: path.display().to_string(), error }),
    };
    if there == asset.digest {
        return Ok(true);
    }
    let (place, name, here) = (directory.display().to_string(), asset.name.clone(), asset.digest);
    Err(ForgeError::Differs { place, name, here, there: there.oci(), is_published: true })
}

fn write(directory: &Path, asset: &Asset, progress: &dyn Fn(u64) -> bool) -> Result<(), ForgeError> {
    let from = |error| ForgeError::Read { path: asset.path.display().to_string(), error };
    let path = directory.join(&asset.name);
    let to = |error| ForgeError::Write { path: path.display().to_string(), error };
    let (mut source, _) = open_regular(&asset.path).map_err(from)?;
    let mut temporary = TemporaryFile::new_in(directory).map_err(to)?;
    let (mut hasher, mut buffer, mut done) = (Hasher::new(), vec![0_u8; 128 * 1024], 0);
    loop {
        if !progress(done) {
            return Err(ForgeError::Interrupted);
        }
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(from(error)),
        };
        hasher.update(&buffer[..count]);
        temporary.file().write_all(&buffer[..count]).map_err(to)?;
        done += count as u64;
    }
    if hasher.finish() != asset.digest {
        return Err(from(io::Error::other("it was changed since it was made")));
    }
    // A link replaces no file that somebody wrote meanwhile, as a rename would.
    match fs::hard_link(temporary.path(), &path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_there(directory, asset).map(|_| ()),
        // Not all file systems have links.
        Err(_) => temporary.persist(&path).map_err(to),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::PathBuf;

    use rondel_cas::{TemporaryDirectory, read_text_at_most};

    use super::*;

    struct Space(TemporaryDirectory);

    impl Space {
        fn new() -> Space {
            let space = Space(TemporaryDirectory::new_in(&std::env::temp_dir()).unwrap());
            fs::create_dir(space.0.path().join("own")).unwrap();
            space
        }

        fn files(&self, files: &[(&str, &str)]) -> Vec<Asset> {
            let make = |(name, text): &(&str, &str)| {
                let path = self.0.path().join("own").join(name);
                fs::write(&path, text).unwrap();
                Asset { name: (*name).to_owned(), path, digest: Digest::of(text.as_bytes()) }
            };
            files.iter().map(make).collect()
        }

        fn to(&self) -> PathBuf {
            self.0.path().join("srv/releases/1.2")
        }

        fn listed(&self) -> Vec<String> {
            let entries = fs::read_dir(self.to()).into_iter().flatten().flatten();
            let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn what_is_there_is_kept_and_the_last_comes_last() {
        let space = Space::new();
        let files = space.files(&[("b.zip", "b"), ("a.zip", "aa"), ("artifacts.json", "{}")]);
        let copied = publish_to_directory(&space.to(), &files, &|_, _| true).unwrap();
        let written = ["b.zip", "a.zip", "artifacts.json"].map(str::to_owned).to_vec();
        assert_eq!(copied, Copied { written, bytes: 5, kept: 0 });
        fs::write(space.to().join("of the user"), "").unwrap();
        let again = publish_to_directory(&space.to(), &files, &|_, _| true).unwrap();
        assert_eq!(again, Copied { written: Vec::new(), bytes: 0, kept: 3 });
        assert_eq!(space.listed(), ["a.zip", "artifacts.json", "b.zip", "of the user"]);
        assert_eq!(directory_lacks(&space.to(), &files).unwrap(), None);
        fs::remove_file(space.to().join("a.zip")).unwrap();
        assert_eq!(directory_lacks(&space.to(), &files).unwrap().unwrap(), "`a.zip` is not there");
    }

    #[test]
    fn other_bytes_are_refused_before_anything_is_written() {
        let space = Space::new();
        let files = space.files(&[("a.zip", "a"), ("b.zip", "b")]);
        fs::create_dir_all(space.to()).unwrap();
        fs::write(space.to().join("b.zip"), "other").unwrap();
        let error = publish_to_directory(&space.to(), &files, &|_, _| true).unwrap_err();
        let (here, there) = (Digest::of(b"b").oci(), Digest::of(b"other").oci());
        let message = format!("{} has another `b.zip`: {there} there, {here} here", space.to().display());
        assert_eq!(error.to_string(), message);
        assert_eq!(space.listed(), ["b.zip"]);
        assert_eq!(read_text_at_most(&space.to().join("b.zip"), 100).unwrap(), "other");
    }

    #[test]
    fn interrupted_at_any_moment_and_run_again() {
        let space = Space::new();
        let files = space.files(&[("a.zip", "a"), ("b.zip", "b"), ("artifacts.json", "{}")]);
        for moment in 0.. {
            let _ = fs::remove_dir_all(space.to());
            let asked = Cell::new(0);
            let goes_on = |_, _| asked.replace(asked.get() + 1) != moment;
            let outcome = publish_to_directory(&space.to(), &files, &goes_on);
            let listed = space.listed();
            assert!(listed.iter().all(|name| !name.starts_with('.')), "{listed:?}");
            assert!(listed.len() == 3 || !listed.contains(&"artifacts.json".to_owned()), "{listed:?}");
            let was_cut = matches!(outcome, Err(ForgeError::Interrupted));
            let again = publish_to_directory(&space.to(), &files, &|_, _| true).unwrap();
            assert_eq!(again.written.len(), 3 - listed.len());
            if !was_cut {
                assert_eq!(moment, 6, "twice a file");
                return;
            }
        }
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let space = Space::new();
        let files = space.files(&[("a.zip", "a")]);
        fs::create_dir_all(space.to().join("a.zip")).unwrap();
        assert!(publish_to_directory(&space.to(), &files, &|_, _| true).is_err());
        fs::remove_dir(space.to().join("a.zip")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("nowhere", space.to().join("a.zip")).unwrap();
            assert!(publish_to_directory(&space.to(), &files, &|_, _| true).is_err());
            assert!(!space.to().join("nowhere").exists());
            fs::remove_file(space.to().join("a.zip")).unwrap();
        }
        fs::write(&files[0].path, "changed").unwrap();
        let error = publish_to_directory(&space.to(), &files, &|_, _| true).unwrap_err().to_string();
        assert!(error.ends_with("it was changed since it was made"), "{error}");
        assert_eq!(space.listed(), Vec::<String>::new());
    }
}
