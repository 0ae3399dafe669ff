//! `WorkTrees`: source files that differ from their commit.
//!
//! Git lists the commit and knows the ignored names. The files themselves are compared here, byte by byte with the
//! blob: no filter has a say. A file that only a filter makes equal to its blob (line ends, large files elsewhere)
//! counts as clean while git's index vouches for it, and else as dirty, which is the safe side.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rondel_cas::{CONTENTS_MAX, Hasher, open_at_most};

use super::differences::{Difference, How};
use super::index::Index;
use super::notes::{GitNotes, seen_from};
use super::repository::{Found, Repository, find, path_of};
use super::sha1::Sha1;
use super::{ask, ask_about_names, head_commit};
use crate::request::Request;

/// A submodule.
const MODULE: u32 = 0o160_000;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;

/// Source files that differ from their commit. Git runs once for each repository, and only if a build needs to know.
pub(crate) struct WorkTrees {
    environment: BTreeMap<String, String>,
    /// Outputs of other targets. They are derived and never make a build dirty; their sources do.
    derived: Vec<PathBuf>,
    /// Root of a copy of the tree, below which the original's absolute paths are repeated.
    copy: Option<PathBuf>,
    /// The workspace: its files are named from there in the notes.
    root: PathBuf,
    notes: GitNotes,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The repository of each directory.
    repositories: HashMap<PathBuf, Option<PathBuf>>,
    trees: HashMap<PathBuf, Option<WorkTree>>,
}

/// What is known of one repository.
struct WorkTree {
    repository: Repository,
    /// The files of HEAD: mode and identifier.
    committed: HashMap<Vec<u8>, (u32, Vec<u8>)>,
    index: Index,
    /// False where the file system knows no executable files.
    has_modes: bool,
    /// Names that git ignores.
    ignored: HashSet<String>,
}

/// The tracked files that differ from HEAD.
pub(crate) struct Changes {
    /// The first by name.
    pub first: Option<String>,
    pub count: usize,
}

/// Returns the tracked files of the repository of `directory` that differ from HEAD: changed, removed or added; `None` if
/// git does not tell. Submodules are not looked into.
pub(crate) fn changes(environment: &BTreeMap<String, String>, directory: &Path, notes: &GitNotes) -> Option<Changes> {
    let written = notes.answer("changed files", || {
        let Changes { first, count } = find_changes(environment, directory)?;
        Some(format!("{count} {}", first.unwrap_or_default()))
    })?;
    let (count, first) = written.split_once(' ')?;
    let first = Some(first.to_owned()).filter(|first| !first.is_empty());
    Some(Changes { first, count: count.parse().ok()? })
}

fn find_changes(environment: &BTreeMap<String, String>, directory: &Path) -> Option<Changes> {
    let Found::Repository(repository) = find(environment, directory, &GitNotes::default()) else { return None };
    let tree = WorkTree::load(environment, &repository.top)?;
    let committed = tree.committed.iter().filter(|(name, (mode, id))| *mode != MODULE && tree.differs(name, *mode, id));
    let added = tree.index.names().filter(|name| !tree.committed.contains_key(*name));
    let names: Vec<&Vec<u8>> = committed.map(|(name, _)| name).chain(added).collect();
    let first = names.iter().min().map(|name| String::from_utf8_lossy(name).into_owned());
    Some(Changes { first, count: names.len() })
}

impl WorkTrees {
    /// Nothing is asked yet.
    pub fn new(request: &Request<'_>, derived: Vec<PathBuf>) -> WorkTrees {
        let Request { environment, root, repository, notes, .. } = request;
        let original = repository.strip_prefix("/").unwrap_or(repository);
        let depth = original.components().count();
        let copy = (root != repository && root.ends_with(original)).then(|| root.ancestors().nth(depth)).flatten();
        WorkTrees {
            environment: (*environment).clone(),
            derived,
            copy: copy.map(Path::to_owned),
            root: root.clone(),
            notes: notes.clone(),
            state: Mutex::default(),
        }
    }

    /// Returns true if the file at `path` differs from its commit: it was changed or added, or is in no repository that
    /// may be asked. Files that git ignores are no part of a commit, and don't count.
    pub fn is_dirty(&self, path: &Path) -> bool {
        if self.derived.iter().any(|derived| path.starts_with(derived)) {
            return false;
        }
        let question = format!("dirty {}", seen_from(&self.root, path));
        self.notes.answer(&question, || self.differs(path).then(|| "yes".to_owned())).is_some()
    }

    fn differs(&self, path: &Path) -> bool {
        let path = &self.original(path);
        let mut state = self.state.lock().expect("no panic while locked");
        let State { repositories, trees } = &mut *state;
        let Some(directory) = path.parent() else { return true };
        let Some(top) = top_of(directory, repositories) else { return true };
        let tree = trees.entry(top).or_insert_with_key(|top| WorkTree::load(&self.environment, top));
        tree.as_mut().is_none_or(|tree| tree.is_dirty(&self.environment, path))
    }
}

impl WorkTrees {
    /// Returns the place of a file in the original tree, if `path` is in the copy.
    fn original(&self, path: &Path) -> PathBuf {
        let rest = self.copy.as_ref().and_then(|copy| path.strip_prefix(copy).ok());
        rest.map_or_else(|| path.to_owned(), |rest| Path::new("/").join(rest))
    }

    fn is_derived(&self, path: &Path) -> bool {
        self.derived.iter().any(|derived| self.original(path).starts_with(self.original(derived)))
    }

    /// Returns how the tree differs from its commit: all tracked files of the repository of `directory` and of those that the
    /// `sources` are in, and each of the sources, whether or not git ignores it. Outputs of targets do not count. `None` if git
    /// does not tell.
    pub fn differences<'a>(
        &self,
        directory: &Path,
        sources: impl Iterator<Item = &'a PathBuf>,
    ) -> Option<BTreeSet<Difference>> {
        let mut state = self.state.lock().expect("no panic while locked");
        let State { repositories, trees } = &mut *state;
        let mut found = BTreeSet::new();
        let mut tops = BTreeSet::from([top_of(&self.original(directory), repositories)?]);
        for source in sources.filter(|source| !self.is_derived(source)).map(|source| self.original(source)) {
            let path = real_place(&source);
            let Some(top) = path.parent().and_then(|directory| top_of(directory, repositories)) else {
                found.insert(Difference { path: source.display().to_string(), how: How::Elsewhere });
                continue;
            };
            let tree = trees.entry(top.clone()).or_insert_with_key(|top| WorkTree::load(&self.environment, top));
            let name = path.strip_prefix(&top).unwrap_or(&path).to_string_lossy().into_owned();
            let how = tree.as_mut()?.not_committed(&self.environment, &name);
            found.extend(how.map(|how| Difference { path: name, how }));
            tops.insert(top);
        }
        for top in tops {
            let tree = trees.entry(top).or_insert_with_key(|top| WorkTree::load(&self.environment, top)).as_ref()?;
            found.extend(tree.changes(&self.environment, &|path| self.is_derived(path)));
        }
        Some(found)
    }
}

/// Returns the place of a file behind links to directories. The file itself may be a link, which git knows as one.
fn real_place(path: &Path) -> PathBuf {
    let real = path.parent().and_then(|directory| std::fs::canonicalize(directory).ok());
    real.zip(path.file_name()).map_or_else(|| path.to_owned(), |(directory, name)| directory.join(name))
}

/// Returns the directory that holds `.git`, and records it for each directory on the way.
fn top_of(directory: &Path, known: &mut HashMap<PathBuf, Option<PathBuf>>) -> Option<PathBuf> {
    if let Some(found) = known.get(directory) {
        return found.clone();
    }
    let found = if std::fs::symlink_metadata(directory.join(".git")).is_ok() {
        Some(directory.to_owned())
    } else {
        directory.parent().and_then(|parent| top_of(parent, known))
    };
    known.insert(directory.to_owned(), found.clone());
    found
}

impl WorkTree {
    fn load(environment: &BTreeMap<String, String>, top: &Path) -> Option<WorkTree> {
        let Found::Repository(repository) = find(environment, top, &GitNotes::default()) else { return None };
        let listed = ask(environment, &repository, &["ls-tree", "-r", "-z", "--full-tree", "HEAD"])?;
        let mut committed = HashMap::new();
        for line in listed.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
            let (head, name) = line.split_at(line.iter().position(|&byte| byte == b'\t')?);
            let mut words = std::str::from_utf8(head).ok()?.split(' ');
            let mode = u32::from_str_radix(words.next()?, 8).ok()?;
            committed.insert(name[1..].to_vec(), (mode, bytes_of(words.nth(1)?)?));
        }
        let width = committed.values().next().map_or(20, |(_, id)| id.len());
        let modes = ask(environment, &repository, &["config", "--type=bool", "--get", "core.fileMode"]);
        Some(WorkTree {
            index: Index::read(&repository.git.join("index"), width),
            has_modes: modes.is_none_or(|answer| answer.trim_ascii() != b"false"),
            repository,
            committed,
            ignored: HashSet::new(),
        })
    }

    /// Returns true if the file `name` of HEAD is another one in the tree, or missing though it is not left out of it.
    fn differs(&self, name: &[u8], mode: u32, id: &[u8]) -> bool {
        let path = self.repository.top.join(path_of(name));
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) => {
                !self.index.vouches_for(name, mode, id, &metadata) && !self.equals(&path, &metadata, mode, id)
            }
            Err(_) => !self.index.leaves_out(name),
        }
    }

    /// Returns how the tracked files differ from HEAD.
    fn changes(&self, environment: &BTreeMap<String, String>, is_derived: &dyn Fn(&Path) -> bool) -> Vec<Difference> {
        let mut found = Vec::new();
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        for (name, (mode, id)) in &self.committed {
            let path = self.repository.top.join(path_of(name));
            if is_derived(&path) {
                continue;
            }
            let how = match *mode {
                MODULE => (!is_at(environment, &path, id)).then_some(How::OtherCommit),
                _ if !self.differs(name, *mode, id) => None,
                _ if std::fs::symlink_metadata(&path).is_err() => Some(How::Missing),
                _ => Some(How::Changed),
            };
            found.extend(how.map(|how| Difference { path: text(name), how }));
        }
        for name in self.index.names().filter(|name| !self.committed.contains_key(*name)) {
            if !is_derived(&self.repository.top.join(path_of(name))) {
                found.push(Difference { path: text(name), how: How::Added });
            }
        }
        found
    }

    /// Returns why the commit does not have a file of this name; `None` if it does, whatever its bytes.
    fn not_committed(&mut self, environment: &BTreeMap<String, String>, name: &str) -> Option<How> {
        if self.committed.contains_key(name.as_bytes()) {
            return None;
        }
        if self.index.holds(name.as_bytes()) {
            return Some(How::Added);
        }
        Some(if self.is_ignored(environment, name) { How::Ignored } else { How::Untracked })
    }

    fn is_dirty(&mut self, environment: &BTreeMap<String, String>, path: &Path) -> bool {
        let Some(name) = path.strip_prefix(&self.repository.top).ok().and_then(Path::to_str) else { return true };
        let Ok(metadata) = std::fs::symlink_metadata(path) else { return true };
        match self.committed.get(name.as_bytes()) {
            Some((mode, id)) => {
                !self.index.vouches_for(name.as_bytes(), *mode, id, &metadata)
                    && !self.equals(path, &metadata, *mode, id)
            }
            None => self.index.holds(name.as_bytes()) || !self.is_ignored(environment, name),
        }
    }

    /// Returns true if the file is the blob `id`, with this mode.
    fn equals(&self, path: &Path, metadata: &Metadata, mode: u32, id: &[u8]) -> bool {
        if metadata.is_symlink() || mode == LINK {
            let target = std::fs::read_link(path).map(|target| bytes_in(&target)).unwrap_or_default();
            let found = blob_id(id.len(), target.len() as u64, &mut target.as_slice());
            return mode == LINK && metadata.is_symlink() && found.as_deref() == Some(id);
        }
        let same_mode = !self.has_modes || is_executable(metadata) == (mode == EXECUTABLE);
        let read = || open_at_most(path, CONTENTS_MAX).ok();
        same_mode
            && read().and_then(|(mut file, metadata)| blob_id(id.len(), metadata.len(), &mut file)).as_deref()
                == Some(id)
    }

    /// Asks git about the names of the file and of the directories above it; each name once.
    fn is_ignored(&mut self, environment: &BTreeMap<String, String>, name: &str) -> bool {
        let mut names: Vec<&str> = name.match_indices('/').map(|(end, _)| &name[..end]).collect();
        if names.iter().any(|name| self.ignored.contains(*name)) {
            return true;
        }
        // Git would wait for a FIFO of that name.
        let is_readable = |directory: &Path| {
            let file = std::fs::symlink_metadata(directory.join(".gitignore"));
            file.map_or(true, |metadata| metadata.is_file() || metadata.is_dir() || metadata.is_symlink())
        };
        if !self.repository.top.join(name).ancestors().skip(1).take(names.len() + 1).all(is_readable) {
            return false;
        }
        names.push(name);
        // Relative to the top, so that no name has a meaning of its own.
        let paths: Vec<String> = names.iter().map(|name| format!("./{name}")).collect();
        let arguments: Vec<&str> = ["check-ignore", "--"].into_iter().chain(paths.iter().map(String::as_str)).collect();
        // Status 1 means that none is ignored; other failures count the same.
        let Some(answer) = ask_about_names(environment, &self.repository, &arguments) else { return false };
        // Names that git quotes are asked for again.
        let found: Vec<&[u8]> = answer.split(|&byte| byte == b'\n').collect();
        let ignored = names.iter().zip(&paths).filter(|(_, path)| found.contains(&path.as_bytes()));
        self.ignored.extend(ignored.map(|(name, _)| (*name).to_owned()));
        true
    }
}

/// Returns true if a submodule is at the commit `id`, or is not there at all.
fn is_at(environment: &BTreeMap<String, String>, path: &Path, id: &[u8]) -> bool {
    if std::fs::symlink_metadata(path.join(".git")).is_err() {
        return true;
    }
    let Found::Repository(repository) = find(environment, path, &GitNotes::default()) else { return false };
    head_commit(&repository).and_then(|commit| bytes_of(&commit)).as_deref() == Some(id)
}

/// Returns the identifier of a blob of `size` bytes; `None` for an unknown kind of identifier, or if it has another
/// size.
fn blob_id(width: usize, size: u64, source: &mut dyn Read) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut hash = |update: &mut dyn FnMut(&[u8])| {
        update(format!("blob {size}\0").as_bytes());
        let mut buffer = vec![0; 64 * 1024];
        while length <= size {
            match source.read(&mut buffer).ok()? {
                0 => break,
                count => {
                    update(&buffer[..count]);
                    length += count as u64;
                }
            }
        }
        (length == size).then_some(())
    };
    match width {
        20 => {
            let mut hasher = Sha1::new();
            hash(&mut |bytes| hasher.update(bytes))?;
            Some(hasher.finish().to_vec())
        }
        32 => {
            let mut hasher = Hasher::new();
            hash(&mut |bytes| hasher.update(bytes))?;
            Some(hasher.finish().hash().to_vec())
        }
        _ => None,
    }
}

/// Returns the bytes of hex digits.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &Metadata) -> bool {
    false
}

fn bytes_in(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_blobs() {
        let hex = |width, size, bytes: &[u8]| {
            let id = blob_id(width, size, &mut &*bytes)?;
            Some(id.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        assert_eq!(hex(20, 6, b"hello\n").as_deref(), Some("ce013625030ba8dba906f756967f9e9ca394464a"));
        let long = "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4";
        assert_eq!(hex(32, 6, b"hello\n").as_deref(), Some(long));
        assert_eq!(bytes_of(long).map(|bytes| bytes.len()), Some(32));
        // A file that grows or shrinks meanwhile.
        assert_eq!((hex(20, 5, b"hello\n"), hex(20, 7, b"hello\n"), hex(16, 6, b"hello\n")), (None, None, None));
    }
}
