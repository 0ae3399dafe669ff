//! `ClosureFile`: the closure on disk, and its fast revalidation.
//!
//! One compact file, read at once, holds the fingerprint of each file and watched directory. A file is unchanged if its
//! fingerprint is, and if its last change was before the boundary (see `rondel_tree::MtimeBoundary`); then one `stat`
//! is enough. The work is shared among all cores. Only changed files are read again.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Digest, MEMORY_MAX, par_chunks, read_at_most};
use rondel_tree::{Fingerprint, MtimeBoundary, StatSnapshot};

use crate::name_dependencies::{Names, directories_in, listing, with_all_below};
use crate::source_header::head_digest;

/// One file of a closure.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Absolute.
    pub path: PathBuf,
    /// What it is to the build.
    pub role: FileRole,
    /// `None` if there is no such file, which matters for module files and deciders.
    pub state: Option<FileState>,
}

/// What a file is to a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileRole {
    /// The build reads it. A change of its header is a reason to run `go list` again.
    Source,
    /// go.mod and related files: an input, and any change is a reason to run `go list` again.
    Module,
    /// It is no input, but decides which files are: a file that constraints exclude, or one that could appear.
    Decider,
}

impl FileRole {
    /// Reverses `as u8`.
    pub fn of(number: u8) -> Option<FileRole> {
        [FileRole::Source, FileRole::Module, FileRole::Decider].into_iter().find(|role| *role as u8 == number)
    }

    /// Returns true if the file is in the key.
    pub fn is_input(self) -> bool {
        self != FileRole::Decider
    }

    /// Returns true if the file may be missing.
    fn may_be_missing(self) -> bool {
        self != FileRole::Source
    }
}

/// State of a file when it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct FileState {
    /// Fingerprint of the file itself, or of a link's target.
    pub fingerprint: Fingerprint,
    /// Boundary up to which the fingerprint is believed.
    pub boundary_ns: i128,
    /// Of its contents; of a mark, where it is no regular file.
    pub digest: Digest,
    /// Digest of the header, for a Go file.
    pub head: Option<Digest>,
    /// The text of a link.
    pub link: Option<String>,
}

/// One directory whose names matter.
#[derive(Clone, Debug)]
pub struct WatchedDirectory {
    /// Absolute.
    pub path: PathBuf,
    /// Which of its names.
    pub names: Names,
    /// `None` if it is missing.
    pub fingerprint: Option<Fingerprint>,
    /// Boundary up to which the fingerprint vouches for the names; 0 where it never does.
    pub boundary_ns: i128,
    /// Digest of those names.
    pub listing: Digest,
}

/// Contents of the file.
#[derive(Clone, Debug, Default)]
pub struct ClosureFile {
    /// What else its owner keeps with it.
    pub header: Vec<u8>,
    /// The latest of all boundaries; `None` if nothing is believed any more.
    pub boundary: Option<MtimeBoundary>,
    /// Directories whose names matter.
    pub directories: Arc<Vec<WatchedDirectory>>,
    /// Sorted by path.
    pub files: Arc<Vec<SourceFile>>,
}

/// Result of comparing the closure with the tree again.
#[derive(Debug, PartialEq, Eq)]
pub enum Revalidation {
    /// Everything is unchanged.
    Unchanged {
        /// True if the stored file should be updated.
        is_worth_storing: bool,
    },
    /// Contents changed, but nothing that could change the list of files.
    ContentsOnly,
    /// `go list` has to run; the reason in words.
    Invalid(String),
}

impl SourceFile {
    /// Stats the file and reads it.
    pub fn read(path: PathBuf, role: FileRole, boundary: &MtimeBoundary) -> std::io::Result<SourceFile> {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        let state = match read_state(&path, role, boundary) {
            Ok(state) => Some(state),
            Err(error) if role.may_be_missing() && matches!(error.kind(), NotFound | NotADirectory) => None,
            Err(error) => return Err(error),
        };
        Ok(SourceFile { path, role, state })
    }

    /// Returns true if `now` is the fingerprint that it had when it was read.
    fn is_unchanged(&self, now: Option<&Fingerprint>) -> bool {
        match (&self.state, now) {
            (None, now) => now.is_none(),
            // A link's own fingerprint does not show a change of its target.
            (Some(state), Some(now)) => {
                state.link.is_none() && state.fingerprint == *now && now.is_older_than(state.boundary_ns)
            }
            (Some(_), None) => false,
        }
    }

    /// Returns the last part of its path.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or("")
    }
}

/// A Go file beyond this size is no source that a compiler takes (cmd/compile's positions end there).
const GO_FILE_BYTES_MAX: u64 = 1 << 28;

fn read_state(path: &Path, role: FileRole, boundary: &MtimeBoundary) -> std::io::Result<FileState> {
    let own = fs::symlink_metadata(path)?;
    let link = match own.is_symlink() {
        true => Some(
            fs::read_link(path)?
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| std::io::Error::other("the link's target is not valid UTF-8"))?,
        ),
        false => None,
    };
    // Boundary and fingerprint are taken before the first byte is read: a change meanwhile is younger.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // A link that leads nowhere is a name that the go command finds.
        Err(_) if link.is_some() && role == FileRole::Decider => own,
        Err(error) => return Err(error),
    };
    let fingerprint = Fingerprint::of(&metadata);
    if !metadata.is_file() {
        if role != FileRole::Decider {
            return Err(std::io::Error::other("not a regular file"));
        }
        let digest = Digest::of(if metadata.is_dir() { b"a directory" } else { b"something else" });
        return Ok(FileState { fingerprint, boundary_ns: boundary.on(fingerprint.device()), digest, head: None, link });
    }
    let is_go = path.extension().is_some_and(|ending| ending == "go");
    if is_go && metadata.len() > GO_FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("a Go file of {} bytes is too large", metadata.len())));
    }
    let (digest, head) = if is_go {
        let source = read_at_most(path, MEMORY_MAX)?;
        (Digest::of(&source), Some(head_digest(&source)))
    } else {
        (Digest::of_file(path)?, None)
    };
    Ok(FileState { fingerprint, boundary_ns: boundary.on(fingerprint.device()), digest, head, link })
}

impl WatchedDirectory {
    /// Stats the directory and lists it.
    pub fn read(path: PathBuf, names: Names, boundary: &MtimeBoundary) -> WatchedDirectory {
        let fingerprint = Fingerprint::of_directory(&path);
        let listing = listing(&path, names);
        let vouches = fingerprint.filter(|(_, tracks_names)| *tracks_names);
        let boundary_ns = vouches.map_or(0, |(fingerprint, _)| boundary.on(fingerprint.device()));
        WatchedDirectory {
            path,
            names,
            fingerprint: fingerprint.map(|(fingerprint, _)| fingerprint),
            boundary_ns,
            listing,
        }
    }

    /// Returns true if `now` is the fingerprint that it had when it was listed. A directory changes its own times
    /// whenever a name in it comes, goes or is exchanged.
    fn is_unchanged(&self, now: Option<&Fingerprint>) -> bool {
        match (&self.fingerprint, now) {
            (Some(fingerprint), Some(now)) => fingerprint == now && now.is_older_than(self.boundary_ns),
            // It can't be opened; whether it is missing, the listing tells.
            (None, None) => listing(&self.path, self.names) == self.listing,
            _ => false,
        }
    }
}

/// One directory: its files, and its watched names.
struct Unit<'a> {
    directory: &'a Path,
    files: std::ops::Range<usize>,
    watched: Vec<usize>,
}

/// Changed entries: indices of files and of watched directories.
#[derive(Default)]
struct Changed {
    files: Vec<usize>,
    directories: Vec<usize>,
}

impl ClosureFile {
    /// Returns each directory once, so that its path is resolved once. The files are sorted, so those of a directory
    /// come together.
    fn units(&self) -> Vec<Unit<'_>> {
        let mut units: Vec<Unit<'_>> = Vec::new();
        let mut places: HashMap<&Path, usize> = HashMap::with_capacity(self.directories.len());
        let mut begin = 0;
        for group in self.files.chunk_by(|one, other| one.path.parent() == other.path.parent()) {
            let directory = group[0].path.parent().unwrap_or(Path::new("/"));
            places.insert(directory, units.len());
            units.push(Unit { directory, files: begin..begin + group.len(), watched: Vec::new() });
            begin += group.len();
        }
        for (index, watched) in self.directories.iter().enumerate() {
            match places.get(watched.path.as_path()) {
                Some(place) => units[*place].watched.push(index),
                None => {
                    places.insert(&watched.path, units.len());
                    units.push(Unit { directory: &watched.path, files: 0..0, watched: vec![index] });
                }
            }
        }
        units
    }

    fn changed_in(&self, units: &[Unit<'_>]) -> Changed {
        let mut changed = Changed::default();
        for unit in units {
            let files = &self.files[unit.files.clone()];
            let names: Vec<&str> = files.iter().map(SourceFile::name).collect();
            let (own, fingerprints) = Fingerprint::of_all(unit.directory, &names);
            let differing = files.iter().zip(&fingerprints).enumerate();
            let differing = differing.filter(|(_, (file, now))| !file.is_unchanged(now.as_ref()));
            changed.files.extend(differing.map(|(index, _)| unit.files.start + index));
            let differing = unit.watched.iter().filter(|index| !self.directories[**index].is_unchanged(own.as_ref()));
            changed.directories.extend(differing);
        }
        changed
    }

    /// Stats everything, on all cores.
    fn changed(&self) -> Changed {
        let units = self.units();
        let mut changed = Changed::default();
        for found in par_chunks(&units, self.files.len(), |part| self.changed_in(part)) {
            changed.files.extend(found.files);
            changed.directories.extend(found.directories);
        }
        changed.files.sort_unstable();
        changed.directories.sort_unstable();
        changed
    }
}

/// Returns true if the change of a file may change the list of files. Of a Go file, only the header may.
fn decides(role: FileRole, old: &FileState, new: &FileState) -> bool {
    match role {
        FileRole::Module => true,
        FileRole::Source => old.head != new.head,
        FileRole::Decider => old.head.is_none() || old.head != new.head || old.link != new.link,
    }
}

/// Reads all of `paths`, on all cores.
pub fn read_all(
    paths: &[(PathBuf, FileRole)],
    boundary: &MtimeBoundary,
) -> Result<Vec<SourceFile>, (PathBuf, std::io::Error)> {
    let read = |part: &[(PathBuf, FileRole)]| -> Result<Vec<SourceFile>, (PathBuf, std::io::Error)> {
        let one = |(path, role): &(PathBuf, FileRole)| {
            SourceFile::read(path.clone(), *role, boundary).map_err(|error| (path.clone(), error))
        };
        part.iter().map(one).collect()
    };
    let parts = par_chunks(paths, paths.len(), read).into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

impl ClosureFile {
    /// Returns directories that appeared below a watched one and hold nothing that matters now. They are watched from
    /// then on, since something may come into them.
    fn new_directories(&self, index: usize, boundary: &MtimeBoundary) -> Vec<WatchedDirectory> {
        let WatchedDirectory { path, names, .. } = &self.directories[index];
        if *names != Names::Packages {
            return Vec::new();
        }
        let known: HashSet<&Path> = self.directories.iter().map(|watched| watched.path.as_path()).collect();
        let new = directories_in(path, *names).into_iter().filter(|path| !known.contains(path.as_path()));
        let new = new.flat_map(|path| with_all_below(&path, Names::Packages));
        new.map(|(path, names)| WatchedDirectory::read(path, names, boundary)).collect()
    }

    /// Compares everything with the tree again and brings it up to date. Paths in words are relative to `base`.
    pub fn revalidate(&mut self, base: &Path, snapshot: &StatSnapshot) -> Revalidation {
        let relative = |path: &Path| path.strip_prefix(base).unwrap_or(path).display().to_string();
        let (mut is_worth_storing, mut is_edited) = (false, false);
        let changed = match self.boundary {
            Some(_) => self.changed(),
            None => {
                Changed { files: (0..self.files.len()).collect(), directories: (0..self.directories.len()).collect() }
            }
        };
        if changed.files.is_empty() && changed.directories.is_empty() {
            return Revalidation::Unchanged { is_worth_storing };
        }
        let boundary = snapshot.mtime_boundary();
        self.boundary = Some(self.boundary.map_or(boundary, |before| before.later_of(boundary)));
        for index in changed.files {
            let file = &mut Arc::make_mut(&mut self.files)[index];
            let now = SourceFile::read(file.path.clone(), file.role, &boundary);
            let now = now.map(|found| found.state).unwrap_or(None);
            match (&file.state, now) {
                (None, None) => {}
                (Some(_), None) => return Revalidation::Invalid(format!("{} is gone", relative(&file.path))),
                (None, Some(_)) => return Revalidation::Invalid(format!("{} changed", relative(&file.path))),
                (Some(old), Some(new)) => {
                    let same = old.digest == new.digest && old.link == new.link;
                    let executable = old.fingerprint.is_executable() == new.fingerprint.is_executable();
                    if !same && decides(file.role, old, &new) {
                        return Revalidation::Invalid(format!("{} changed", relative(&file.path)));
                    }
                    is_edited |= file.role.is_input() && (!same || !executable);
                    is_worth_storing |= *old != new;
                    file.state = Some(new);
                }
            }
        }
        let mut added = Vec::new();
        for index in changed.directories {
            added.extend(self.new_directories(index, &boundary));
            let watched = &mut Arc::make_mut(&mut self.directories)[index];
            let now = WatchedDirectory::read(watched.path.clone(), watched.names, &boundary);
            if now.listing != watched.listing {
                let name = relative(&watched.path);
                let name = if name.is_empty() { ".".to_owned() } else { name };
                return Revalidation::Invalid(format!("files were added or removed in {name}"));
            }
            is_worth_storing |= now.boundary_ns != watched.boundary_ns || now.fingerprint != watched.fingerprint;
            *watched = now;
        }
        is_worth_storing |= !added.is_empty();
        if !added.is_empty() {
            Arc::make_mut(&mut self.directories).extend(added);
        }
        if is_edited { Revalidation::ContentsOnly } else { Revalidation::Unchanged { is_worth_storing } }
    }
}
