//! Input files of a step: enumerated and hashed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Digest, Entry, PathError, RelativePath, Tree, TreeError};
use rondel_tree::{BEHIND_LINK, Fingerprint, LinkWay, Listing, StatSnapshot};

use crate::error::StepError;

/// One input: its name in the key, its place on this machine, and its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Name in the key.
    pub path: RelativePath,
    /// Place on this machine.
    pub absolute: PathBuf,
    /// Type, contents and permissions.
    pub entry: Entry,
}

impl Input {
    /// Returns true if this is the contents behind a link. The link is an input of its own.
    pub fn is_behind_link(&self) -> bool {
        self.path.as_str().ends_with(BEHIND_LINK)
    }

    /// Returns the name of the contents behind the link `path`.
    pub fn name_behind_link(path: &RelativePath) -> RelativePath {
        RelativePath::new(&format!("{path}{BEHIND_LINK}")).expect("a path and more text")
    }
}

/// Inputs whose tree is already hashed. They are enumerated only on request.
pub trait KnownInputs: Send + Sync {
    /// Calls `visit` with each input, in any order.
    fn each(&self, visit: &mut dyn FnMut(Input));

    /// Returns a number that changes when the stat data of any input changes, contents the same or not.
    fn stat_digest(&self) -> u64;

    /// Calls `visit` with the directories that decide which inputs there are: names that came and went change them.
    fn each_directory(&self, visit: &mut dyn FnMut(&Path, &Fingerprint));

    /// Returns the last change of any input, without the directories, in nanoseconds since 1970.
    fn newest_ns(&self) -> i128;
}

/// Inputs found by a walk, and the prefix of their names in the key.
pub(crate) struct Listed {
    pub listing: Listing,
    pub prefix: Option<RelativePath>,
}

impl KnownInputs for Listed {
    fn each(&self, visit: &mut dyn FnMut(Input)) {
        self.listing.each(&mut |path, absolute, entry| {
            let path = self.prefix.as_ref().map_or_else(|| path.clone(), |prefix| prefix.join(&path));
            visit(Input { path, absolute, entry });
        });
    }

    fn stat_digest(&self) -> u64 {
        self.listing.stat_digest()
    }

    fn each_directory(&self, visit: &mut dyn FnMut(&Path, &Fingerprint)) {
        self.listing.each_directory(visit);
    }

    fn newest_ns(&self) -> i128 {
        self.listing.newest_ns()
    }
}

/// Returns all files and links below `root`, sorted, without the directories that `skip` names.
pub fn files_below(root: &Path, skip: &dyn Fn(&RelativePath) -> bool) -> Result<Vec<RelativePath>, StepError> {
    walk(root, &|path, is_directory| is_directory && skip(path))
}

/// Inputs by name.
#[derive(Clone, Default)]
pub struct InputSet {
    inputs: BTreeMap<RelativePath, (PathBuf, Entry)>,
    known: Option<(Option<Digest>, Arc<dyn KnownInputs>)>,
    blind_spot: Option<String>,
    idle_glob: Option<String>,
    /// Stat digest of the inputs that were added one by one.
    stat_digest: u64,
    /// Directories that decide where links among them lead.
    elsewhere: Vec<(PathBuf, Fingerprint)>,
    /// Where the others came from: it knows their directories.
    opened: Vec<Arc<dyn KnownInputs>>,
    newest_ns: i128,
    /// Files and directories that are no inputs, and whose change is one of the step: its programs, what its tests read.
    beside: Vec<PathBuf>,
    /// True if it may read anything below the root.
    is_open: bool,
}

/// Calls `visit` with the directory of each file that the link at `path` leads to, one after the other.
fn each_place_on_the_way(path: &Path, visit: &mut dyn FnMut(&Path)) {
    for place in LinkWay::of(path).places {
        if let Some(directory) = place.parent() {
            // Without links and `..` of its own.
            visit(fs::canonicalize(directory).as_deref().unwrap_or(directory));
        }
    }
}

impl InputSet {
    /// Returns the inputs whose tree has the digest `root`, or none if there is no tree.
    pub fn known(root: Option<Digest>, inputs: Arc<dyn KnownInputs>) -> InputSet {
        InputSet { known: Some((root, inputs)), ..InputSet::default() }
    }

    /// Adds a link to a directory that is not walked, and a glob that counts for nothing, if there are any.
    pub(crate) fn with_doubts(self, blind_spot: Option<String>, idle_glob: Option<String>) -> InputSet {
        InputSet { blind_spot, idle_glob, ..self }
    }

    /// Returns that link.
    pub(crate) fn blind_link(&self) -> Option<&str> {
        self.blind_spot.as_deref()
    }

    /// Returns why a step may read more than these inputs: a link among them leads to a directory that is not walked. A
    /// step that may read there can't be up to date.
    pub fn blind_spot(&self) -> Option<String> {
        let link = self.blind_spot.as_ref()?;
        Some(format!("`{link}` is a link to a directory outside its inputs"))
    }

    /// Returns the first glob that counts for nothing, though it is not one that takes away.
    pub(crate) fn idle_glob(&self) -> Option<&str> {
        self.idle_glob.as_deref()
    }

    /// Adds one input and replaces an input of the same name.
    pub fn insert(&mut self, input: Input) {
        if let Some((_, known)) = self.known.take() {
            self.stat_digest = self.stat_digest.wrapping_add(known.stat_digest());
            self.newest_ns = self.newest_ns.max(known.newest_ns());
            known.each(&mut |input| {
                self.inputs.insert(input.path, (input.absolute, input.entry));
            });
            self.opened.push(known);
        }
        self.inputs.insert(input.path, (input.absolute, input.entry));
    }

    /// Hashes the file or link at `absolute` and adds it as `path`. A link counts twice: as its text, and as the
    /// contents of the file behind it, since a reader sees those.
    pub fn add(&mut self, path: RelativePath, absolute: PathBuf, snapshot: &StatSnapshot) -> Result<(), StepError> {
        if let Ok(metadata) = fs::metadata(&absolute) {
            let fingerprint = Fingerprint::of(&metadata);
            self.stat_digest = self.stat_digest.wrapping_add(fingerprint.stat_digest());
            self.newest_ns = self.newest_ns.max(fingerprint.ctime_ns());
        }
        let way = LinkWay::of(&absolute);
        self.stat_digest = self.stat_digest.wrapping_add(way.stat_digest());
        self.newest_ns = self.newest_ns.max(way.newest_ns());
        self.elsewhere.extend(way.missing_in);
        let entry = entry_of(&absolute, snapshot).map_err(|source| StepError::unreadable(&absolute, &source))?;
        if matches!(entry, Entry::Symlink { .. })
            && let Ok(behind) = entry_behind(&absolute, snapshot)
        {
            self.insert(Input { path: Input::name_behind_link(&path), absolute: absolute.clone(), entry: behind });
        }
        self.insert(Input { path, absolute, entry });
        Ok(())
    }

    /// Returns all inputs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = Input> {
        let mut all: Vec<Input> = Vec::with_capacity(self.inputs.len());
        match &self.known {
            Some((_, known)) => {
                known.each(&mut |input| all.push(input));
                all.sort_by(|one, other| one.path.cmp(&other.path));
            }
            None => all.extend(self.inputs.iter().map(|(path, (absolute, entry))| Input {
                path: path.clone(),
                absolute: absolute.clone(),
                entry: entry.clone(),
            })),
        }
        all.into_iter()
    }

    /// Calls `visit` with each input whose tree is hashed, in any order.
    pub(crate) fn each_known(&self, visit: &mut dyn FnMut(&Input)) {
        self.known.iter().for_each(|(_, known)| known.each(&mut |input| visit(&input)));
    }

    /// Returns the last change of these inputs, without their directories, in nanoseconds since 1970.
    pub(crate) fn newest_known_ns(&self) -> i128 {
        self.known.as_ref().map_or(0, |(_, known)| known.newest_ns())
    }

    /// Calls `visit` with the place of each input; a place may be visited twice.
    pub fn each_place(&self, visit: &mut dyn FnMut(&Path)) {
        match &self.known {
            Some((_, known)) => known.each(&mut |input| visit(&input.absolute)),
            None => self.inputs.values().for_each(|(place, _)| visit(place)),
        }
    }

    /// Adds files and directories that are no inputs, and whose change is one of the step.
    pub fn watch_beside(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.beside.extend(files);
    }

    /// Says that the step may read anything below the root, beside these inputs.
    pub fn watch_everything(&mut self) {
        self.is_open = true;
    }

    /// Returns true if it may.
    pub fn is_everything_watched(&self) -> bool {
        self.is_open
    }

    /// Calls `visit` with each directory that decides what the step is made of: those that were listed, those that hold an input or a
    /// program, and those that links lead to. A directory may be visited more than once.
    pub fn each_place_to_watch(&self, visit: &mut dyn FnMut(&Path)) {
        let mut of_input = |place: &Path, entry: &Entry| {
            visit(place.parent().unwrap_or(place));
            if matches!(entry, Entry::Symlink { .. }) {
                each_place_on_the_way(place, visit);
            }
        };
        match &self.known {
            Some((_, known)) => known.each(&mut |input| of_input(&input.absolute, &input.entry)),
            None => self.inputs.values().for_each(|(place, entry)| of_input(place, entry)),
        }
        for file in &self.beside {
            visit(file.parent().unwrap_or(file));
            each_place_on_the_way(file, visit);
            if file.is_dir() {
                visit(file);
            }
        }
        let known = self.known.iter().map(|(_, known)| known).chain(&self.opened);
        known.for_each(|known| known.each_directory(&mut |path, _| visit(path)));
        self.elsewhere.iter().for_each(|(path, _)| visit(path));
    }

    /// Returns a number that changes when the stat data of any input changes, contents the same or not.
    pub fn stat_digest(&self) -> u64 {
        self.stat_digest.wrapping_add(self.known.as_ref().map_or(0, |(_, known)| known.stat_digest()))
    }

    /// Returns such a number for the directories that were listed, without those for which `skip` returns true; 0 if
    /// there is none.
    pub fn directory_stat_digest(&self, skip: &dyn Fn(&Path) -> bool) -> u64 {
        let mut sum = 0_u64;
        self.each_directory(skip, &mut |fingerprint| sum = sum.wrapping_add(fingerprint.stat_digest()));
        sum
    }

    fn each_directory(&self, skip: &dyn Fn(&Path) -> bool, visit: &mut dyn FnMut(&Fingerprint)) {
        let mut counted = |path: &Path, fingerprint: &Fingerprint| {
            if !skip(path) {
                visit(fingerprint);
            }
        };
        let known = self.known.iter().map(|(_, known)| known).chain(&self.opened);
        known.for_each(|known| known.each_directory(&mut counted));
        self.elsewhere.iter().for_each(|(path, fingerprint)| counted(path, fingerprint));
    }

    /// Returns the last change of any input or directory, in nanoseconds since 1970.
    pub fn newest_ns(&self) -> i128 {
        self.newest_ns_without(&|_| false)
    }

    /// Returns such a number without the directories for which `skip` returns true.
    pub fn newest_ns_without(&self, skip: &dyn Fn(&Path) -> bool) -> i128 {
        let mut newest = self.known.as_ref().map_or(0, |(_, known)| known.newest_ns()).max(self.newest_ns);
        self.each_directory(skip, &mut |fingerprint| newest = newest.max(fingerprint.ctime_ns()));
        newest
    }

    /// Returns the digest of the inputs' tree; `None` if there are none.
    pub fn root_digest(&self) -> Result<Option<Digest>, TreeError> {
        if let Some((root, _)) = &self.known {
            return Ok(*root);
        }
        if self.inputs.is_empty() {
            return Ok(None);
        }
        self.tree().root_digest().map(Some)
    }

    /// Calls `emit` with the digest and the bytes of each `Directory` message of that tree, children before their
    /// parents. Returns the digest of its root.
    pub fn directories(&self, emit: &mut dyn FnMut(Digest, Vec<u8>)) -> Result<Option<Digest>, TreeError> {
        let Some(root) = self.root_digest()? else { return Ok(None) };
        if self.tree().directories(emit)? == root { Ok(Some(root)) } else { Err(TreeError::Changed) }
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        match &self.known {
            Some((_, known)) => known.each(&mut |input| tree.insert(input.path, input.entry)),
            None => self.inputs.iter().for_each(|(path, (_, entry))| tree.insert(path.clone(), entry.clone())),
        }
        tree
    }
}

impl std::fmt::Debug for InputSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// Returns the entry of the file behind the link at `path`.
fn entry_behind(path: &Path, snapshot: &StatSnapshot) -> io::Result<Entry> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file_entry(path, &metadata, snapshot)
}

/// Returns the entry of a file with the permissions that count for its reader.
fn file_entry(path: &Path, metadata: &fs::Metadata, snapshot: &StatSnapshot) -> io::Result<Entry> {
    let digest = snapshot.digest(path, metadata)?;
    let looks = Fingerprint::of(metadata);
    Ok(Entry::File { digest, executable: looks.is_executable(), mode: looks.counted_mode() })
}

/// Returns the entry at `path`. A link is its text.
pub(crate) fn entry_of(path: &Path, snapshot: &StatSnapshot) -> io::Result<Entry> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        let target = fs::read_link(path)?;
        let target = target.to_str().ok_or_else(|| io::Error::other("the link's target is not valid UTF-8"))?;
        return Ok(Entry::Symlink { target: target.to_owned() });
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file_entry(path, &metadata, snapshot)
}

/// Returns all files and links below `root`, as sorted relative paths. Links are not followed. Calls `skip` for each
/// directory and file. Names that are not UTF-8 are an error.
fn walk(root: &Path, skip: &dyn Fn(&RelativePath, bool) -> bool) -> Result<Vec<RelativePath>, StepError> {
    let mut found = Vec::new();
    let mut open: Vec<Option<RelativePath>> = vec![None];
    while let Some(directory) = open.pop() {
        let absolute = directory.as_ref().map_or_else(|| root.to_owned(), |path| path.below(root));
        let entries = fs::read_dir(&absolute).map_err(|source| StepError::unreadable(&absolute, &source))?;
        for entry in entries {
            let entry = entry.map_err(|source| StepError::unreadable(&absolute, &source))?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| not_text(PathError::NotText(entry.path().to_string_lossy().into_owned())))?;
            let name = RelativePath::new(name).map_err(|error| StepError::failed(error.to_string()))?;
            let path = directory.as_ref().map_or_else(|| name.clone(), |parent| parent.join(&name));
            let kind = entry.file_type().map_err(|source| StepError::unreadable(&entry.path(), &source))?;
            if skip(&path, kind.is_dir()) {
                continue;
            }
            // Sockets, FIFOs and devices can't be inputs.
            if kind.is_dir() {
                open.push(Some(path));
            } else if kind.is_file() || kind.is_symlink() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn not_text(error: PathError) -> StepError {
    StepError::failed(error.to_string()).hint("rename it, or exclude its directory from the inputs")
}
