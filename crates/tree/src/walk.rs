//! Walking a tree: lists the matching files below a directory, with their digests, on all cores.
//!
//! The names of an unchanged directory are known without listing it; the digest of an unchanged file is known without
//! reading it. So a walk over an unchanged tree costs one `stat` a file, and allocates nothing for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::fingerprint::{Fingerprint, Kind, OpenDirectory};
use crate::link_way::LinkWay;
use crate::listing::{DirectoryMatches, LinkTarget, ListedDirectory, Listing};
use crate::mtime_boundary::MtimeBoundary;
use crate::snapshot_file::{Block, Draft, DraftEntry, Record};
use rondel_cas::{Digest, PathError, par_map};

use crate::{GlobSet, StatSnapshot};

/// Why a tree can't be listed.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A file operation failed.
    #[error("failed to read `{}`", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A name that can't be in a key.
    #[error(transparent)]
    Name(#[from] PathError),
}

/// Larger files are read after the walk, shared among all cores; smaller ones at once.
const LARGE: u64 = 1 << 20;

/// One directory of a walk.
struct Scanned {
    /// Path relative to the root of the walk; empty for the root itself.
    path: String,
    /// Relative paths of the directories in it that can hold matches.
    directories: Vec<String>,
    own: Fingerprint,
    state: State,
}

enum State {
    /// Everything is unchanged.
    Unchanged(DirectoryMatches),
    /// Something changed, and the new state is known.
    Rescanned { absolute: PathBuf, block: Block, matches: DirectoryMatches },
    /// The new state, and the entries of files that are not read yet.
    Changed { draft: Draft, unread: Vec<usize> },
}

/// A file to read: its directory, and its entry there.
struct Unread {
    directory: usize,
    entry: usize,
}

struct Walk<'a> {
    snapshot: &'a StatSnapshot,
    root: &'a Path,
    globs: &'a GlobSet,
    /// Taken on first use: before the first name or byte is read.
    boundary: OnceLock<MtimeBoundary>,
}

impl StatSnapshot {
    /// Returns all matching files and links below `root`, with their digests. Links are not followed.
    pub fn list(&self, root: &Path, globs: &GlobSet) -> Result<Listing, WalkError> {
        let walk = Walk { snapshot: self, root, globs, boundary: OnceLock::new() };
        let mut scanned: Vec<Scanned> = Vec::new();
        let mut open = vec![String::new()];
        while !open.is_empty() {
            // A directory costs about as much as sixteen files.
            let found = par_map(&open, open.len() * 16, |path| walk.scan(path));
            let found: Vec<Scanned> = found.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
            open = found.iter().flat_map(|scanned| scanned.directories.iter().cloned()).collect();
            scanned.extend(found);
        }
        walk.read_changed(&mut scanned)?;
        let mut rescanned = Vec::new();
        let mut found = Vec::with_capacity(scanned.len());
        let directories = scanned.iter().map(|scanned| (scanned.path.clone(), scanned.own)).collect();
        for Scanned { path, state, .. } in scanned {
            let matches = match state {
                State::Unchanged(matches) => matches,
                State::Rescanned { absolute, block, matches } => {
                    rescanned.push((absolute, block));
                    matches
                }
                State::Changed { draft, .. } => {
                    let (absolute, block) = encode(draft)?;
                    rescanned.push((absolute, block.clone()));
                    walk.match_block(&path, block)?
                }
            };
            found.push(ListedDirectory { path, matches });
        }
        self.record(rescanned);
        Ok(Listing::new(root, found, directories))
    }
}

impl Walk<'_> {
    fn absolute(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.to_owned() } else { self.root.join(path) }
    }

    /// Scans one directory; returns `None` if it is gone.
    fn scan(&self, path: &str) -> Result<Option<Scanned>, WalkError> {
        let absolute = self.absolute(path);
        let opened = OpenDirectory::new(&absolute).and_then(|opened| opened.own().map(|own| (opened, own)));
        let (opened, own) = match opened {
            Ok(opened) => opened,
            Err(error) if !path.is_empty() && is_gone(&error) => return Ok(None),
            Err(source) => return Err(WalkError::Io { path: absolute, source }),
        };
        let block = self.snapshot.block(&absolute);
        let vouched = |block: &Block| {
            block.own().is_some_and(|(fingerprint, boundary)| fingerprint == own && own.is_older_than(boundary))
        };
        let names_known = block.as_ref().is_some_and(vouched);
        if names_known
            && let Some(block) = &block
            && let Some(scanned) = self.scan_unchanged(path, &opened, &own, block)
        {
            return Ok(Some(scanned));
        }
        self.scan_changed(path, absolute, &opened, own, block, names_known).map(Some)
    }

    /// The fast path: every matching file is unchanged. Returns `None` at the first that isn't.
    fn scan_unchanged(&self, path: &str, opened: &OpenDirectory, own: &Fingerprint, block: &Block) -> Option<Scanned> {
        let mut matches = DirectoryMatches::new(block.clone());
        let mut directories = Vec::new();
        let mut child = Child::of(path);
        for index in 0..block.len() {
            let record = block.record(index);
            match record.kind() {
                Kind::Directory if self.globs.reaches(child.path(record.name())) => {
                    directories.push(child.path(record.name()).to_owned());
                }
                Kind::File if self.globs.matches(child.path(record.name())) => {
                    let fingerprint = opened.stat(record.name()).ok()?;
                    matches.file(index, record.name(), &record.digest_if(&fingerprint)?, &fingerprint);
                }
                // A link's own stat data does not show a change of its target.
                Kind::Link if self.globs.matches(child.path(record.name())) => return None,
                _ => {}
            }
        }
        Some(Scanned { path: path.to_owned(), directories, own: *own, state: State::Unchanged(matches) })
    }

    fn scan_changed(
        &self,
        path: &str,
        absolute: PathBuf,
        opened: &OpenDirectory,
        own: Fingerprint,
        block: Option<Block>,
        names_known: bool,
    ) -> Result<Scanned, WalkError> {
        let boundary = self.boundary.get_or_init(|| self.snapshot.mtime_boundary());
        let names = match &block {
            Some(block) if names_known => {
                let records = (0..block.len()).map(|index| block.record(index));
                records.map(|record| (record.name().to_owned(), record.kind())).collect()
            }
            _ => match names_in(&absolute, opened) {
                Err(WalkError::Io { source, .. }) if is_gone(&source) && !path.is_empty() => Vec::new(),
                names => names?,
            },
        };
        let (mut entries, mut unread, mut directories) = (Vec::with_capacity(names.len()), Vec::new(), Vec::new());
        let (mut child, mut is_whole) = (Child::of(path), true);
        for (name, kind) in names {
            let record = block.as_ref().and_then(|block| block.find(&name));
            let mut known = record.filter(|record| record.kind() == kind).and_then(|record| record.known());
            if kind == Kind::Directory && self.globs.reaches(child.path(&name)) {
                directories.push(child.path(&name).to_owned());
            }
            if kind == Kind::File && self.globs.matches(child.path(&name)) {
                match stat_and_read(opened, &name, record, boundary) {
                    Ok(Some(file)) => {
                        if file.is_unread {
                            unread.push(entries.len());
                        }
                        known = Some(file.known);
                    }
                    // Replaced by something else, or gone.
                    Ok(None) => {
                        is_whole = false;
                        continue;
                    }
                    Err(source) => return Err(WalkError::Io { path: absolute.join(name), source }),
                }
            }
            entries.push(DraftEntry { name, kind, known });
        }
        let fingerprint = own;
        let own_boundary = boundary.on(own.device());
        let own = (is_whole && own_boundary > 0 && opened.tracks_names()).then_some((own, own_boundary));
        let draft = Draft { path: absolute, own, entries };
        let state = if unread.is_empty() {
            let (absolute, block) = encode(draft)?;
            State::Rescanned { matches: self.match_block(path, block.clone())?, absolute, block }
        } else {
            State::Changed { draft, unread }
        };
        Ok(Scanned { path: path.to_owned(), directories, own: fingerprint, state })
    }

    /// Reads the changed files.
    fn read_changed(&self, scanned: &mut [Scanned]) -> Result<(), WalkError> {
        let mut jobs = Vec::new();
        for (directory, scanned) in scanned.iter().enumerate() {
            if let State::Changed { unread, .. } = &scanned.state {
                jobs.extend(unread.iter().map(|&entry| Unread { directory, entry }));
            }
        }
        let states: &[Scanned] = scanned;
        let read = par_map(&jobs, jobs.len() * 16, |job| {
            let State::Changed { draft, .. } = &states[job.directory].state else { return Ok(None) };
            let entry = &draft.entries[job.entry];
            let size = entry.known.map_or(0, |(fingerprint, ..)| fingerprint.size());
            let path = draft.path.join(&entry.name);
            match Digest::of_file_of_size(&path, size) {
                Ok(digest) => Ok(Some(digest)),
                Err(error) if is_gone(&error) => Ok(None),
                Err(source) => Err(WalkError::Io { path, source }),
            }
        });
        let mut gone = Vec::new();
        for (job, digest) in jobs.iter().zip(read) {
            let State::Changed { draft, .. } = &mut scanned[job.directory].state else { continue };
            match digest? {
                Some(digest) => {
                    let known = draft.entries[job.entry].known.as_mut().expect("known from its stat");
                    *known = known_as(known.0, known.1, &digest);
                }
                None => gone.push((job.directory, job.entry)),
            }
        }
        for (directory, entry) in gone.into_iter().rev() {
            if let State::Changed { draft, .. } = &mut scanned[directory].state {
                draft.entries.remove(entry);
                draft.own = None;
            }
        }
        Ok(())
    }

    /// Returns the matches in a directory whose state is known.
    fn match_block(&self, path: &str, block: Block) -> Result<DirectoryMatches, WalkError> {
        let mut matches = DirectoryMatches::new(block.clone());
        let mut child = Child::of(path);
        for index in 0..block.len() {
            let record = block.record(index);
            if !self.globs.matches(child.path(record.name())) {
                continue;
            }
            match (record.kind(), record.known()) {
                (Kind::File, Some((fingerprint, ..))) => {
                    matches.file(index, record.name(), &record.digest(), &fingerprint)
                }
                (Kind::Link, _) => self.resolve_link(&self.absolute(path), record.name(), &mut matches)?,
                _ => {}
            }
        }
        Ok(matches)
    }

    /// Adds a link, which counts twice: as its text, and as the contents of the file behind it, since a reader sees
    /// those.
    fn resolve_link(&self, directory: &Path, name: &str, matches: &mut DirectoryMatches) -> Result<(), WalkError> {
        let path = directory.join(name);
        let failed = |source| WalkError::Io { path: path.clone(), source };
        let target = match std::fs::read_link(&path) {
            Ok(target) => target,
            // Replaced by something else, or gone.
            Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidInput => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let target = target.to_str().ok_or_else(|| failed(io::Error::other("the link's target is not valid UTF-8")))?;
        let way = LinkWay::of(&path);
        let behind = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => LinkTarget::Directory,
            Ok(metadata) if metadata.is_file() => match self.snapshot.digest(&path, &metadata) {
                Ok(digest) => LinkTarget::File(digest, Fingerprint::of(&metadata)),
                Err(_) => LinkTarget::Nothing,
            },
            _ => LinkTarget::Nothing,
        };
        matches.link(name, target, behind, &way);
        Ok(())
    }
}

/// The relative paths of a directory's entries, each in the same buffer.
struct Child {
    text: String,
    length: usize,
}

impl Child {
    fn of(directory: &str) -> Child {
        let text = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        Child { length: text.len(), text }
    }

    fn path(&mut self, name: &str) -> &str {
        self.text.truncate(self.length);
        self.text.push_str(name);
        &self.text
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn not_text(path: &Path) -> PathError {
    PathError::NotText(path.to_string_lossy().into_owned())
}

fn names_in(directory: &Path, opened: &OpenDirectory) -> Result<Vec<(String, Kind)>, WalkError> {
    let names = opened.names().map_err(|source| WalkError::Io { path: directory.to_owned(), source })?;
    let text = |(name, kind): (std::ffi::OsString, Kind)| match name.into_string() {
        Ok(name) => Ok((name, kind)),
        Err(name) => Err(not_text(&directory.join(name)).into()),
    };
    names.into_iter().map(text).collect()
}

/// A file after its `stat`: its fingerprint, boundary and hash.
struct FileRecord {
    known: (Fingerprint, i128, [u8; 32]),
    /// Too large to be read at once.
    is_unread: bool,
}

/// Stats a file, and reads it if `record` does not know its contents. Returns `None` if it is no file any more.
fn stat_and_read(
    opened: &OpenDirectory,
    name: &str,
    record: Option<Record<'_>>,
    boundary: &MtimeBoundary,
) -> io::Result<Option<FileRecord>> {
    let result = || -> io::Result<Option<FileRecord>> {
        if let Some(record) = record.filter(|record| record.known().is_some()) {
            let fingerprint = opened.stat(name)?;
            if record.digest_if(&fingerprint).is_some() {
                return Ok(record.known().map(|known| FileRecord { known, is_unread: false }));
            }
        }
        let file = opened.open_file(name)?;
        let fingerprint = Fingerprint::of(&file.metadata()?);
        if fingerprint.kind() != Kind::File {
            return Ok(None);
        }
        let believed = boundary.on(fingerprint.device());
        if fingerprint.size() >= LARGE {
            return Ok(Some(FileRecord { known: (fingerprint, believed, [0; 32]), is_unread: true }));
        }
        let digest = Digest::of_open(&file, fingerprint.size())?;
        Ok(Some(FileRecord { known: known_as(fingerprint, believed, &digest), is_unread: false }))
    };
    match result() {
        Err(error) if is_gone(&error) || is_link(&error) => Ok(None),
        result => result,
    }
}

/// Returns the record of a file. A file whose size differs from its stat data is changing right now: its hash counts
/// for this once.
fn known_as(fingerprint: Fingerprint, boundary: i128, digest: &Digest) -> (Fingerprint, i128, [u8; 32]) {
    if fingerprint.size() == digest.size() {
        return (fingerprint, boundary, *digest.hash());
    }
    (fingerprint.with_size(digest.size()), i128::from(i64::MIN), *digest.hash())
}

fn encode(draft: Draft) -> Result<(PathBuf, Block), WalkError> {
    let path = draft.path.clone();
    match draft.encode() {
        Some(block) => Ok((path, block)),
        None => Err(WalkError::Io { path, source: io::Error::other("it holds too many names") }),
    }
}

/// Returns true for the error of opening a link that must not be followed.
#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link(_error: &io::Error) -> bool {
    false
}
