//! `Tree`: the contents of a directory, by path, with its `Directory` messages and REAPI's `Tree` message.

use std::collections::{BTreeMap, HashMap};

use crate::messages::{Directory, DirectoryNode, FileNode, SymlinkNode, UnixMode};
use crate::wire::DecodeError;
use crate::wire::{Message, each_field, set};
use crate::{Digest, RelativePath};

/// Maximum number of entries in a tree. One `Directory` may occur in many places, so a small message can be a vast
/// tree.
const ENTRIES_MAX: usize = 1 << 20;
/// Maximum number of bytes in all paths and link targets together.
const TEXT_MAX: usize = 1 << 28;
/// Maximum length of a path in bytes, as on Linux.
const PATH_MAX: usize = 4096;

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// Digest of the contents.
        digest: Digest,
        /// True if the owner's executable bit is set.
        executable: bool,
        /// Permission bits, if they are not 0755 or 0644.
        mode: Option<UnixMode>,
    },
    /// A symbolic link.
    Symlink {
        /// Its text, verbatim.
        target: String,
    },
    /// A directory that is empty, or one whose permissions count.
    Directory {
        /// Permission bits, if they are not 0755.
        mode: Option<UnixMode>,
    },
}

impl Entry {
    /// Returns a file with ordinary permissions.
    pub fn file(digest: Digest, executable: bool) -> Entry {
        Entry::File { digest, executable, mode: None }
    }

    /// Returns a directory with ordinary permissions.
    pub fn directory() -> Entry {
        Entry::Directory { mode: None }
    }

    /// Returns the digest of the contents, if it is a file.
    pub fn contents(&self) -> Option<&Digest> {
        match self {
            Entry::File { digest, .. } => Some(digest),
            Entry::Symlink { .. } | Entry::Directory { .. } => None,
        }
    }
}

/// Why entries make no tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Two entries exclude each other.
    #[error("`{0}` is both a file and a directory")]
    Conflict(RelativePath),
    /// The tree is larger than a reader would accept.
    #[error("there are more than {ENTRIES_MAX} files, or their names are too long")]
    TooLarge,
    /// The tree has changed since it was hashed.
    #[error("the files changed while they were read")]
    Changed,
}

/// Entries by path, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<RelativePath, Entry>,
    /// Permission bits of the root, if they are not 0755.
    pub root_mode: Option<UnixMode>,
}

impl Tree {
    /// Returns a tree without entries.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Puts `entry` at `path` and replaces a former one.
    pub fn insert(&mut self, path: RelativePath, entry: Entry) {
        self.entries.insert(path, entry);
    }

    /// Returns the entries, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = (&RelativePath, &Entry)> {
        self.entries.iter()
    }

    /// Returns the entry at `path`.
    pub fn get(&self, path: &RelativePath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the digest of the root's canonical `Directory` message, which names those of its subdirectories.
    pub fn root_digest(&self) -> Result<Digest, TreeError> {
        self.directories(&mut |_, _| {})
    }

    /// Calls `emit` with the digest and the bytes of each `Directory` message. Children come before their parents, the
    /// root last, and a directory that occurs twice comes twice. Returns the root's digest.
    pub fn directories(&self, emit: &mut dyn FnMut(Digest, Vec<u8>)) -> Result<Digest, TreeError> {
        let entries: Vec<(&str, &Entry)> = self.entries.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
        directory(&entries, 0, self.root_mode, emit)
    }

    /// Returns the canonical `Tree { root = 1, children = 2 }` message: parents before their children, each directory
    /// once (REAPI `OutputDirectory.is_topologically_sorted`).
    pub fn encode(&self) -> Result<Vec<u8>, TreeError> {
        let text: usize = self.entries.iter().map(|(path, entry)| path.as_str().len() + target_length(entry)).sum();
        let is_long = |path: &RelativePath| path.as_str().len() > PATH_MAX;
        if self.entries.len() > ENTRIES_MAX || text > TEXT_MAX || self.entries.keys().any(is_long) {
            return Err(TreeError::TooLarge);
        }
        // Children come before the first of several equal directories, so parents come first in reverse order.
        let (mut all, mut known) = (Vec::new(), std::collections::HashSet::new());
        self.directories(&mut |digest, message| {
            if known.insert(digest) {
                all.push(message);
            }
        })?;
        let mut tree = Message::default();
        for (index, directory) in all.iter().rev().enumerate() {
            tree.bytes(if index == 0 { 1 } else { 2 }, directory);
        }
        Ok(tree.0)
    }

    /// Returns the tree in a `Tree` message. The message may be hostile: sizes are bounded, and names checked.
    pub fn decode(message: &[u8]) -> Result<Tree, DecodeError> {
        Tree::decode_within(message, Budget { entries: ENTRIES_MAX, text: TEXT_MAX })
    }

    fn decode_within(message: &[u8], mut budget: Budget) -> Result<Tree, DecodeError> {
        let (mut root, mut children) = (None, HashMap::new());
        each_field(message, |field, value| match field {
            1 => set(&mut root, "root", value.bytes("root")?),
            2 => {
                let child = value.bytes("children")?;
                children.insert(Digest::of(child), Directory::decode(child)?);
                Ok(())
            }
            other => Err(DecodeError::Unknown(other)),
        })?;
        let root = Directory::decode(root.ok_or(DecodeError::Missing("root"))?)?;
        let mut tree = Tree { root_mode: root.mode, ..Tree::default() };
        let mut open: Vec<(String, &Directory<'_>)> = vec![(String::new(), &root)];
        while let Some((path, directory)) = open.pop() {
            // A directory can't hold itself, since it would have to hold its own digest.
            for node in &directory.directories {
                let child = children.get(&node.digest).ok_or(DecodeError::Missing("children"))?;
                let path = budget.join(&path, node.name, 0)?;
                if is_empty(child) || child.mode.is_some() {
                    tree.insert(relative(&path)?, Entry::Directory { mode: child.mode });
                }
                open.push((format!("{path}/"), child));
            }
            for &FileNode { name, digest, is_executable: executable, mode } in &directory.files {
                let path = budget.join(&path, name, 0)?;
                tree.insert(relative(&path)?, Entry::File { digest, executable, mode });
            }
            for SymlinkNode { name, target } in &directory.symlinks {
                let path = budget.join(&path, name, target.len())?;
                tree.insert(relative(&path)?, Entry::Symlink { target: (*target).to_owned() });
            }
        }
        Ok(tree)
    }
}

fn target_length(entry: &Entry) -> usize {
    if let Entry::Symlink { target } = entry { target.len() } else { 0 }
}

fn is_empty(directory: &Directory<'_>) -> bool {
    directory.files.is_empty() && directory.directories.is_empty() && directory.symlinks.is_empty()
}

fn relative(path: &str) -> Result<RelativePath, DecodeError> {
    RelativePath::new(path).map_err(|_| DecodeError::Field("name"))
}

/// Limits for the rest of a message.
struct Budget {
    entries: usize,
    text: usize,
}

impl Budget {
    /// Returns the path of `name` in `directory`, which ends with a slash or is empty. Counts `more` further bytes for
    /// it.
    fn join(&mut self, directory: &str, name: &str, more: usize) -> Result<String, DecodeError> {
        let length = directory.len() + name.len();
        if length > PATH_MAX || self.entries == 0 || self.text < length + more {
            return Err(DecodeError::TooLarge);
        }
        self.entries -= 1;
        self.text -= length + more;
        Ok(format!("{directory}{name}"))
    }
}

/// An unfinished subdirectory.
#[derive(Default)]
struct Below<'a> {
    mode: Option<UnixMode>,
    entries: Vec<(&'a str, &'a Entry)>,
}

/// Emits the directory of `entries`, whose paths share their first `depth` bytes, and the directories below it.
fn directory(
    entries: &[(&str, &Entry)],
    depth: usize,
    mode: Option<UnixMode>,
    emit: &mut dyn FnMut(Digest, Vec<u8>),
) -> Result<Digest, TreeError> {
    // Paths and names sort differently (`a-b` < `a/x`, though `a` < `a-b`), so subdirectories are grouped by name first
    // and the nodes sorted afterwards.
    let mut here: BTreeMap<&str, &Entry> = BTreeMap::new();
    let mut below: BTreeMap<&str, Below<'_>> = BTreeMap::new();
    for (path, entry) in entries {
        match (path[depth..].split_once('/'), entry) {
            (Some((name, _)), _) => below.entry(name).or_default().entries.push((path, entry)),
            (None, Entry::Directory { mode }) => below.entry(&path[depth..]).or_default().mode = *mode,
            (None, Entry::File { .. } | Entry::Symlink { .. }) => drop(here.insert(&path[depth..], entry)),
        }
    }
    let mut message = Directory { mode, ..Directory::default() };
    for (name, entry) in &here {
        match entry {
            Entry::File { digest, executable, mode } => {
                message.files.push(FileNode { name, digest: *digest, is_executable: *executable, mode: *mode })
            }
            Entry::Symlink { target } => message.symlinks.push(SymlinkNode { name, target }),
            Entry::Directory { .. } => {}
        }
    }
    for (name, Below { mode, entries }) in &below {
        if here.contains_key(name) {
            let path = entries.first().map_or(*name, |(path, _)| &path[..depth + name.len()]);
            return Err(TreeError::Conflict(RelativePath::new(path).expect("a prefix of a relative path is one")));
        }
        let digest = directory(entries, depth + name.len() + 1, *mode, emit)?;
        message.directories.push(DirectoryNode { name, digest });
    }
    let bytes = message.encode();
    let digest = Digest::of(&bytes);
    emit(digest, bytes);
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::new();
        for text in paths {
            tree.insert(path(text), Entry::file(Digest::of(text.as_bytes()), false));
        }
        tree
    }

    fn with(mut tree: Tree, at: &str, entry: Entry) -> Tree {
        tree.insert(path(at), entry);
        tree
    }

    #[test]
    fn empty_tree_has_the_digest_of_nothing() {
        assert_eq!(Tree::new().root_digest().unwrap(), Digest::of(b""));
        assert_eq!(Tree::new().encode().unwrap(), [0x0a, 0]);
    }

    #[test]
    fn names_that_sort_around_a_slash() {
        let one = tree(&["a/x", "a-b", "a/y", "a.c"]).root_digest().unwrap();
        let two = tree(&["a.c", "a/y", "a-b", "a/x"]).root_digest().unwrap();
        assert_eq!(one, two);
        assert_ne!(one, tree(&["a/x", "a-b", "a/y"]).root_digest().unwrap());
    }

    #[test]
    fn each_property_counts() {
        let mode = UnixMode::new(0o700);
        let digest = Digest::of(b"a");
        let link = |target: &str| with(Tree::new(), "a", Entry::Symlink { target: target.into() });
        let trees = [
            tree(&["a"]),
            tree(&["b"]),
            with(Tree::new(), "a", Entry::file(digest, true)),
            with(Tree::new(), "a", Entry::File { digest, executable: true, mode }),
            with(Tree::new(), "a", Entry::File { digest, executable: false, mode: UnixMode::new(0) }),
            link("a"),
            link("b"),
            with(Tree::new(), "a", Entry::directory()),
            with(Tree::new(), "a", Entry::Directory { mode }),
            tree(&["a/b"]),
            with(tree(&["a/b"]), "a", Entry::Directory { mode }),
            Tree { root_mode: mode, ..tree(&["a"]) },
            Tree::new(),
        ];
        let mut digests: Vec<Digest> = trees.iter().map(|tree| tree.root_digest().unwrap()).collect();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), trees.len());
        for tree in trees {
            assert_eq!(Tree::decode(&tree.encode().unwrap()).unwrap(), tree);
        }
    }

    #[test]
    fn file_and_directory_of_one_name() {
        assert!(tree(&["a", "a/b"]).root_digest().is_err());
        assert!(with(tree(&["a"]), "a/b", Entry::directory()).encode().is_err());
    }

    fn large() -> Tree {
        let mut tree = tree(&["a/x", "a-b", "b/a/x", "c"]);
        tree.insert(path("b/a/empty"), Entry::directory());
        tree.insert(path("a/empty"), Entry::directory());
        tree.insert(path("b/link"), Entry::Symlink { target: "a/x".into() });
        tree.insert(path("b"), Entry::Directory { mode: UnixMode::new(0o750) });
        tree
    }

    /// Children are named by their digests; each occurs once, after its parent.
    #[test]
    fn tree_messages_are_topologically_sorted() {
        let twins = with(with(Tree::new(), "a/d/e", Entry::directory()), "b/e", Entry::directory());
        for tree in [large(), twins] {
            let message = tree.encode().unwrap();
            assert_eq!(Tree::decode(&message).unwrap(), tree);
            let mut all: Vec<(u64, &[u8])> = Vec::new();
            each_field(&message, |field, value| value.bytes("").map(|bytes| all.push((field, bytes)))).unwrap();
            assert_eq!(Digest::of(all[0].1), tree.root_digest().unwrap());
            let digests: Vec<Digest> = all.iter().map(|(_, bytes)| Digest::of(bytes)).collect();
            for (place, (field, bytes)) in all.iter().enumerate() {
                assert_eq!(*field, if place == 0 { 1 } else { 2 });
                for child in Directory::decode(bytes).unwrap().directories {
                    assert!(digests[place + 1..].contains(&child.digest), "a child before its parent");
                }
                assert!(!digests[..place].contains(&digests[place]), "a directory twice");
            }
        }
    }

    #[test]
    fn no_changed_byte_breaks_the_reader() {
        let message = large().encode().unwrap();
        for length in 0..message.len() {
            let _ = Tree::decode(&message[..length]);
        }
        for index in 0..message.len() {
            for bit in 0..8 {
                let mut bad = message.clone();
                bad[index] ^= 1 << bit;
                if let Ok(tree) = Tree::decode(&bad) {
                    assert_ne!(tree, large(), "flipped at {index}");
                }
            }
        }
        let mut alone = Message::default();
        alone.bytes(1, &large().root_message());
        assert_eq!(Tree::decode(&alone.0), Err(DecodeError::Missing("children")));
        assert_eq!(Tree::decode(&[]), Err(DecodeError::Missing("root")));
    }

    impl Tree {
        fn root_message(&self) -> Vec<u8> {
            let mut last = Vec::new();
            self.directories(&mut |_, message| last = message).unwrap();
            last
        }
    }

    /// Forty directories, each with the next one in it twice: a few kilobytes that describe a million million entries.
    #[test]
    fn a_message_that_would_be_a_vast_tree() {
        let mut children = Vec::new();
        let mut message = Vec::new();
        for _ in 0..40 {
            let digest = Digest::of(&message);
            children.push(message);
            let node = |name| DirectoryNode { name, digest };
            message = Directory { directories: vec![node("a"), node("b")], ..Directory::default() }.encode();
        }
        let mut tree = Message::default();
        tree.bytes(1, &message);
        children.iter().for_each(|child| tree.bytes(2, child));
        for (entries, text) in [(10_000, TEXT_MAX), (ENTRIES_MAX, 100_000)] {
            assert_eq!(Tree::decode_within(&tree.0, Budget { entries, text }), Err(DecodeError::TooLarge));
        }
    }
}
