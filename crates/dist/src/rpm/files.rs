//! What a header says of the files: sizes, digests, names in directories.

use std::io;

use rondel_cas::{Digest, Hasher};
use rondel_oci::LayerSource;

use super::header::Header;
use super::tags;
use crate::package::{Package, PackageEntry, PackageError, read_whole};

/// Bits of `st_mode` that say what something is.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// One file of a package.
pub(super) struct PackageFile<'a> {
    /// Without the slash at its beginning.
    pub path: &'a str,
    pub entry: &'a PackageEntry,
    /// Of the contents; for a link, of its target.
    pub size: u32,
    /// Kind and permissions.
    pub mode: u32,
    digest: Option<Digest>,
}

/// All of them, in the order of paths.
pub(super) struct PackageFiles<'a>(pub Vec<PackageFile<'a>>);

impl<'a> PackageFiles<'a> {
    /// Reads all contents once.
    pub fn of(package: &'a Package) -> Result<PackageFiles<'a>, PackageError> {
        let files = package.entries.iter().map(|(path, entry)| PackageFile::of(path.as_str(), entry));
        Ok(PackageFiles(files.collect::<Result<_, _>>()?))
    }

    /// Returns the sum of all sizes.
    pub fn size(&self) -> u64 {
        self.0.iter().map(|file| u64::from(file.size)).sum()
    }

    /// Adds the tags, one value a file in each.
    pub fn describe(&self, header: &mut Header, created: u32) {
        let files = &self.0;
        let numbers = |of: &dyn Fn(&PackageFile) -> u32| files.iter().map(of).collect::<Vec<u32>>();
        let digests: Vec<String> =
            files.iter().map(|file| file.digest.map(|it| it.hex()).unwrap_or_default()).collect();
        header.numbers(tags::FILE_SIZES, &numbers(&|file| file.size));
        header.small_numbers(tags::FILE_MODES, &files.iter().map(|file| file.mode as u16).collect::<Vec<u16>>());
        header.small_numbers(tags::FILE_RDEVS, &vec![0; files.len()]);
        header.numbers(tags::FILE_TIMES, &numbers(&|_| created));
        header.texts(tags::FILE_DIGESTS, digests.iter().map(String::as_str));
        header.texts(tags::FILE_LINKS, files.iter().map(PackageFile::target));
        header.numbers(
            tags::FILE_FLAGS,
            &numbers(&|file| match file.entry.is_config {
                true => tags::FILE_CONFIG | tags::FILE_NO_REPLACE,
                false => 0,
            }),
        );
        header.texts(tags::FILE_USERS, files.iter().map(|file| file.entry.owner.as_str()));
        header.texts(tags::FILE_GROUPS, files.iter().map(|file| file.entry.group.as_str()));
        header.numbers(tags::FILE_VERIFY_FLAGS, &numbers(&|_| u32::MAX));
        header.numbers(tags::FILE_DEVICES, &numbers(&|_| 1));
        header.numbers(tags::FILE_INODES, &(1..=files.len() as u32).collect::<Vec<u32>>());
        header.texts(tags::FILE_LANGUAGES, files.iter().map(|_| ""));
        self.describe_names(header);
        if !files.is_empty() {
            header.numbers(tags::FILE_DIGEST_ALGORITHM, &[tags::SHA256]);
        }
    }

    fn describe_names(&self, header: &mut Header) {
        let mut directories: Vec<String> = self.0.iter().map(|file| file.split().0).collect();
        directories.sort();
        directories.dedup();
        let index = |file: &PackageFile| {
            let directory = file.split().0;
            directories.binary_search(&directory).unwrap_or_default() as u32
        };
        header.numbers(tags::DIRECTORY_INDEXES, &self.0.iter().map(index).collect::<Vec<u32>>());
        header.texts(tags::BASE_NAMES, self.0.iter().map(|file| file.split().1));
        header.texts(tags::DIRECTORY_NAMES, directories.iter().map(String::as_str));
    }
}

impl<'a> PackageFile<'a> {
    fn of(path: &'a str, entry: &'a PackageEntry) -> Result<PackageFile<'a>, PackageError> {
        let (kind, digest, size) = match &entry.source {
            LayerSource::Directory => (DIRECTORY, None, 0),
            LayerSource::Symlink(target) => (LINK, None, target.len() as u64),
            LayerSource::File(_) | LayerSource::Bytes(_) => {
                let digest = digest(&entry.source)?;
                (REGULAR, Some(digest), digest.size())
            }
        };
        let size = u32::try_from(size)
            .map_err(|_| PackageError::Value(format!("`/{path}` has 4 GiB or more, which RPM's format can't hold")))?;
        let permissions = if kind == LINK { 0o777 } else { entry.mode };
        Ok(PackageFile { path, entry, size, mode: kind | permissions, digest })
    }

    fn target(&self) -> &str {
        match &self.entry.source {
            LayerSource::Symlink(target) => target,
            LayerSource::Directory | LayerSource::File(_) | LayerSource::Bytes(_) => "",
        }
    }

    /// Returns the directory with slashes on both sides, and the name.
    fn split(&self) -> (String, &'a str) {
        match self.path.rsplit_once('/') {
            Some((directory, name)) => (format!("/{directory}/"), name),
            None => ("/".to_owned(), self.path),
        }
    }
}

fn digest(source: &LayerSource) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    read_whole(source, &mut |bytes| hasher.update(bytes))?;
    Ok(hasher.finish())
}
