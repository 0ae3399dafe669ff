//! `Listing`: the result of a walk, as compact as the snapshot, and the digest of its tree.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::fingerprint::Fingerprint;
use crate::globs::{GlobSet, OneGlob};
use crate::link_way::LinkWay;
use crate::snapshot_file::Block;
use rondel_cas::messages::{self, Directory, DirectoryNode, FileNode, SymlinkNode};
use rondel_cas::{Digest, Entry, Hasher, RelativePath};

/// Suffix of the entry for the contents behind a link.
pub const BEHIND_LINK: &str = " (behind the link)";

/// Files and links below a directory, with their digests.
pub struct Listing {
    root: PathBuf,
    found: Vec<ListedDirectory>,
    digest: Option<Digest>,
    count: usize,
    stat_digest: u64,
    /// The walked directories, relative to the root. Their fingerprints show names that came and went.
    walked: Vec<(String, Fingerprint)>,
    newest_ns: i128,
}

/// One directory, relative to the root, and its matches.
pub(crate) struct ListedDirectory {
    pub path: String,
    pub matches: DirectoryMatches,
}

impl ListedDirectory {
    /// Returns true if the glob by itself matches a file or link here.
    fn has_match_of(&self, glob: &OneGlob<'_>) -> bool {
        let mut path = if self.path.is_empty() { String::new() } else { format!("{}/", self.path) };
        let length = path.len();
        self.matches.names().any(|name| {
            path.truncate(length);
            path.push_str(name);
            glob.matches(&path)
        })
    }
}

/// The matches in one directory.
pub(crate) struct DirectoryMatches {
    block: Block,
    /// Places in the block of the matching files.
    files: Vec<u32>,
    links: Vec<Link>,
    /// The file nodes of the directory's message, if there are no links among them.
    message: Vec<u8>,
    stat_digest: u64,
    /// Directories elsewhere in which the targets of links would appear.
    elsewhere: Vec<(PathBuf, Fingerprint)>,
    newest_ns: i128,
}

struct Link {
    name: String,
    target: String,
    behind: LinkTarget,
}

/// The target of a link.
pub(crate) enum LinkTarget {
    /// Nothing readable.
    Nothing,
    File(Digest, Fingerprint),
    /// A directory, which is not walked.
    Directory,
}

impl Link {
    fn entry_behind(&self) -> Option<Entry> {
        match &self.behind {
            LinkTarget::File(digest, fingerprint) => Some(entry_of(*digest, fingerprint)),
            LinkTarget::Nothing | LinkTarget::Directory => None,
        }
    }
}

fn entry_of(digest: Digest, fingerprint: &Fingerprint) -> Entry {
    Entry::File { digest, executable: fingerprint.is_executable(), mode: fingerprint.counted_mode() }
}

impl DirectoryMatches {
    pub fn new(block: Block) -> DirectoryMatches {
        DirectoryMatches {
            block,
            files: Vec::new(),
            links: Vec::new(),
            message: Vec::new(),
            stat_digest: 0,
            elsewhere: Vec::new(),
            newest_ns: 0,
        }
    }

    /// Adds a matching file, at `place` of the block. Files come in the order of the block, which is that of their
    /// names.
    pub fn file(&mut self, place: usize, name: &str, digest: &Digest, fingerprint: &Fingerprint) {
        self.files.push(place as u32);
        match fingerprint.counted_mode() {
            None => messages::push_file(&mut self.message, name, digest, fingerprint.is_executable()),
            mode => {
                let node = FileNode { name, digest: *digest, is_executable: fingerprint.is_executable(), mode };
                self.message.extend(Directory { files: vec![node], ..Directory::default() }.encode());
            }
        }
        self.stat_digest = self.stat_digest.wrapping_add(fingerprint.stat_digest());
        self.newest_ns = self.newest_ns.max(fingerprint.ctime_ns());
    }

    pub fn link(&mut self, name: &str, target: &str, behind: LinkTarget, way: &LinkWay) {
        if let LinkTarget::File(_, fingerprint) = &behind {
            self.stat_digest = self.stat_digest.wrapping_add(fingerprint.stat_digest());
            self.newest_ns = self.newest_ns.max(fingerprint.ctime_ns());
        }
        self.stat_digest = self.stat_digest.wrapping_add(way.stat_digest());
        self.elsewhere.extend(way.missing_in.clone());
        self.newest_ns = self.newest_ns.max(way.newest_ns());
        self.links.push(Link { name: name.to_owned(), target: target.to_owned(), behind });
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.links.is_empty()
    }

    fn len(&self) -> usize {
        self.files.len() + self.links.iter().map(|link| 1 + usize::from(link.entry_behind().is_some())).sum::<usize>()
    }

    /// Returns the names of the files, then those of the links.
    fn names(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|&place| self.block.record(place as usize).name());
        files.chain(self.links.iter().map(|link| link.name.as_str()))
    }

    /// Calls `visit` with each name and its entry.
    fn each(&self, visit: &mut dyn FnMut(&str, Entry)) {
        for &place in &self.files {
            let record = self.block.record(place as usize);
            visit(record.name(), entry_of(record.digest(), &record.fingerprint()));
        }
        for link in &self.links {
            if let Some(behind) = link.entry_behind() {
                visit(&format!("{}{BEHIND_LINK}", link.name), behind);
            }
            visit(&link.name, Entry::Symlink { target: link.target.clone() });
        }
    }

    /// Returns the digest of the directory that holds these files and the sorted `directories`.
    fn digest(&self, directories: &[(String, Digest)]) -> Digest {
        let nodes = directories.iter().map(|(name, digest)| DirectoryNode { name, digest: *digest }).collect();
        let mut directory = Directory { directories: nodes, ..Directory::default() };
        if self.links.is_empty() {
            let mut hasher = Hasher::new();
            hasher.update(&self.message);
            hasher.update(&directory.encode());
            return hasher.finish();
        }
        let mut entries = BTreeMap::new();
        self.each(&mut |name, entry| drop(entries.insert(name.to_owned(), entry)));
        for (name, entry) in &entries {
            match entry {
                Entry::File { digest, executable, mode } => {
                    directory.files.push(FileNode { name, digest: *digest, is_executable: *executable, mode: *mode })
                }
                Entry::Symlink { target } => directory.symlinks.push(SymlinkNode { name, target }),
                // A walk knows directories by their contents.
                Entry::Directory { .. } => {}
            }
        }
        directory.digest()
    }
}

impl Listing {
    pub(crate) fn new(root: &Path, mut found: Vec<ListedDirectory>, walked: Vec<(String, Fingerprint)>) -> Listing {
        found.sort_by(|one, other| one.path.cmp(&other.path));
        let digest = digest_of(&found);
        found.retain(|found| !found.matches.is_empty());
        let count = found.iter().map(|found| found.matches.len()).sum();
        let stat_digest = found.iter().fold(0, |sum: u64, found| sum.wrapping_add(found.matches.stat_digest));
        found.iter_mut().for_each(|found| found.matches.message = Vec::new());
        let newest_ns = found.iter().map(|found| found.matches.newest_ns).max().unwrap_or(0);
        Listing { root: root.to_owned(), found, digest, count, stat_digest, walked, newest_ns }
    }

    /// Returns the digest of the tree's root directory, as `Tree` would give it; `None` if it is empty.
    pub fn root_digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns a number that changes when the stat data of any file changes, contents the same or not.
    pub fn stat_digest(&self) -> u64 {
        self.stat_digest
    }

    /// Calls `visit` with the walked directories, and those in which targets of links are missing: names that came and
    /// went change their fingerprints.
    pub fn each_directory(&self, visit: &mut dyn FnMut(&Path, &Fingerprint)) {
        for (path, own) in &self.walked {
            // An empty path would add a slash.
            if path.is_empty() { visit(&self.root, own) } else { visit(&self.root.join(path), own) }
        }
        let elsewhere = self.found.iter().flat_map(|found| &found.matches.elsewhere);
        elsewhere.for_each(|(path, fingerprint)| visit(path, fingerprint));
    }

    /// Returns the last change of any file, and of any link on the way to one, in nanoseconds since 1970.
    pub fn newest_ns(&self) -> i128 {
        self.newest_ns
    }

    /// Returns the links to directories, which are not walked: their paths, and their places.
    pub fn links_to_directories(&self) -> impl Iterator<Item = (String, PathBuf)> {
        self.found.iter().flat_map(move |ListedDirectory { path: directory, matches }| {
            let links = matches.links.iter().filter(|link| matches!(link.behind, LinkTarget::Directory));
            links.map(move |link| {
                let path = if directory.is_empty() { link.name.clone() } else { format!("{directory}/{}", link.name) };
                (path.clone(), self.root.join(path))
            })
        })
    }

    /// Returns the first glob of `globs` without `!` that no file or link here matches: it counts for nothing.
    pub fn idle_glob<'g>(&self, globs: &'g GlobSet) -> Option<&'g str> {
        let mut globs = globs.positive();
        let is_idle = |glob: &OneGlob<'g>| !self.found.iter().any(|found| found.has_match_of(glob));
        globs.find(is_idle).map(|glob| glob.text())
    }

    /// Calls `visit` with the path, the place and the entry of each file and link. The contents behind a link have a
    /// name of their own.
    pub fn each(&self, visit: &mut dyn FnMut(RelativePath, PathBuf, Entry)) {
        for ListedDirectory { path: directory, matches } in &self.found {
            let absolute = if directory.is_empty() { self.root.clone() } else { self.root.join(directory) };
            matches.each(&mut |name, entry| {
                let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
                let Ok(path) = RelativePath::new(&path) else { return };
                visit(path, absolute.join(name.strip_suffix(BEHIND_LINK).unwrap_or(name)), entry);
            });
        }
    }
}

/// Returns the digest of the tree of `found`, whose directories are sorted by path.
fn digest_of(found: &[ListedDirectory]) -> Option<Digest> {
    let places: HashMap<&str, usize> =
        found.iter().enumerate().map(|(place, found)| (found.path.as_str(), place)).collect();
    let mut children: Vec<Vec<(String, Digest)>> = found.iter().map(|_| Vec::new()).collect();
    // A directory's path is shorter than the paths below it, so from the end, children come first.
    for (place, ListedDirectory { path, matches }) in found.iter().enumerate().rev() {
        let mut directories = std::mem::take(&mut children[place]);
        if matches.is_empty() && directories.is_empty() {
            continue;
        }
        directories.sort();
        let digest = matches.digest(&directories);
        if path.is_empty() {
            return Some(digest);
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(parent) = places.get(parent) {
            children[*parent].push((name.to_owned(), digest));
        }
    }
    None
}
