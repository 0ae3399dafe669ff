//! The closure on disk, and its fast revalidation.
//!
//! One compact file, read at once, holds the fingerprint of each file and watched directory. A file is unchanged if its
//! fingerprint is, and if its last change was before the boundary (see `rondel_tree::MtimeBoundary`); then one `stat`
//! is enough. The work is shared among all cores. Only changed files are read again.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Digest, par_chunks};
use rondel_tree::{FINGERPRINT_LENGTH, Fingerprint, MTIME_BOUNDARY_LENGTH, MtimeBoundary, StatSnapshot};
use serde::{Deserialize, Serialize};

use crate::name_dependencies::{Names, listing};
use crate::source_header::head_digest;

const MAGIC: &[u8] = b"rondel-closure 6\n";

/// One file of a closure.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Absolute.
    pub path: PathBuf,
    /// True for go.mod and related files: a change of one is a reason to run `go list` again.
    pub is_module_file: bool,
    /// `None` if there is no such file, which matters for module files.
    pub state: Option<FileState>,
}

/// State of a file when it was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileState {
    /// Fingerprint of the file itself, or of a link's target.
    pub fingerprint: Fingerprint,
    /// Boundary up to which the fingerprint is believed.
    pub boundary_ns: i128,
    pub digest: Digest,
    /// Digest of the header, for a Go file.
    pub head: Option<Digest>,
    /// The text of a link.
    pub link: Option<String>,
}

/// One directory whose names matter.
#[derive(Clone, Debug)]
pub(crate) struct WatchedDirectory {
    pub path: PathBuf,
    pub names: Names,
    /// `None` if it is missing.
    pub fingerprint: Option<Fingerprint>,
    /// Boundary up to which the fingerprint vouches for the names; 0 where it never does.
    pub boundary_ns: i128,
    pub listing: Digest,
}

/// Further stored data, as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Header {
    pub query: String,
    pub mains: Vec<(String, PathBuf)>,
    pub uses_cgo: bool,
    pub c_directories: Vec<PathBuf>,
    pub modules: Vec<PathBuf>,
    /// Digest of the inputs' tree, once it was made.
    pub root: Option<String>,
}

/// Contents of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClosureFile {
    pub header: Header,
    /// The latest of all boundaries; `None` if nothing is believed any more.
    pub boundary: Option<MtimeBoundary>,
    pub directories: Vec<WatchedDirectory>,
    /// Sorted by path.
    pub files: Arc<Vec<SourceFile>>,
}

/// Result of comparing the closure with the tree again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Revalidation {
    /// Everything is unchanged. `is_worth_storing` is true if the stored file should be updated.
    Unchanged { is_worth_storing: bool },
    /// Contents changed, but nothing that could change the list of files.
    ContentsOnly,
    /// `go list` has to run; the reason in words.
    Invalid(String),
}

impl SourceFile {
    /// Stats the file and reads it.
    pub fn read(path: PathBuf, is_module_file: bool, boundary: &MtimeBoundary) -> std::io::Result<SourceFile> {
        let state = match read_state(&path, boundary) {
            Ok(state) => Some(state),
            Err(error) if is_module_file && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(SourceFile { path, is_module_file, state })
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

    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or("")
    }
}

fn read_state(path: &Path, boundary: &MtimeBoundary) -> std::io::Result<FileState> {
    let link = match fs::symlink_metadata(path)?.is_symlink() {
        true => Some(
            fs::read_link(path)?
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| std::io::Error::other("the link's target is not valid UTF-8"))?,
        ),
        false => None,
    };
    // Boundary and fingerprint are taken before the first byte is read: a change meanwhile is younger.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let fingerprint = Fingerprint::of(&metadata);
    let is_go = path.extension().is_some_and(|ending| ending == "go");
    let (digest, head) = if is_go {
        let source = fs::read(path)?;
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

/// Reads all of `paths`, on all cores.
pub(crate) fn read_all(
    paths: &[(PathBuf, bool)],
    boundary: &MtimeBoundary,
) -> Result<Vec<SourceFile>, (PathBuf, std::io::Error)> {
    let read = |part: &[(PathBuf, bool)]| -> Result<Vec<SourceFile>, (PathBuf, std::io::Error)> {
        let one = |(path, is_module_file): &(PathBuf, bool)| {
            SourceFile::read(path.clone(), *is_module_file, boundary).map_err(|error| (path.clone(), error))
        };
        part.iter().map(one).collect()
    };
    let parts = par_chunks(paths, paths.len(), read).into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

impl ClosureFile {
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
            let now = SourceFile::read(file.path.clone(), file.is_module_file, &boundary);
            let now = now.map(|found| found.state).unwrap_or(None);
            match (&file.state, now) {
                (None, None) => {}
                (Some(_), None) => return Revalidation::Invalid(format!("{} is gone", relative(&file.path))),
                (None, Some(_)) => return Revalidation::Invalid(format!("{} changed", relative(&file.path))),
                (Some(old), Some(new)) => {
                    let same = old.digest == new.digest && old.link == new.link;
                    let executable = old.fingerprint.is_executable() == new.fingerprint.is_executable();
                    if !same && (file.is_module_file || old.head != new.head) {
                        return Revalidation::Invalid(format!("{} changed", relative(&file.path)));
                    }
                    is_edited |= !same || !executable;
                    is_worth_storing |= *old != new;
                    file.state = Some(new);
                }
            }
        }
        for index in changed.directories {
            let watched = &mut self.directories[index];
            let now = WatchedDirectory::read(watched.path.clone(), watched.names, &boundary);
            if now.listing != watched.listing {
                let name = relative(&watched.path);
                let name = if name.is_empty() { ".".to_owned() } else { name };
                return Revalidation::Invalid(format!("files were added or removed in {name}"));
            }
            is_worth_storing |= now.boundary_ns != watched.boundary_ns || now.fingerprint != watched.fingerprint;
            *watched = now;
        }
        if is_edited { Revalidation::ContentsOnly } else { Revalidation::Unchanged { is_worth_storing } }
    }

    /// Returns the file's contents: mark, checksum, header, then directories and files. Each path is the length of its
    /// common beginning with the previous one, and the rest.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.files.len() * 150 + 4096);
        let header = serde_json::to_vec(&self.header).expect("plain data");
        put_bytes(&mut body, &header);
        body.extend_from_slice(&self.boundary.map_or([0; MTIME_BOUNDARY_LENGTH], |boundary| boundary.to_bytes()));
        let mut last = String::new();
        put_number(&mut body, self.directories.len() as u64);
        for watched in &self.directories {
            put_path(&mut body, &mut last, &watched.path);
            body.push(watched.names as u8);
            put_fingerprint(&mut body, watched.fingerprint.as_ref(), watched.boundary_ns);
            put_digest(&mut body, &watched.listing);
        }
        last.clear();
        put_number(&mut body, self.files.len() as u64);
        for file in self.files.iter() {
            put_path(&mut body, &mut last, &file.path);
            body.push(u8::from(file.is_module_file));
            let state = file.state.as_ref();
            put_fingerprint(
                &mut body,
                state.map(|state| &state.fingerprint),
                state.map_or(0, |state| state.boundary_ns),
            );
            if let Some(state) = state {
                put_digest(&mut body, &state.digest);
                body.push(u8::from(state.head.is_some()) | u8::from(state.link.is_some()) << 1);
                if let Some(head) = &state.head {
                    put_digest(&mut body, head);
                }
                if let Some(link) = &state.link {
                    put_bytes(&mut body, link.as_bytes());
                }
            }
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(Digest::of(&body).hash());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reverses `encode`; returns `None` for anything torn, flipped or foreign.
    pub fn decode(bytes: &[u8]) -> Option<ClosureFile> {
        let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
        if Digest::of(body).hash() != checksum {
            return None;
        }
        let mut reader = Reader(body);
        let header = serde_json::from_slice(reader.bytes()?).ok()?;
        let boundary = Some(reader.take()?).filter(|bytes| *bytes != [0; MTIME_BOUNDARY_LENGTH]);
        let boundary = boundary.map(|bytes| MtimeBoundary::from_bytes(&bytes));
        let mut last = String::new();
        let count = reader.number()?;
        let mut directories = Vec::new();
        for _ in 0..count {
            let path = reader.path(&mut last)?;
            let names = Names::of(reader.byte()?)?;
            let (fingerprint, boundary_ns) = reader.fingerprint()?;
            directories.push(WatchedDirectory { path, names, fingerprint, boundary_ns, listing: reader.digest()? });
        }
        last.clear();
        let count = reader.number()?;
        let mut files = Vec::new();
        for _ in 0..count {
            let path = reader.path(&mut last)?;
            let is_module_file = reader.byte()? != 0;
            let state = match reader.fingerprint()? {
                (None, _) => None,
                (Some(fingerprint), boundary_ns) => {
                    let digest = reader.digest()?;
                    let flags = reader.byte()?;
                    let head = if flags & 1 != 0 { Some(reader.digest()?) } else { None };
                    let link = if flags & 2 != 0 { Some(reader.text()?) } else { None };
                    Some(FileState { fingerprint, boundary_ns, digest, head, link })
                }
            };
            files.push(SourceFile { path, is_module_file, state });
        }
        reader.0.is_empty().then_some(ClosureFile { header, boundary, directories, files: Arc::new(files) })
    }
}

fn put_number(body: &mut Vec<u8>, number: u64) {
    body.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    body.extend_from_slice(bytes);
}

/// Appends a path. Paths are UTF-8: others were refused when the closure was made.
fn put_path(body: &mut Vec<u8>, last: &mut String, path: &Path) {
    let path = path.to_string_lossy();
    let mut shared = last.bytes().zip(path.bytes()).take_while(|(one, other)| one == other).count().min(0xffff);
    while !path.is_char_boundary(shared) {
        shared -= 1;
    }
    body.extend_from_slice(&(shared as u16).to_le_bytes());
    put_bytes(body, &path.as_bytes()[shared..]);
    last.clear();
    last.push_str(&path);
}

fn put_fingerprint(body: &mut Vec<u8>, fingerprint: Option<&Fingerprint>, boundary_ns: i128) {
    body.push(u8::from(fingerprint.is_some()));
    if let Some(fingerprint) = fingerprint {
        body.extend_from_slice(&fingerprint.to_bytes());
        put_number(body, boundary_ns as u64);
    }
}

fn put_digest(body: &mut Vec<u8>, digest: &Digest) {
    body.extend_from_slice(digest.hash());
    put_number(body, digest.size());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    fn path(&mut self, last: &mut String) -> Option<PathBuf> {
        let shared = usize::from(u16::from_le_bytes(self.take()?));
        let rest = std::str::from_utf8(self.bytes()?).ok()?;
        if !last.is_char_boundary(shared) {
            return None;
        }
        last.truncate(shared);
        last.push_str(rest);
        Some(PathBuf::from(last.as_str()))
    }

    fn fingerprint(&mut self) -> Option<(Option<Fingerprint>, i128)> {
        if self.byte()? == 0 {
            return Some((None, 0));
        }
        let fingerprint = Fingerprint::from_bytes(&self.take::<FINGERPRINT_LENGTH>()?);
        Some((Some(fingerprint), i128::from(self.number()? as i64)))
    }

    fn digest(&mut self) -> Option<Digest> {
        let hash = self.take()?;
        Some(Digest::from_parts(hash, self.number()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_round_trips_and_damage_is_seen() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let boundary = MtimeBoundary::now(None);
        let mut stored = ClosureFile { boundary: Some(boundary), ..ClosureFile::default() };
        stored.header.query = "q".to_owned();
        stored.directories.push(WatchedDirectory::read(here.clone(), Names::Sources, &boundary));
        stored.directories.push(WatchedDirectory::read(here.join("nowhere"), Names::All, &boundary));
        for name in ["lib.rs", "source_header.rs"] {
            Arc::make_mut(&mut stored.files).push(SourceFile::read(here.join(name), false, &boundary).unwrap());
        }
        Arc::make_mut(&mut stored.files).push(SourceFile::read(here.join("go.mod"), true, &boundary).unwrap());
        Arc::make_mut(&mut stored.files)[0].state.as_mut().unwrap().link = Some("é".to_owned());
        let good = stored.encode();
        let read = ClosureFile::decode(&good).unwrap();
        assert_eq!(good, read.encode());
        assert_eq!(format!("{stored:?}"), format!("{read:?}"));
        for length in 0..good.len() {
            assert!(ClosureFile::decode(&good[..length]).is_none(), "cut at {length}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x20;
            assert!(ClosureFile::decode(&bad).is_none(), "flipped at {index}");
        }
    }
}
