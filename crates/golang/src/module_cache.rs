//! Compares the module cache with go.sum, to find edited modules.
//!
//! The go command checks a module when it is downloaded and never again. `h1` (golang.org/x/mod/sumdb/dirhash) is over
//! all files of the module's directory, so it shows every edited, added or removed file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::Digest;
use rondel_tree::StatSnapshot;

use crate::unpack::module_hash;

/// A module in the cache that does not match go.sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tampered {
    /// `example.com/a@v1.2.3`
    pub module: String,
    /// Its directory.
    pub directory: PathBuf,
    /// Hash in go.sum.
    pub pinned: String,
    /// Hash of the directory.
    pub found: String,
}

/// Returns the `h1` of modules, `path@version`, from the texts of go.sum files.
pub fn module_sums(texts: &[String]) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let mut words = line.split_whitespace();
        if let (Some(path), Some(version), Some(hash)) = (words.next(), words.next(), words.next())
            && !version.ends_with("/go.mod")
        {
            sums.insert(format!("{path}@{version}"), hash.to_owned());
        }
    }
    sums
}

/// Returns the first of the modules in `directories` (all in `cache`) that does not match `sums`. Skips one that go.sum
/// does not list: the go command refuses it.
pub fn tampered_module(
    cache: &Path,
    directories: &BTreeSet<PathBuf>,
    sums: &BTreeMap<String, String>,
    snapshot: &StatSnapshot,
) -> io::Result<Option<Tampered>> {
    for directory in directories {
        let Some(module) = module_name(cache, directory) else { continue };
        let Some(pinned) = sums.get(&module) else { continue };
        let mut hashes = BTreeMap::new();
        hash_below(directory, &module, snapshot, &mut hashes)?;
        let found = module_hash(&hashes);
        if found != *pinned {
            return Ok(Some(Tampered { module, directory: directory.clone(), pinned: pinned.clone(), found }));
        }
    }
    Ok(None)
}

/// Removes a module and its zip, so that the go command fetches it again.
pub fn remove_module(cache: &Path, directory: &Path) -> io::Result<()> {
    make_writable(directory)?;
    fs::remove_dir_all(directory)?;
    let name = directory.strip_prefix(cache).map_err(io::Error::other)?.to_string_lossy().into_owned();
    if let Some((path, version)) = name.rsplit_once('@') {
        for ending in ["zip", "ziphash", "lock"] {
            let file = cache.join(format!("cache/download/{path}/@v/{version}.{ending}"));
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Returns `path@version` of a directory of the cache, where `!x` stands for `X`.
fn module_name(cache: &Path, directory: &Path) -> Option<String> {
    let escaped = directory.strip_prefix(cache).ok()?.to_str()?;
    let mut name = String::with_capacity(escaped.len());
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        name.push(if character == '!' { characters.next()?.to_ascii_uppercase() } else { character });
    }
    Some(name)
}

fn hash_below(
    directory: &Path,
    name: &str,
    snapshot: &StatSnapshot,
    hashes: &mut BTreeMap<String, Digest>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            hash_below(&entry.path(), &name, snapshot, hashes)?;
        } else if metadata.is_file() {
            hashes.insert(name, snapshot.digest(&entry.path(), &metadata)?);
        } else {
            // A module holds no links: a mark that fits no hash.
            hashes.insert(name, Digest::of(b"not a regular file"));
        }
    }
    Ok(())
}

/// Makes directories of the module cache writable.
fn make_writable(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}
